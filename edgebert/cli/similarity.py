"""Similar texts as a matrix, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from edgebert.cli.drawing import drawn, rule
from edgebert.cli.terminal import Terminal, clip

if TYPE_CHECKING:
    import numpy as np

    from edgebert.cli.formats import Row
    from edgebert.output import OutputFile
    from edgebert.tables.chunks import Chunk

__all__ = ["MOST_TEXTS", "SimilarityWriter", "similarity_table"]

MOST_TEXTS = 12
"""Texts that a matrix may have: more fit no terminal."""
_STYLES = ((0.999, "dim"), (0.7, "bold green"), (0.4, "yellow"), (-1.0, "dim"))
"""Cosines from each on, the first that fits: a text and itself, alike, akin, different."""
_CELL = 6
_LEAST_TEXT = 10


def similarity_table(texts: Sequence[str], cosines: np.ndarray, terminal: Terminal) -> str:
    """Return a line for each text: its number, its cosines to all of them, and what fits of the text itself.

    Parameters
    ----------
    texts : sequence of str
    cosines : ndarray [shape=(texts, texts)]
    terminal : Terminal
    """
    from rich.text import Text

    left = (terminal.columns or 80) - 3 - _CELL * len(texts) - 2
    width = max(left, _LEAST_TEXT)
    header = Text("   " + "".join(f"{i:>{_CELL}}" for i in range(1, len(texts) + 1)) + "  text", "bold")
    lines = [drawn(header, terminal.colour), rule(terminal.columns or 80, terminal)]
    for i, (text, row) in enumerate(zip(texts, cosines.tolist(), strict=True), start=1):
        cells = [Text(f"{value:{_CELL}.2f}", _style(value)) for value in row]
        line = Text.assemble((f"{i:>3}", "bold"), *cells, "  ", clip(text, width))
        lines.append(drawn(line, terminal.colour))
    return "".join(f"{line}\n" for line in lines)


def _style(cosine: float) -> str:
    return next((style for least, style in _STYLES if cosine >= least), "dim")


class SimilarityWriter:
    """Keep the vectors of a few texts, and show how similar these are when all are there."""

    def __init__(self, output: OutputFile, terminal: Terminal, encoding: str) -> None:
        self._output, self._terminal, self._encoding = output, terminal, encoding
        self._rows: list[Row] = []

    def write(self, rows: Sequence[Row]) -> None:
        """Take texts with their vectors; refuse more than can be shown."""
        self._rows += rows
        if len(self._rows) > MOST_TEXTS:
            raise click.UsageError(
                f"A terminal shows how similar 2 to {MOST_TEXTS} texts are, and these are more: name a file for their"
                " vectors with -o OUT.npy, or pipe them on."
            )

    def finish(self, _: Chunk) -> int:
        """Show the matrix."""
        import numpy as np

        from edgebert.heads.pooling import unit
        from edgebert.tasks.similarity import cosines

        if not self._rows:
            return 0
        if len(self._rows) < 2:
            raise click.UsageError("Vectors are not for reading: name a file with -o OUT.npy, or pipe them on.")
        units = np.stack([unit(row.answer) for row in self._rows])
        table = similarity_table([row.text for row in self._rows], cosines(units, units), self._terminal)
        self._output.write(table.encode(self._encoding, "replace"))
        return len(self._rows)
