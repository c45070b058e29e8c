"""A team of threads that runs one native function together, owned by edgebert.

Numba's own layers are not used: its workqueue aborts the process when two Python threads enter it, GNU OpenMP
does not survive a fork, and neither can be compiled ahead of time.
"""

from __future__ import annotations

import collections
import functools
import operator
import os
import threading
import weakref
from collections.abc import Callable

import numpy as np

__all__ = ["ThreadTeam"]

_call = operator.methodcaller("__call__")
_teams: weakref.WeakSet[ThreadTeam] = weakref.WeakSet()


def _forget_threads_after_fork() -> None:
    for team in list(_teams):
        team._start_over()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads_after_fork)


def _work(gate: threading.Lock, job: list[Callable[[int], object] | None], index: int) -> None:
    """Run each job that comes through the gate; None ends the thread."""
    while True:
        gate.acquire()
        task = job[0]
        if task is None:
            return
        task(index)
        del task


class _Crew:
    """Parked threads, and what wakes them; holds no reference to the team, so that the team can be collected."""

    def __init__(self, count: int) -> None:
        self.job: list[Callable[[int], object] | None] = [None]
        self.gates = [threading.Lock() for _ in range(count)]
        for index, gate in enumerate(self.gates, start=1):
            gate.acquire()
            threading.Thread(target=_work, args=(gate, self.job, index), name=f"edgebert-{index}", daemon=True).start()

    def dismiss(self) -> None:
        """End the threads."""
        self.job[0] = None
        for gate in self.gates:
            gate.release()


class ThreadTeam:
    """`size` threads, of which the caller is one; the others are parked on locks between jobs.

    Parameters
    ----------
    size : int
        At least 1.

    Attributes
    ----------
    arrived : ndarray [shape=(1,), dtype=int64]
        The counter of the job's barriers.
    lock : threading.Lock
        Held by whoever runs a job.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._start_over()
        _teams.add(self)

    def _start_over(self) -> None:
        """Have no threads yet: in a new team, and in a forked child, which inherits none."""
        self.lock = threading.Lock()
        self.arrived = np.zeros(1, np.int64)
        self._crew: _Crew | None = None

    def run(self, job: Callable[[int], object]) -> None:
        """Call ``job(0)`` here and ``job(1)`` to ``job(size - 1)`` in the other threads, all at once.

        Returns when ``job(0)`` does: a job ends with a barrier on `arrived`, so that none is still at work then.
        The caller holds `lock`. `job` is a C function, possibly partial: no line of Python runs between
        waking the first thread and the end, so that Ctrl-C cannot leave the others waiting at a barrier.
        """
        steps: list[Callable[[], object]] = [functools.partial(job, 0)]
        if self.size > 1:
            if self._crew is None:
                self._crew = _Crew(self.size - 1)
                weakref.finalize(self, self._crew.dismiss).atexit = False
            self._crew.job[0] = job
            steps = [*(gate.release for gate in self._crew.gates), *steps]
        collections.deque(map(_call, steps), maxlen=0)
