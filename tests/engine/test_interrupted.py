"""A pass that something comes into: an exception, a signal, a finalizer, a thread that the system does not give.

What is wrong here hangs: hence processes of their own, with a time limit.
"""

import os
import signal

import pytest

from edgebert.engine.turn import Turn
from edgebert.errors import EdgebertError

SECONDS = 60

START = """
import ctypes, gc, os, signal, sys, threading, time, warnings
import edgebert

INPUTS = [list(range(1, 60))] * 16  # about the most of one pass
model = edgebert.load(sys.argv[1], threads=3)

def bits():
    return b"".join(rows.tobytes() for rows in model.hidden_states(INPUTS))

def refused():
    try:
        bits()
    except edgebert.EdgebertError as error:
        return str(error)
    return "not refused"

expected = bits()
encoder = model._runner.backend.encode.__self__
"""

NEAR_THE_LIMIT = """
def deeper(levels):
    return bits() if levels == 0 else deeper(levels - 1)

outcomes = []
for level in range(sys.getrecursionlimit() - 60, sys.getrecursionlimit()):
    try:
        outcomes.append(deeper(level) == expected)
    except (RecursionError, ctypes.ArgumentError):  # as which ctypes may pass it on
        outcomes.append(None)
    assert bits() == expected, level
assert outcomes[0] and outcomes[-1] is None
print("usable")
"""

BEFORE_ITS_OWN_PART = """
# The others have been woken, and are held up or not; then there is no memory for the main thread's own part.
native, chosen = encoder._library.encode, [0]

class Library:
    family = encoder._library.family

    @staticmethod
    def encode(plan, epoch, thread):
        if thread == 0 and failing and epoch >= 0:
            time.sleep(pause)
            raise MemoryError
        return native(plan, epoch, thread)

encoder._library = Library
for pause in (0, 0.0001, 0.001, 0.01) * 10:
    failing = True
    try:
        bits()
    except MemoryError:
        failing = False
    assert not failing
    assert bits() == expected, pause
    assert int(encoder._team.active[0]) == 0
print("usable")
"""

A_WORKER_WITHOUT_MEMORY = """
native = encoder._library.encode

class Library:
    @staticmethod
    def encode(plan, epoch, thread):
        if thread and failing:
            raise MemoryError
        return native(plan, epoch, thread)

encoder._library = Library
before = threading.active_count()
for failing in (True, False) * 5:
    assert bits() == expected
time.sleep(0.2)
assert threading.active_count() == before, "a thread has ended, and what is put into its queue stays there"
print("usable")
"""

HANDLER = """
said = []

def handle(number, frame):
    said.append(refused())

signal.signal(signal.SIGALRM, handle)
prepare = encoder._team.run

def interrupted(*arguments, **named):
    signal.raise_signal(signal.SIGALRM)  # where a signal may come: the turn is taken, nothing runs yet
    return prepare(*arguments, **named)

encoder._team.run = interrupted
assert bits() == expected
encoder._team.run = prepare
assert bits() == expected
print(said[0])
# And at any moment of a call: it is refused, or answered.
said.clear()
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0007)
for _ in range(200):
    assert bits() == expected
signal.setitimer(signal.ITIMER_REAL, 0)
assert said
"""

FINALIZER = """
said = []

class Garbage:
    def __del__(self):
        said.append(refused())

prepare = encoder._team.run

def collecting(*arguments, **named):
    Garbage()
    return prepare(*arguments, **named)

encoder._team.run = collecting
assert bits() == expected
encoder._team.run = prepare
assert bits() == expected
print(said[0])
"""

LOADING_IN_A_HANDLER = """
from edgebert.engine import library
said, find = [], library.find_kernels

def handle(number, frame):
    try:
        edgebert.load(sys.argv[1])
    except edgebert.EdgebertError as error:
        said.append(str(error))

def interrupted(*arguments):
    signal.raise_signal(signal.SIGALRM)
    return find(*arguments)

signal.signal(signal.SIGALRM, handle)
library._loaded.clear()
library.find_kernels = interrupted
edgebert.load(sys.argv[1])
print(said[0])
"""

