"""``edgebert embed``: a vector for every line."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click

from edgebert.choices import POOLINGS
from edgebert.cli.formats import Row
from edgebert.cli.help import command
from edgebert.cli.lines import Task, Writer, answer_lines
from edgebert.cli.options import LineOptions, line_options, output_option
from edgebert.cli.terminal import Terminal

if TYPE_CHECKING:
    import numpy as np

    from edgebert.coverage import OnCoverage
    from edgebert.model import Model
    from edgebert.output import OutputFile

__all__ = ["embed"]

_HEADER_BYTES = 128


@command(
    short_help="Give every text a vector.",
    examples=[
        "edgebert embed notes.txt -o notes.npy -m minilm.edgebert",
        'edgebert embed --text "A man eats." --text "Someone eats." -m minilm.edgebert',
    ],
)
@output_option("Write to OUT.npy or OUT.jsonl, whole or not at all.  [default: jsonl to a pipe]")
@click.option(
    "--pooling",
    type=click.Choice([*POOLINGS, "none"]),
    help="What makes a vector of a text's tokens; none leaves one for each token.  [default: as the model was trained]",
)
@click.option(
    "--normalize/--no-normalize",
    default=None,
    help="Whether vectors have length one.  [default: as the model was trained]",
)
@click.option(
    "--dimensions", type=click.IntRange(min=1), metavar="N", help="Keep only the first N values, before normalising."
)
@click.option("--prompt", metavar="TEXT", help="What to put before every text.")
@click.option("--prompt-name", metavar="NAME", help="The model's prompt of this name (edgebert info lists them).")
@line_options(windows=False, layouts=False)
def embed(
    options: LineOptions,
    pooling: str | None,
    normalize: bool | None,
    dimensions: int | None,
    prompt: str | None,
    prompt_name: str | None,
) -> None:
    """Give every text a vector.

    Texts come from FILE, from standard input (-), or from --text; one a line, in UTF-8.
    A blank line is a text like any other: row N is the vector of line N, the same that Model.embed gives.
    Of a text that is too long one window is embedded: its beginning, unless the
    model's tokenizer cuts texts on the left.

    \b
    OUT.npy    NumPy array, float32, shape (texts, dimensions)
    OUT.jsonl  one object a line: text, embedding, tokens, windows, truncated;
               with --pooling none embeddings, a list of a vector for each token

    On a terminal, without -o, the cosines of 2 to 12 texts are shown instead.
    """
    to_stdout = options.output in (None, "-")
    terminal = Terminal.at_stdout() if to_stdout else None
    suffix = ".jsonl" if to_stdout else PurePath(str(options.output)).suffix.lower()
    if suffix not in (".npy", ".jsonl"):
        raise click.UsageError(f"OUT is {options.output}, expected a name that ends in .npy or .jsonl.")
    of_tokens = pooling == "none"
    if of_tokens and terminal is not None:
        raise click.UsageError("Vectors of tokens are not for reading: name a file with -o OUT.jsonl, or pipe them on.")
    if of_tokens and suffix == ".npy":
        raise click.UsageError("Vectors of tokens are not as many for each text: name an OUT.jsonl.")
    if of_tokens and (dimensions is not None or normalize is not None):
        raise click.UsageError("Vectors of tokens are given as they are: leave --dimensions and --normalize out.")

    def ask(model: Model, items: list[Any], on_coverage: OnCoverage) -> Any:
        return model.embed(
            items, pooling, normalize, dimensions, prompt=prompt, prompt_name=prompt_name, on_coverage=on_coverage
        )

    def writer(model: Model, output: OutputFile) -> Writer:  # noqa: ARG001 (as every writer)
        if terminal is not None:
            from edgebert.cli.similarity import SimilarityWriter

            return SimilarityWriter(output, terminal, sys.stdout.encoding)
        if suffix == ".npy":
            return _NpyWriter(output)
        return _JsonlWriter(output)

    answer_lines(options, Task("embed", ask, "embedded"), writer)


class _NpyWriter:
    """An array of unknown length: its header is written for no rows, and again when all are counted."""

    def __init__(self, output: OutputFile) -> None:
        self._output = output
        self._rows = self._dimensions = 0
        output.write(self._header())

    def write(self, rows: Sequence[Row]) -> None:
        self._output.write(b"".join(row.answer.astype("<f4", copy=False).tobytes() for row in rows))
        self._dimensions = len(rows[0].answer) if rows else self._dimensions
        self._rows += len(rows)

    def finish(self) -> int:
        self._output.write_at_start(self._header())
        return self._rows

    def _header(self) -> bytes:
        # NPY format 1.0; NumPy's own writer makes headers whose size depends on the number of rows.
        facts = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({self._rows}, {self._dimensions}), }}"
        size = _HEADER_BYTES - 10
        return b"\x93NUMPY\x01\x00" + size.to_bytes(2, "little") + facts.ljust(size - 1).encode() + b"\n"


class _JsonlWriter:
    """One object a line, its numbers as short as float32 can be told apart."""

    def __init__(self, output: OutputFile) -> None:
        self._output, self._rows = output, 0

    def write(self, rows: Sequence[Row]) -> None:
        self._output.write("".join(map(self._line, rows)).encode())
        self._rows += len(rows)

    @staticmethod
    def _line(row: Row) -> str:
        name = "embedding" if row.answer.ndim == 1 else "embeddings"
        facts = json.dumps({"text": row.text, **row.coverage._asdict()}, ensure_ascii=False)
        return f'{facts.removesuffix("}")}, "{name}": {_numbers(row.answer)}}}\n'

    def finish(self) -> int:
        """Nothing is left to write."""
        return self._rows


def _numbers(values: np.ndarray) -> str:
    if values.ndim > 1:
        return f"[{', '.join(map(_numbers, values))}]"
    return f"[{', '.join(values.astype(str))}]"
