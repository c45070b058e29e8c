"""What a bar says: how much, how fast, and how long it may take."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace

import pytest

from edgebert.cli import progress
from edgebert.cli.progress import between, show_progress, show_steps


class Screen(io.StringIO):
    """A terminal that keeps what it is shown."""

    def isatty(self) -> bool:
        return True

    def last(self) -> str:
        """Return the line that stands there now, without its bar."""
        lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue()).replace("\n", "\r").split("\r")
        return next(line for line in reversed(lines) if line.strip()).lstrip("━╸╺ ").strip()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    shown = Screen()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=shown))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return shown


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the bar, which a test moves on."""
    now = [100.0]
    monkeypatch.setattr(progress, "_now", lambda: now[0])
    return now


def test_a_bar_of_bytes_counts_texts(screen: Screen, clock: list[float]) -> None:
    with show_progress(200, visible=True) as advance:
        clock[0] += 10
        advance(50, 4000)
        assert screen.last() == "25% 4,000 texts  400 texts/s  0:30 left"
        clock[0] += 10
        advance(200, 16000)
        assert screen.last() == "100% 16,000 texts  800 texts/s  0:00 left"


def test_steps_are_few_and_take_long(screen: Screen, clock: list[float]) -> None:
    with show_steps("layers") as on_progress:
        clock[0] += 5
        on_progress(0, 12)
        assert screen.last() == "0% 0 layers"
        clock[0] += 5
        on_progress(1, 13)
        assert screen.last() == "8% 1 layers  10.0 s each  2:00 left"


def test_a_pipe_has_a_count(screen: Screen, clock: list[float]) -> None:
    with show_progress(None, visible=True, label="rows") as advance:
        clock[0] += 4
        advance(1, 12000)
        assert screen.last() == "12,000 rows  3,000 rows/s"


def test_a_part_of_a_text(screen: Screen, clock: list[float]) -> None:
    with show_progress(200, visible=True) as advance:
        told = between(advance, (0, 0), (200, 1))
        for share, shown in (
            (0.25, "25% 0.2 texts  40.0 s each  0:30 left"),
            (1, "100% 1 texts  20.0 s each  0:00 left"),
        ):
            clock[0] += 10
            told(share)
            assert screen.last() == shown
        between(advance, (0, 4000), (200, 4001))(0.5)
    assert screen.last() == "50% 4,000 texts  200 texts/s  0:20 left"


def test_many_small_steps_are_not_all_drawn(screen: Screen, clock: list[float]) -> None:
    with show_progress(2000, visible=True) as advance:
        clock[0] += 5
        for step in range(1000):
            clock[0] += 0.001
            advance(step, step)
        assert 5 < len(set(re.findall(r"(\d+) texts ", screen.getvalue()))) < 50


@pytest.mark.parametrize("visible", [True, False])
def test_short_work_and_work_that_is_seen_have_none(visible: bool, screen: Screen, clock: list[float]) -> None:
    with show_progress(200, visible=visible) as advance:
        clock[0] += 0.9 if visible else 9
        advance(50, 4000)
    assert screen.getvalue() == ""