NO_MORE_THREADS = """
start, given = threading.Thread.start, [1]

def start_some(thread):
    if not given[0]:
        raise RuntimeError("can't start new thread")
    given[0] -= 1
    start(thread)

def team():
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("edgebert-"))

model = encoder = None
gc.collect()
model = edgebert.load(sys.argv[1], threads=4)
threading.Thread.start = start_some
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(5):
        assert bits() == expected
while len(team()) > 1:
    time.sleep(0.01)  # those of the first model
print(*team(), len(caught), caught[0].message)
given[0] = 9
assert bits() == expected
print(*team())
"""

SIGNALS_OF_WORKERS = """
print(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
for thread in threading.enumerate():
    if thread.name.startswith("edgebert-"):
        with open(f"/proc/self/task/{thread.native_id}/status") as file:
            (line,) = (line for line in file if line.startswith("SigBlk:"))
        blocked = int(line.split()[1], 16)
        print(all(blocked >> number - 1 & 1 for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)))
        assert not blocked >> signal.SIGSEGV - 1 & 1  # which faulthandler is to report
"""


def run(run_python, golden_files, code, **options):
    return run_python(START + code, golden_files["encoder"], timeout=SECONDS, **options).stdout


@pytest.mark.parametrize(
    "code",
    [NEAR_THE_LIMIT, BEFORE_ITS_OWN_PART, A_WORKER_WITHOUT_MEMORY],
    ids=["recursion", "main thread", "worker"],
)
def test_an_exception_leaves_no_pass_behind(run_python, golden_files, code):
    assert run(run_python, golden_files, code) == "usable\n"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers")
def test_a_signal_handler_may_not_call_what_it_interrupted(run_python, golden_files):
    said = run(run_python, golden_files, HANDLER)
    assert said.startswith("a model's forward pass was interrupted, and is called again from there")


def test_a_finalizer_may_not_either(run_python, golden_files):
    assert "by a signal handler or a finalizer; let that set a flag" in run(run_python, golden_files, FINALIZER)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no such signal")
def test_nor_may_a_model_be_loaded_while_kernels_are(run_python, golden_files):
    assert run(run_python, golden_files, LOADING_IN_A_HANDLER).startswith("the loading of kernels was interrupted")


def test_threads_that_cannot_be_started_are_done_without(run_python, golden_files):
    """Those that were are used, none is left behind, and the rest start when the system gives them."""
    first, second = run(run_python, golden_files, NO_MORE_THREADS).splitlines()
    message = "edgebert computes on 2 of 4 threads, the system starts no more: can't start new thread"
    assert first == f"edgebert-1 1 {message}"
    assert second == "edgebert-1 edgebert-2 edgebert-3"


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="Linux says what its threads block")
def test_workers_take_no_signals(run_python, golden_files):
    assert run(run_python, golden_files, SIGNALS_OF_WORKERS) == "set()\nTrue\nTrue\n"


def test_a_turn_is_given_back_whatever_comes():
    turn = Turn("it")

    def fail():
        raise KeyboardInterrupt

    def again():
        with pytest.raises(EdgebertError, match="it was interrupted, and is called again from there"):
            turn.take(lambda: None)
        return "first"

    with pytest.raises(KeyboardInterrupt):
        turn.take(fail)
    assert turn.take(again) == "first"
    assert turn.take(lambda: "second") == "second"


class _Struck:
    """A lock that Ctrl-C strikes: before it is taken, or when it has just been."""

    def __init__(self, lock, *, after):
        self._lock, self._after, self.held = lock, after, 0

    def acquire(self, blocking):
        if self._after is False:
            raise KeyboardInterrupt
        self._lock.acquire()
        self.held += 1
        return blocking

    def release(self):
        self._lock.release()
        self.held -= 1


@pytest.mark.parametrize("after", [False, True])
def test_a_lock_is_held_by_none_after_ctrl_c(after):
    """CPython looks for signals behind a call; so does whoever traces the next line."""
    import sys

    turn = Turn("it")
    turn._lock = lock = _Struck(turn._lock, after=after)

    def strike(frame, event, argument):
        if frame.f_code is Turn.take.__code__ and event == "line" and lock.held:
            sys.settrace(None)
            raise KeyboardInterrupt
        return strike

    sys.settrace(strike)
    try:
        with pytest.raises(KeyboardInterrupt):
            turn.take(lambda: None)
    finally:
        sys.settrace(None)
    assert lock.held == 0
