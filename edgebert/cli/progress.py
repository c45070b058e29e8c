"""A progress bar on stderr, for people who wait."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

import click

__all__ = ["show_progress"]

PATIENCE = 1.0
"""Work shorter than this shows no bar [seconds]."""


class Advance(Protocol):
    """Tell the bar how far the work is: `done` bytes of the total, `texts` in all."""

    def __call__(self, done: int, texts: int) -> None: ...


@contextmanager
def show_progress(total: int | None, visible: bool, label: str = "texts") -> Iterator[Advance]:
    """Show a bar for the length of a block, if it takes longer than `PATIENCE`.

    Parameters
    ----------
    total : int or None
        The size of the work [bytes]; None when it is not known: then the texts are counted.
    label : str
        What is counted then.
    visible : bool
        Whether there may be a bar; there is none either when stderr is not a terminal.
    """
    started = time.monotonic()
    shown = 0
    bar = None
    possible = visible and sys.stderr is not None and sys.stderr.isatty()

    def advance(done: int, texts: int) -> None:
        nonlocal bar, shown
        if not possible or time.monotonic() - started < PATIENCE:
            return
        if bar is None:
            bar = stack.enter_context(_bar(total, label))
        position = texts if total is None else done
        bar.update(position - shown)
        shown = position

    with ExitStack() as stack:
        yield advance


def _bar(total: int | None, label: str):  # type: ignore[no-untyped-def] # click does not export the type
    if total is None:
        # A bar of an unknown length has nothing to show; the count has.
        template = "%(label)s: %(info)s"
        return click.progressbar(
            itertools.repeat(None), show_pos=True, label=label, bar_template=template, file=sys.stderr
        )
    return click.progressbar(length=total, show_eta=True, file=sys.stderr)
