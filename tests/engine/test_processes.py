"""Forks and signals: a child uses the model that it inherits, and Ctrl-C leaves the model usable.

All of it in processes of their own, with a time limit: what is wrong here hangs.
"""

import os

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

START = """
import gc, multiprocessing, os, random, signal, sys, threading, time, traceback
import edgebert

INPUTS = [[1, 2, 3, 4, 5], [6, 7], list(range(1, 60))]

def bits(model):
    return [rows.tobytes() for rows in model.hidden_states(INPUTS)]

model = edgebert.load(sys.argv[1], threads=2)
expected = bits(model)

def fork(task):
    # Run a task in a child; it must end well within 20 seconds.
    child = os.fork()
    if child == 0:
        try:
            task()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    end = time.monotonic() + 20
    ended = 0
    while not ended and time.monotonic() < end:
        time.sleep(0.001)
        ended, status = os.waitpid(child, os.WNOHANG)
    if not ended:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        sys.exit("the child hangs")
    if status:
        sys.exit(f"the child ended with {status}")
"""

FORK = """
def use():
    assert bits(model) == expected
    assert bits(edgebert.load(sys.argv[1], threads=3)) == expected

for _ in range(5):
    fork(use)
fork(lambda: fork(use))
assert bits(model) == expected
print("agreed")
"""

FORK_WHILE_COMPUTING = """
over = False

def compute():
    while not over:
        assert bits(model) == expected

def use_and_drop():
    global model
    for _ in range(3):
        assert bits(model) == expected
    del model
    gc.collect()

thread = threading.Thread(target=compute, daemon=True)
thread.start()
for _ in range(60):
    fork(use_and_drop)
over = True
thread.join()
assert bits(model) == expected
print("agreed")
"""

FORK_WHILE_LOADING = """
from edgebert.engine import compiler, library
from edgebert.kernels.simd.families import FAMILIES

loading, go_on = threading.Event(), threading.Event()

def compile_slowly(family):
    loading.set()
    go_on.wait()
    raise edgebert.EdgebertError("not today")

def load():
    try:
        library.load_library("another family")
    except edgebert.EdgebertError:
        pass

families = (*library.available_families(), "another family")
library.available_families = lambda: families
find_kernels = library.find_kernels
library.find_kernels = lambda family, features: find_kernels(family, features) if family in FAMILIES else None
compiler.compile_kernels = compile_slowly
thread = threading.Thread(target=load, daemon=True)
thread.start()
loading.wait()

def use():
    assert bits(edgebert.load(sys.argv[1], threads=2)) == expected

fork(use)
go_on.set()
thread.join()
print("agreed")
"""

MULTIPROCESSING = """
def use(i):
    return bits(model) == expected

if sys.argv[2] == "while computing":
    threading.Thread(target=lambda: [bits(model) for _ in range(2000)], daemon=True).start()
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(use, range(50)) == [True] * 50
assert bits(model) == expected
print("agreed")
"""


@pytest.mark.parametrize("code", [FORK, FORK_WHILE_COMPUTING, FORK_WHILE_LOADING], ids=["idle", "computing", "loading"])
def test_a_forked_child_uses_the_model(run_python, golden_files, code):
    process = run_python(START + code, golden_files["encoder"])
    assert process.stdout == "agreed\n"
    assert "Exception ignored" not in process.stderr


@pytest.mark.parametrize("when", ["idle", "while computing"])
def test_multiprocessing_by_fork(run_python, golden_files, when):
    assert run_python(START + MULTIPROCESSING, golden_files["encoder"], when).stdout == "agreed\n"


CTRL_C = """
signal.signal(signal.SIGINT, signal.default_int_handler)
choose = random.Random(0)
texts = ["a short text", "another one that is a little longer"] * 5000
ids = INPUTS * 500
interrupted = 0
slowest = 0
for i in range(60):
    struck = []

    def strike():
        struck.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    try:
        if i % 20 == 0:
            model = edgebert.load(sys.argv[1], threads=2)  # whose threads have not started yet
        threading.Timer(choose.uniform(0.002, 0.05), strike).start()
        while True:
            model.embed(texts) if i % 2 else model.hidden_states(ids)
    except KeyboardInterrupt:
        interrupted += 1
        slowest = max(slowest, time.monotonic() - struck[0])
    assert bits(model) == expected
assert interrupted == 60
assert slowest < 2, f"Ctrl-C took {slowest} s"
print("usable")
"""


def test_ctrl_c_leaves_the_model_usable(run_python, golden_files):
    """At any moment of tokenizing and of computing; the bits are the same afterwards."""
    process = run_python(START + CTRL_C, golden_files["encoder"])
    assert process.stdout == "usable\n"
    assert process.stderr == ""
