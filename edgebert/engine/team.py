"""A team of threads that runs one native function together, owned by edgebert.

Numba's own layers are not used: its workqueue aborts the process when two Python threads enter it, GNU OpenMP
does not survive a fork, and neither can be compiled ahead of time.
"""

from __future__ import annotations

import collections
import ctypes
import functools
import operator
import os
import signal
import threading
import warnings
import weakref
from collections.abc import Callable
from queue import SimpleQueue

import numpy as np

from edgebert.engine.turn import Turn

__all__ = ["ThreadTeam"]

_Order = tuple[Callable[[int], object], object]
"""A job, and what must live until it has been carried out."""

_call = operator.methodcaller("__call__")
_FAULTS = {
    getattr(signal, name)
    for name in ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGTRAP", "SIGABRT", "SIGSYS")
    if hasattr(signal, name)
}
"""Signals of a thread's own faults, which a program's handlers (`faulthandler`) are to report."""
_teams: weakref.WeakSet[ThreadTeam] = weakref.WeakSet()


def _forget_threads_after_fork() -> None:
    for team in list(_teams):
        team._start_over()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads_after_fork)


class _Crew:
    """The other threads, and what wakes them; holds no reference to the team, so that the team can be collected."""

    def __init__(self) -> None:
        self.queues: list[SimpleQueue[_Order | None]] = []

    def grow(self, count: int) -> None:
        """Start threads until there are so many; raise RuntimeError when the system gives no more, and keep those."""
        while len(self.queues) < count:
            queue: SimpleQueue[_Order | None] = SimpleQueue()
            index = len(self.queues) + 1
            thread = threading.Thread(target=_work, args=(queue, index), name=f"edgebert-{index}", daemon=True)
            try:
                _start_without_signals(thread)
            except BaseException:
                queue.put(None)  # Ctrl-C may come when the thread has started
                raise
            self.queues.append(queue)

    def dismiss(self) -> None:
        """End the threads."""
        for queue in self.queues:
            queue.put(None)


def _start_without_signals(thread: threading.Thread) -> None:
    """Start a thread that takes none of the program's signals: they are for the threads that wait for them."""
    if not hasattr(signal, "pthread_sigmask"):
        thread.start()
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _FAULTS)
        thread.start()  # it inherits the mask
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(queue: SimpleQueue[_Order | None], index: int) -> None:
    """Carry out orders until there is none."""
    while (order := queue.get()) is not None:
        try:  # noqa: SIM105 (a context manager takes memory, too)
            order[0](index)
        except (MemoryError, ctypes.ArgumentError):  # which is what ctypes makes of it
            # The others do its part. A thread that ended here would leave orders behind that nobody takes.
            pass
        del order  # and with it what the job needed


class ThreadTeam:
    """`size` threads, of which the caller is one; the others are parked between jobs.

    Parameters
    ----------
    size : int
        At least 1.

    Attributes
    ----------
    turn : Turn
        Taken by whoever runs a job.
    unfinished : bool
        Whether an exception came before the caller's own part of a job, which has no end then: the others may be in it,
        or come to it. Whoever has the next turn ends it first.
    epoch, active : ndarray [shape=(1,), dtype=int64]
        Counters of the jobs: which one is on, and how many threads are in it.
    addresses : (int, int)
        Of these.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._start_over()
        _teams.add(self)

    def _start_over(self) -> None:
        """Have no threads yet: in a new team, and in a forked child, which inherits none."""
        self.turn, self.unfinished = Turn("a model's forward pass"), False
        counters = np.zeros(32, np.int64)
        self.epoch, self.active = counters[:1], counters[16:17]  # on different cache lines
        # Asking an array for its address takes as long as many a step of a short text.
        self.addresses = (self.epoch.ctypes.data, self.active.ctypes.data)
        self._crew: _Crew | None = None
        self._told = False

    def run(self, job: Callable[[int], object], needs: object) -> None:
        """Call ``job(0)`` here and ``job(1)`` to ``job(size - 1)`` in the other threads.

        Returns when ``job(0)`` does. Another thread may call the job later than that, when its turn on a busy
        machine comes: the job must see from `epoch` that it is over, and `needs` is kept alive until then.
        The caller has the `turn`. `job` is a C function, possibly partial: no line of Python runs between the
        first thread's waking and the end, so that Ctrl-C cannot come in between. Where a thread cannot be started,
        those that there are do its part.
        """
        steps: list[Callable[[], object]] = [functools.partial(job, 0)]
        if self.size > 1:
            order: _Order = (job, needs)
            steps = [*(functools.partial(queue.put, order) for queue in self._others()), *steps]
        self.unfinished = True
        collections.deque(map(_call, steps), maxlen=0)
        self.unfinished = False

    def _others(self) -> list[SimpleQueue[_Order | None]]:
        """Return what wakes the other threads, which are started if they have not been."""
        if self._crew is None:
            self._crew = _Crew()
            weakref.finalize(self, self._crew.dismiss).atexit = False
        try:
            self._crew.grow(self.size - 1)
        except RuntimeError as error:
            if not self._told:
                self._told = True
                started = 1 + len(self._crew.queues)
                warnings.warn(
                    f"edgebert computes on {started} of {self.size} threads, the system starts no more: {error}",
                    RuntimeWarning,
                    stacklevel=2,
                )
        return self._crew.queues
