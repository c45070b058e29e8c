"""``edgebert embed``: a vector for every line."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

import click

import edgebert
from edgebert.cli.options import (
    check_apart,
    errors_option,
    file_argument,
    model_option,
    report_truncated,
    text_option,
    threads_option,
)
from edgebert.cli.progress import show_progress
from edgebert.cli.texts import open_texts
from edgebert.destination import Destination, open_destination

if TYPE_CHECKING:
    import numpy as np

__all__ = ["embed"]

_HEADER_BYTES = 128


@click.command()
@file_argument
@text_option
@model_option
@threads_option
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help="Write to OUT.npy or OUT.jsonl, whole or not at all.  [default: jsonl to a pipe]",
)
@errors_option
def embed(
    file: str | None,
    texts: tuple[str, ...],
    model: str | None,
    threads: int | None,
    output: str | None,
    errors: str,
) -> None:
    """Give every text a vector.

    Texts come from FILE, from standard input (-), or from --text; one a line, in UTF-8.
    A blank line is a text like any other: row N is the vector of line N, the same that Model.embed gives.

    \b
    OUT.npy    NumPy array, float32, shape (texts, hidden size)
    OUT.jsonl  one object a line: text, embedding
    """
    to_stdout = output in (None, "-")
    if to_stdout and sys.stdout is not None and sys.stdout.isatty():
        raise click.UsageError("Vectors are not for reading: name a file with -o OUT.npy, or pipe them on.")
    suffix = ".jsonl" if to_stdout else PurePath(str(output)).suffix.lower()
    if suffix not in (".npy", ".jsonl"):
        raise click.UsageError(f"OUT is {output}, expected a name that ends in .npy or .jsonl.")
    check_apart(file, output)
    with open_texts(file, texts, errors) as source, open_destination(output) as destination:
        loaded = edgebert.load(model, threads=threads)
        writer: _NpyWriter | _JsonlWriter
        if suffix == ".npy":
            writer = _NpyWriter(destination, loaded.hidden_size)
        else:
            writer = _JsonlWriter(destination)
        count = truncated = 0
        with show_progress(source.total, visible=True) as advance:
            for chunk in source:
                cut: dict[int, int] = {}  # index -> tokens
                writer.write(chunk, loaded.embed(chunk, on_truncated=cut.__setitem__))
                truncated += len(cut)
                count += len(chunk)
                advance(source.done, count)
        writer.finish()
    report_truncated(truncated, loaded.max_length, "embedded")


class _NpyWriter:
    """An array of unknown length: its header is written for no rows, and again when all are counted."""

    def __init__(self, destination: Destination, hidden_size: int) -> None:
        self._destination = destination
        self._hidden_size = hidden_size
        self._rows = 0
        destination.write(self._header())

    def write(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        self._destination.write(vectors.astype("<f4", copy=False).tobytes())
        self._rows += len(texts)

    def finish(self) -> None:
        self._destination.write_at_start(self._header())

    def _header(self) -> bytes:
        # NPY format 1.0; NumPy's own writer makes headers whose size depends on the number of rows.
        facts = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({self._rows}, {self._hidden_size}), }}"
        size = _HEADER_BYTES - 10
        return b"\x93NUMPY\x01\x00" + size.to_bytes(2, "little") + facts.ljust(size - 1).encode() + b"\n"


class _JsonlWriter:
    """One object a line, its numbers as short as float32 can be told apart."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination

    def write(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        lines = (
            f'{{"text": {json.dumps(text, ensure_ascii=False)}, "embedding": [{", ".join(vector)}]}}\n'
            for text, vector in zip(texts, vectors.astype(str), strict=True)
        )
        self._destination.write("".join(lines).encode())

    def finish(self) -> None:
        """Nothing is left to write."""
