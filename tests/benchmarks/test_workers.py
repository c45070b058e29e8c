"""Engines in their own processes: in turn, stopped in between, left out when they cannot start."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgebert
from benchmarks.accuracy import decode_vectors, embed_request
from benchmarks.latency import Burst, bursts, engine_figure, judge, numbers
from benchmarks.workers import Entry, WorkerError, open_workers

TEXTS = ["a good film", "the battery died after a week and nobody answers", "fine"]


@pytest.fixture
def own(model):
    return Entry("edgebert", "edgebert", model, sys.executable, {})


def state(pid):
    """Return a process's state letter: T when it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_is_stopped_between_requests(own):
    with open_workers([own], threads=1) as (worker,):
        pid = worker._process.pid
        for _ in range(2):
            times = worker.ask(op="time", ids=[[101, 7, 102]], seconds=0.01)["seconds"]
            assert len(times) >= 2
            assert min(times) > 0
            # The signal is sent before `ask` returns and takes effect a moment later.
            for _ in range(1000):
                if state(pid) == "T":
                    break
                os.sched_yield()
            assert state(pid) == "T"
    assert not Path(f"/proc/{pid}").exists()


def test_every_worker_gets_every_round(own):
    with open_workers([own, own._replace(name="again")], threads=1) as workers:
        found = bursts(workers, [1, 2, 3], rounds=3, seconds=0.001)
    assert [len(each) for each in found] == [3, 3]


def test_vectors_travel_exactly(own, folder, model):
    with open_workers([own], threads=1) as (worker,):
        got = decode_vectors(worker.ask(**embed_request(folder, TEXTS, batch=1)))
    np.testing.assert_array_equal(got, edgebert.load(model, threads=1).embed(TEXTS))


def test_a_forced_family_is_used(own):
    forced = own._replace(name="portable", variables={"EDGEBERT_FAMILY": "portable"})
    with open_workers([own, forced], threads=1) as workers:
        assert workers[1].facts["family"] == "portable"


def test_a_peer_that_cannot_start_is_named_and_left_out(own, tmp_path, capsys):
    peer = Entry("ort_int8", "ort_int8", tmp_path / "missing.onnx", sys.executable, {})
    with open_workers([own, peer], threads=1) as workers:
        assert [worker.entry.name for worker in workers] == ["edgebert"]
    assert "left out: ort_int8: " in capsys.readouterr().out


def test_edgebert_is_never_left_out(own, tmp_path):
    with (
        pytest.raises(WorkerError, match=r"edgebert: ArtifactError: .*missing\.edgebert"),
        open_workers([own._replace(model=tmp_path / "missing.edgebert")], threads=1),
    ):
        pass


def test_a_failing_request_does_not_end_the_worker(own):
    with open_workers([own], threads=1) as (worker,):
        with pytest.raises(WorkerError, match="InputError"):
            worker.ask(op="time", ids=[[10**6]], seconds=0.01)
        assert worker.ask(op="time", ids=[[5]], seconds=0.01)["seconds"]


def test_a_worker_that_dies_is_an_error(own):
    with open_workers([own], threads=1) as (worker,):
        worker._process.kill()
        with pytest.raises(WorkerError, match="edgebert died"):
            worker.ask(op="time", ids=[[5]], seconds=0.01)


def test_passes_that_waited_for_a_processor_are_put_aside():
    assert judge([1.0, 5.0, 3.0, 9.0], [0.0, 2.0, 0.01, 0.5]) == (2.0, True)
    # None is left: better a disturbed figure, marked, than none.
    assert judge([1.0, 5.0, 3.0], [0.5, 2.0, 1.0]) == (3.0, False)
    quiet, disturbed = Burst(2.0, True), Burst(1.0, False)
    assert engine_figure([disturbed, quiet, disturbed]) == quiet
    assert engine_figure([disturbed, disturbed]) == disturbed


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this system does not count waiting")
def test_waiting_for_a_processor_is_seen():
    others = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nprint(flush=True)\nwhile True: pass"
    ours = """
import os, time
from benchmarks.worker import waited
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
before, start = waited(), time.perf_counter()
while time.perf_counter() - start < 0.5: pass
print(waited() - before)
"""
    with subprocess.Popen([sys.executable, "-c", others], stdout=subprocess.PIPE) as rival:
        try:
            rival.stdout.readline()
            done = subprocess.run(
                [sys.executable, "-c", ours],
                cwd=Path(__file__).parents[2],
                capture_output=True,
                text=True,
                check=True,
            )
        finally:
            rival.kill()
    # Two processes on one processor: each waits about half of the time.
    assert 0.1 < float(done.stdout) < 0.6


def test_numbers():
    assert numbers("8,16,32-35") == [8, 16, 32, 33, 34, 35]


def run(module, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("date ")
    return done.stdout


def test_latency_from_the_shell(model, tmp_path):
    figures = tmp_path / "figures.json"
    options = ("--lengths", "4,9", "--threads", "1", "--rounds", "2", "--seconds", "0.001", "--json", figures)
    output = run("latency", "--model", model, "--families", "portable", *options)
    assert "| tokens | edgebert | edgebert portable |" in output
    found = json.loads(figures.read_text())
    assert found["environment"]["edgebert"].startswith(edgebert.__version__)
    assert [(each["engine"], each["tokens"]) for each in found["latency"]] == [
        ("edgebert", 4),
        ("edgebert portable", 4),
        ("edgebert", 9),
        ("edgebert portable", 9),
    ]
    assert all(0 < each["seconds"] < 1 for each in found["latency"])


def test_throughput_from_the_shell(folder, model, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS), "utf-8")
    output = run(
        "throughput", "--model", model, "--source", folder, "--texts", texts, "--threads", "1", "--rounds", "1"
    )
    assert "3 texts of texts.txt" in output
    assert "| edgebert | its own |" in output
