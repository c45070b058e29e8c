"""Tables in Markdown, which read well in a terminal too, and figures for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["percent_of_peak", "print_table", "show_progress", "write_json"]

_MOST = 1.05
"""Of a peak that was measured itself; what is above that was not measured while the computer was idle."""
_IMPOSSIBLE = "?? %"


def percent_of_peak(share: float) -> str:
    """Return a share of a peak in percent, or a mark where it is none that could be."""
    return f"{100 * share:.0f} %" if 0 <= share <= _MOST else _IMPOSSIBLE


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a header: the first column to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for row in [cells[0], rule, *cells[1:]]:
        padded = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        print(f"| {' | '.join(padded)} |")
    if any(_IMPOSSIBLE in cell for row in cells for cell in row):
        print(f"{_IMPOSSIBLE}: more than the peak, which cannot be; something else ran on the computer: measure again")
    print(flush=True)


def show_progress(text: str) -> None:
    """Say on a terminal what was measured last."""
    if sys.stderr.isatty():
        print(f"\r{text:<60}\r", end="", file=sys.stderr, flush=True)


def write_json(path: Path | None, environment: dict[str, str], **results: Any) -> None:
    """Write what was measured, with its environment; do nothing without a path."""
    if path is not None:
        path.write_text(json.dumps({"environment": environment, **results}, indent=1) + "\n", "utf-8")
