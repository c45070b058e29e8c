"""How far a question is that takes long: told from within, batch by batch, to whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

__all__ = ["Show", "in_turn", "tell", "watched"]

Show = Callable[[float], object]
"""Is told which share of the work is done, from 0 to 1."""

_show: ContextVar[Show | None] = ContextVar("_show", default=None)  # each thread has its own
_T = TypeVar("_T")


@contextmanager
def watched(show: Show | None) -> Iterator[None]:
    """Let `show` be told how far the work of a block is, which is one question to a model; None for nobody."""
    before = _show.set(show)
    try:
        yield
    finally:
        _show.reset(before)


def tell(done: int, total: int) -> None:
    """Say how much of the work is done; not when it is all done, which who asked will see."""
    show = _show.get()
    if show is not None and done < total:
        show(done / total)


def in_turn(items: Sequence[_T]) -> Iterator[_T]:
    """Yield items; what is told while one of them is worked on is about its share of the whole."""
    show = _show.get()
    if show is None:
        yield from items
        return
    for index, item in enumerate(items):
        if index:
            show(index / len(items))
        _show.set(lambda done, index=index: show((index + done) / len(items)))  # type: ignore[misc]
        yield item
    _show.set(show)  # where it ends before, by an exception, so does the block that is watched
