"""Tables in Markdown, which read well in a terminal too, and figures for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["print_table", "show_progress", "write_json"]


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a header: the first column to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for row in [cells[0], rule, *cells[1:]]:
        padded = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        print(f"| {' | '.join(padded)} |")
    print(flush=True)


def show_progress(text: str) -> None:
    """Say on a terminal what was measured last."""
    if sys.stderr.isatty():
        print(f"\r{text:<60}\r", end="", file=sys.stderr, flush=True)


def write_json(path: Path | None, environment: dict[str, str], **results: Any) -> None:
    """Write what was measured, with its environment; do nothing without a path."""
    if path is not None:
        path.write_text(json.dumps({"environment": environment, **results}, indent=1) + "\n", "utf-8")
