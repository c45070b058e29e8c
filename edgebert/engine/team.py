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
from queue import SimpleQueue

import numpy as np

__all__ = ["ThreadTeam"]

_Order = tuple[Callable[[int], object], object]
"""A job, and what must live until it has been carried out."""

_call = operator.methodcaller("__call__")
_teams: weakref.WeakSet[ThreadTeam] = weakref.WeakSet()


def _forget_threads_after_fork() -> None:
    for team in list(_teams):
        team._start_over()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads_after_fork)


class _Crew:
    """The other threads, and what wakes them; holds no reference to the team, so that the team can be collected."""

    def __init__(self, count: int) -> None:
        self.queues: list[SimpleQueue[_Order | None]] = [SimpleQueue() for _ in range(count)]
        for index, queue in enumerate(self.queues, start=1):
            threading.Thread(target=_work, args=(queue, index), name=f"edgebert-{index}", daemon=True).start()

    def dismiss(self) -> None:
        """End the threads."""
        for queue in self.queues:
            queue.put(None)


def _work(queue: SimpleQueue[_Order | None], index: int) -> None:
    """Carry out orders until there is none."""
    while (order := queue.get()) is not None:
        order[0](index)
        del order  # and with it what the job needed


class ThreadTeam:
    """`size` threads, of which the caller is one; the others are parked between jobs.

    Parameters
    ----------
    size : int
        At least 1.

    Attributes
    ----------
    lock : threading.Lock
        Held by whoever runs a job.
    epoch, active : ndarray [shape=(1,), dtype=int64]
        Counters of the jobs: which one is on, and how many threads are in it.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._start_over()
        _teams.add(self)

    def _start_over(self) -> None:
        """Have no threads yet: in a new team, and in a forked child, which inherits none."""
        self.lock = threading.Lock()
        counters = np.zeros(32, np.int64)
        self.epoch, self.active = counters[:1], counters[16:17]  # on different cache lines
        self._crew: _Crew | None = None

    def run(self, job: Callable[[int], object], needs: object) -> None:
        """Call ``job(0)`` here and ``job(1)`` to ``job(size - 1)`` in the other threads.

        Returns when ``job(0)`` does. Another thread may call the job later than that, when its turn on a busy
        machine comes: the job must see from `epoch` that it is over, and `needs` is kept alive until then.
        The caller holds `lock`. `job` is a C function, possibly partial: no line of Python runs between the
        first thread's waking and the end, so that Ctrl-C cannot come in between.
        """
        steps: list[Callable[[], object]] = [functools.partial(job, 0)]
        if self.size > 1:
            if self._crew is None:
                self._crew = _Crew(self.size - 1)
                weakref.finalize(self, self._crew.dismiss).atexit = False
            order: _Order = (job, needs)
            steps = [*(functools.partial(queue.put, order) for queue in self._crew.queues), *steps]
        collections.deque(map(_call, steps), maxlen=0)
