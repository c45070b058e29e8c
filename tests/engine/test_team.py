"""The team of threads: the same bits on any number of them, none left over, none waited for in vain.

What could hang or crash runs in a process of its own, with a time limit.
"""

import threading
import time

import numpy as np
import pytest

import edgebert
from edgebert.engine.team import ThreadTeam
from tests.golden import NAMES, load_inputs

SIZES = (1, 2, 3, 8)
PATIENCE = 10
"""Seconds until a thread that has been told to end must have."""


def team_threads():
    """Return the names of the living threads of all teams."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("edgebert-")]


def wait_for_threads(count):
    """Wait until so many are left, or for too long; return how many are."""
    end = time.monotonic() + PATIENCE
    while len(team_threads()) != count and time.monotonic() < end:
        time.sleep(0.005)
    return len(team_threads())


def bits(model, inputs):
    """Return the hidden states of all inputs as bytes."""
    return b"".join(rows.tobytes() for rows in model.hidden_states(inputs))


@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_threads_gives_the_same_bits(golden_files, name):
    """One text, and batches from one token to the whole budget."""
    inputs = load_inputs(name)
    many = inputs * (3000 // sum(map(len, inputs)))
    models = [edgebert.load(golden_files[name], threads=size) for size in SIZES]
    for batch in ([[1]], [[1, 2, 3]], inputs[:3], inputs, many):
        first, *others = (bits(model, batch) for model in models)
        assert others == [first] * len(others)


@pytest.mark.parametrize("name", NAMES)
def test_any_batch_and_any_order_give_the_same_bits(golden_files, name):
    model = edgebert.load(golden_files[name], threads=2)
    inputs = load_inputs(name)
    alone = [bits(model, [ids]) for ids in inputs]
    rng = np.random.default_rng(0)
    for size in (2, 5, 100, 400):
        chosen = rng.integers(0, len(inputs), size)
        together = model.hidden_states([inputs[i] for i in chosen])
        assert [rows.tobytes() for rows in together] == [alone[i] for i in chosen]


def test_threads_start_when_needed_and_end_with_the_model(golden_files):
    before = wait_for_threads(0)
    model = edgebert.load(golden_files["encoder"], threads=4)
    assert len(team_threads()) == before
    for _ in range(3):
        model.hidden_states([[1, 2, 3]])
        assert sorted(team_threads())[-3:] == ["edgebert-1", "edgebert-2", "edgebert-3"]
        assert len(team_threads()) == before + 3
    del model
    assert wait_for_threads(before) == before


def test_a_team_of_one_has_no_threads(golden_files):
    before = wait_for_threads(0)
    edgebert.load(golden_files["encoder"], threads=1).hidden_states([[1, 2, 3]])
    assert len(team_threads()) == before


def test_every_thread_has_a_part_in_a_job():
    """The same bits come out if the caller does everything alone, only later."""
    team, meeting, parts = ThreadTeam(3), threading.Barrier(3, timeout=PATIENCE), {}

    def job(index):
        meeting.wait()  # until all of them are in it
        parts[index] = threading.current_thread().name
        meeting.wait()

    for _ in range(2):
        parts.clear()
        team.turn.take(lambda: team.run(job, None))
        assert parts == {0: threading.current_thread().name, 1: "edgebert-1", 2: "edgebert-2"}


AT_ONCE = """
import sys
from concurrent.futures import ThreadPoolExecutor
import edgebert

INPUTS = [[1], [1, 2, 3, 4, 5], list(range(1, 30)), list(range(1, 50)), [7] * 17]
TEXTS = ["good", "bad film", "good " * 200, "", "neither here nor there " * 3]
models = [edgebert.load(path, threads=2) for path in sys.argv[1:]]

def answer(task):
    model, i = models[task % len(models)], task % 5
    vectors = [rows.tobytes() for rows in model.hidden_states(INPUTS[i:])]
    if model.labels:
        vectors += model.classify(TEXTS[i:], on_coverage=lambda index, coverage: None)
    return vectors

expected = [answer(task) for task in range(10)]
with ThreadPoolExecutor(4) as pool:
    for task, found in enumerate(pool.map(answer, range(400))):
        assert found == expected[task % 10], task
print("the same")
"""


@pytest.mark.parametrize("names", [["encoder"], ["classifier"], ["encoder", "classifier"]], ids="+".join)
def test_several_python_threads_at_once(run_python, golden_files, names):
    """In one model, or two, with the tokenizer and the heads, long texts among the short ones."""
    assert run_python(AT_ONCE, *(golden_files[name] for name in names)).stdout == "the same\n"


MANY_RUNS = """
import sys
import edgebert
path, threads = sys.argv[1], int(sys.argv[2])
inputs = [[1, 2, 3, 4, 5], [6, 7], list(range(1, 40))]
expected = [rows.tobytes() for rows in edgebert.load(path, threads=1).hidden_states(inputs)]
model = edgebert.load(path, threads=threads)
for _ in range(200):
    assert [rows.tobytes() for rows in model.hidden_states(inputs)] == expected
print("the same")
"""


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_two_hundred_runs(run_python, golden_files, threads):
    assert run_python(MANY_RUNS, golden_files["encoder"], threads).stdout == "the same\n"


MANY_MODELS = """
import sys, threading, time
import edgebert
for _ in range(60):
    model = edgebert.load(sys.argv[1], threads=8)
    model.hidden_states([[1, 2, 3]])
    del model  # while some of its threads may not have noticed yet that the work is done
end = time.monotonic() + 20
while threading.active_count() > 1 and time.monotonic() < end:
    time.sleep(0.01)
print(threading.active_count())
"""


def test_models_that_live_for_one_call(run_python, golden_files):
    """A late thread must find the memory that it reads, and then end; more threads than processors make it late."""
    process = run_python(MANY_MODELS, golden_files["encoder"])
    assert process.stdout == "1\n"
    assert process.stderr == ""


AT_EXIT = """
import sys, threading
import edgebert
model = edgebert.load(sys.argv[1], threads=3)
model.hidden_states([[1, 2, 3]])
if sys.argv[2] == "busy":
    def forever():
        while True:
            model.hidden_states([list(range(1, 60))] * 20)
    threading.Thread(target=forever, daemon=True).start()
print("done")
"""


@pytest.mark.parametrize("how", ["idle", "busy"])
def test_a_process_can_end(run_python, golden_files, how):
    """Parked threads, and a forward pass in a daemon thread, hold up nothing."""
    process = run_python(AT_EXIT, golden_files["encoder"], how, timeout=20)
    assert (process.stdout, process.stderr) == ("done\n", "")
