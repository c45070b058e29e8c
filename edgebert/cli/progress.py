"""Progress bars on stderr, for people who wait."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic as _now
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Advance", "between", "show_progress", "show_steps"]

PATIENCE = 1.0
"""Work shorter than this shows no bar [seconds]."""
_PAUSE = 0.1
"""Between two drawings, so that work of many small steps does not wait for them [seconds]."""


_FEW = 10
"""Of so many a part of one is worth telling."""


class Advance(Protocol):
    """Tell the bar how far the work is: `done` bytes of the total, `texts` in all, the last of them in part."""

    def __call__(self, done: float, texts: float) -> None: ...


@contextmanager
def show_progress(total: int | None, visible: bool, label: str = "texts") -> Iterator[Advance]:
    """Show a bar for the length of a block, if it takes longer than `PATIENCE`.

    Parameters
    ----------
    total : int or None
        The size of the work [bytes]; None when it is not known: then the texts are counted.
    label : str
        What is counted.
    visible : bool
        Whether there may be a bar; there is none either when stderr is not a terminal.
    """
    bar = _Bar(visible, label)
    try:
        yield lambda done, texts: bar.show(done, total, texts)
    finally:
        bar.close()


def between(advance: Advance, here: tuple[float, float], there: tuple[float, float]) -> Callable[[float], None]:
    """Return what tells a bar which share of the way between two of its places, (done, texts), lies behind."""
    return lambda share: advance(*(begin + (end - begin) * share for begin, end in zip(here, there, strict=True)))


@contextmanager
def show_steps(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for what tells itself how many of how many steps are done; `label` is what these are called."""
    bar = _Bar(True, label)
    try:
        yield lambda done, total: bar.show(done, total, done)
    finally:
        bar.close()


class _Bar:
    """A bar that appears when the work has taken long enough, and goes when it is done."""

    def __init__(self, visible: bool, label: str) -> None:
        self._possible = visible and sys.stderr is not None and sys.stderr.isatty()
        self._label, self._started = label, _now()
        self._progress: Progress | None = None
        self._count: float = 0
        self._drawn = 0.0
        self._end: float | None = None

    def show(self, done: float, total: int | None, count: float) -> None:
        """Show that so much is done, which is so many of what is counted."""
        self._count, now = count, _now()
        if not self._possible or now - self._started < PATIENCE:
            return
        if total and done:
            self._end = self._started + (now - self._started) * total / done
        if self._progress is None:
            self._progress = self._open(total)
        draw = now - self._drawn >= _PAUSE
        self._drawn = now if draw else self._drawn
        self._progress.update(self._progress.task_ids[0], completed=done, refresh=draw)

    def close(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()

    def _open(self, total: int | None) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn
        from rich.table import Column
        from rich.text import Text

        class Told(ProgressColumn):
            """What is drawn anew from time to time, for the time goes on."""

            def render(column, task: Task) -> Text:  # noqa: ARG002, N805 (self is the bar)
                return Text(self._told())

        bar = [BarColumn(bar_width=24), TaskProgressColumn()] if total else []
        progress = Progress(
            *bar,
            Told(Column(no_wrap=True)),
            console=Console(file=sys.stderr),
            transient=True,
            refresh_per_second=4,
            redirect_stdout=False,  # rows go there as bytes
        )
        progress.add_task("", total=total)
        progress.start()
        return progress

    def _told(self) -> str:
        """Return how many there are, how fast they come, and how long it may take."""
        now = _now()
        seconds = now - self._started
        few = self._count < _FEW and self._count != int(self._count)  # one of them, say a book, may take long
        parts = [f"{self._count:.1f} {self._label}" if few else f"{int(self._count):,} {self._label}"]
        if self._count > seconds:
            parts.append(f"{self._count / seconds:,.0f} {self._label}/s")
        elif self._count:
            parts.append(f"{seconds / self._count:.1f} s each")
        if self._end is not None:
            minutes, left = divmod(round(max(self._end - now, 0)), 60)
            parts.append(f"{minutes}:{left:02d} left")
        return "  ".join(parts)
