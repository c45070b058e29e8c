"""One thread at a time, and none that waits for ever: not after Ctrl-C, and not for a call that it is in itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from edgebert.errors import EdgebertError

__all__ = ["Turn"]

_Result = TypeVar("_Result")


class Turn:
    """What one thread at a time may do.

    Parameters
    ----------
    name : str
        What is done, as messages call it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        # Of an owner, so that a signal handler that strikes between two lines of `take` does not wait for itself.
        self._lock = threading.RLock()
        self._busy = False

    def take(self, work: Callable[[], _Result]) -> _Result:
        """Call `work` when no other thread is at it, and return what it returns.

        Raises
        ------
        EdgebertError
            When this very thread is at it: a signal handler or a finalizer calls what it has interrupted.
        """
        taken: list[bool] = []
        try:
            # Taken and noted in one call into C. Of a `with` statement Ctrl-C can leave the lock held (CPython 148874).
            taken.extend(map(self._lock.acquire, (True,)))
            if self._busy:
                raise EdgebertError(
                    f"{self._name} was interrupted, and is called again from there: by a signal handler or a finalizer;"
                    " let that set a flag, and call the model when the first call has returned"
                )
            try:
                self._busy = True
                return work()
            finally:
                self._busy = False
        finally:
            if taken:
                self._lock.release()
