"""``edgebert embed``: a vector for every line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from edgebert.choices import POOLINGS
from edgebert.cli.formats import Row, RowFormat
from edgebert.cli.help import command
from edgebert.cli.kept import Kept, as_json
from edgebert.cli.lines import Task, Writer, answer_lines, placed
from edgebert.cli.options import LineOptions, line_options, output_option, stride_option
from edgebert.cli.parameters import Text
from edgebert.cli.sparse import embed_sparse
from edgebert.cli.terminal import Terminal

if TYPE_CHECKING:
    import numpy as np

    from edgebert.coverage import OnCoverage
    from edgebert.model import Model
    from edgebert.output import OutputFile
    from edgebert.tables.chunks import Chunk

__all__ = ["embed"]

_SUFFIXES = (".npy", ".jsonl", ".parquet")
_HEADER_BYTES = 128


@command(
    short_help="Give every text a vector.",
    examples=[
        "edgebert embed notes.txt -o notes.npy",
        'edgebert embed --text "A man eats." --text "Someone eats."',
    ],
)
@output_option("Write to OUT.npy, OUT.jsonl or OUT.parquet, whole or not at all.  [default: jsonl to a pipe]")
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
@click.option("--prompt", type=Text(), metavar="TEXT", help="What to put before every text.")
@click.option(
    "--prompt-name", type=Text(), metavar="NAME", help="The model's prompt of this name (edgebert info lists them)."
)
@click.option("--whole", is_flag=True, help="Read long texts whole: a vector is the mean of its windows' vectors.")
@click.option("--chunks", is_flag=True, help="Give each window of a long text a vector and a row, with its place.")
@click.option("--sparse", is_flag=True, help="Give words with weights instead, by a model for masked words (SPLADE).")
@click.option("--tokens", is_flag=True, help="Give each token a vector, by a model for late interaction (ColBERT).")
@click.option("--top-k", type=click.IntRange(min=1), metavar="N", help="With --sparse: how many words.  [default: all]")
@click.option("--query", is_flag=True, help="With --sparse or --tokens: the texts are queries.")
@click.option("--ids", is_flag=True, help="With --sparse: the model's numbers of the words.")
@stride_option
@line_options(windows=False, layouts=False)
def embed(
    options: LineOptions,
    pooling: str | None,
    normalize: bool | None,
    dimensions: int | None,
    prompt: str | None,
    prompt_name: str | None,
    whole: bool,
    chunks: bool,
    *,
    sparse: bool,
    tokens: bool,
    top_k: int | None,
    query: bool,
    ids: bool,
) -> None:
    """Give every text a vector.

    Texts come from FILES, from standard input (-), or from --text: in UTF-8, of plain text every line is one.
    A blank line is a text like any other: row N is the vector of line N, the same that Model.embed gives.
    Of a text that is too long one window is embedded: its beginning, unless the
    model's tokenizer cuts texts on the left. With --whole or --chunks all of it is, in windows that overlap.

    \b
    OUT.npy    NumPy array, float32, shape (texts, dimensions)
    OUT.jsonl  one object a line: text, tokens, windows, truncated, embedding;
               of a table its columns instead of text;
               with --tokens or --pooling none embeddings, a vector a token;
               with --chunks an object for each window: line (of the text, from
               1), text (that of the window), start, end (its place in the whole
               text, in characters from 0), embedding
    OUT.parquet  the same, a row each; embedding is a list of float32

    On a terminal, without -o, the cosines of 2 to 12 texts are shown instead.

    With --tokens every token has a vector, for late interaction: the score of a document is what
    edgebert rank gives it. --query fills the texts up as queries; --whole reads all of a long text.

    With --sparse a vector is words with weights, the best first, and other words than those
    of the text are among them. --whole reads all of a long text then, as if it were one
    window; --query takes the model's weights for the words of queries, where it has them.

    \b
    OUT.jsonl     text, tokens, windows, truncated, embedding: {word: weight, ...}
    OUT.csv       a row for each word: text, word (with --ids: id), weight,
                  tokens, windows, truncated
    OUT.tsv       weight, word, text; without a header
    OUT.parquet   the columns of csv
    """
    if sparse and tokens:
        raise click.UsageError("Give either --sparse, words with weights, or --tokens, a vector for each token.")
    if sparse:
        if pooling is not None or normalize is not None or dimensions is not None or chunks:
            raise click.UsageError(
                "--sparse gives words with weights: leave --pooling, --normalize, --dimensions and --chunks out."
            )
        wanted = {"top_k": top_k, "query": query, "ids": ids, "prompt": prompt, "prompt_name": prompt_name}
        embed_sparse(options, {**wanted, "whole": whole, "stride": options.stride})
        return
    if top_k is not None or ids:
        raise click.UsageError("--top-k and --ids are about words with weights: give them with --sparse.")
    if query and not tokens:
        raise click.UsageError("--query is about words or tokens of queries: give them with --sparse or --tokens.")
    if tokens and (pooling is not None or normalize is not None or dimensions is not None or chunks):
        raise click.UsageError(
            "--tokens gives vectors as the model was trained to: leave --pooling, --normalize, --dimensions and"
            " --chunks out."
        )
    to_stdout = options.output in (None, "-")
    terminal = Terminal.at_stdout() if to_stdout else None
    suffix = ".jsonl" if to_stdout else PurePath(str(options.output)).suffix.lower()
    if suffix not in _SUFFIXES:
        raise click.UsageError(f"OUT is {options.output}, expected a name that ends in {', '.join(_SUFFIXES)}.")
    if suffix == ".npy" and options.prefix:
        raise click.UsageError("--prefix does not go with OUT.npy, which has no columns.")
    of_tokens = pooling == "none" or tokens
    if (of_tokens or chunks) and terminal is not None:
        of = "tokens" if of_tokens else "windows"
        raise click.UsageError(f"Vectors of {of} are not for reading: name a file with -o OUT.jsonl, or pipe them on.")
    if of_tokens and suffix != ".jsonl":
        raise click.UsageError("Vectors of tokens are not as many for each text: name an OUT.jsonl.")
    if of_tokens and (dimensions is not None or normalize is not None):
        raise click.UsageError("Vectors of tokens are given as they are: leave --dimensions and --normalize out.")
    if whole and chunks:
        raise click.UsageError("Give either --whole, one vector for a text, or --chunks, one for each window.")
    if pooling == "none" and (whole or chunks):
        raise click.UsageError("--whole and --chunks join tokens to one vector: leave --pooling none out.")
    if chunks and suffix == ".npy":
        raise click.UsageError("Windows have a place beside their vector: name an OUT.jsonl or OUT.parquet.")
    if options.stride is not None and not (whole or chunks):
        raise click.UsageError("--stride is about windows: give it with --whole or --chunks.")
    windows: dict[str, Any] = {}
    if whole or chunks:
        windows = {"windows": "mean" if whole else "each", "stride": options.stride}

    def ask(model: Model, items: list[Any], on_coverage: OnCoverage) -> Any:
        prompts: dict[str, Any] = {"prompt": prompt, "prompt_name": prompt_name}
        if tokens:
            own: dict[str, Any] = {"query": query, "whole": whole, "stride": options.stride}
            return model.embed_tokens(items, **own, **prompts, on_coverage=on_coverage)
        return model.embed(items, pooling, normalize, dimensions, **prompts, **windows, on_coverage=on_coverage)

    def writer(model: Model, output: OutputFile) -> Writer:
        if terminal is not None:
            from edgebert.cli.similarity import SimilarityWriter

            return SimilarityWriter(output, terminal, sys.stdout.encoding)
        if suffix == ".npy":
            return _NpyWriter(output, dimensions=ask(model, [], lambda *_: None).shape[1])
        form = _CHUNKS if chunks else _VECTORS
        kept = Kept(placed(form, options.inputs), options.prefix, is_table=options.inputs.is_table)
        return _ParquetWriter(output, kept) if suffix == ".parquet" else _JsonlWriter(output, kept, options.prefix)

    answer_lines(options, Task("embed_tokens" if tokens else "embed", ask, "embedded"), writer)


class _NpyWriter:
    """An array of unknown length: its header is written for no rows, and again when all are counted."""

    def __init__(self, output: OutputFile, dimensions: int) -> None:
        self._output, self._dimensions, self._rows = output, dimensions, 0
        output.write(self._header())

    def write(self, rows: Sequence[Row]) -> None:
        self._output.write(b"".join(row.answer.astype("<f4", copy=False).tobytes() for row in rows))
        self._rows += len(rows)

    def finish(self, _: Chunk) -> int:
        self._output.write_at_start(self._header())
        return self._rows

    def _header(self) -> bytes:
        # NPY format 1.0; NumPy's own writer makes headers whose size depends on the number of rows.
        facts = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({self._rows}, {self._dimensions}), }}"
        size = _HEADER_BYTES - 10
        return b"\x93NUMPY\x01\x00" + size.to_bytes(2, "little") + facts.ljust(size - 1).encode() + b"\n"


class _JsonlWriter:
    """One object a line, its numbers as short as float32 can be told apart."""

    def __init__(self, output: OutputFile, kept: Kept, prefix: str) -> None:
        self._output, self._kept, self._prefix, self._rows = output, kept, prefix, 0

    def write(self, rows: Sequence[Row]) -> None:
        lines = [self._line(each) for row in rows for each in _windows_of(row)]
        self._output.write("".join(lines).encode("utf-8", "backslashreplace"))
        self._rows += len(lines)

    def _line(self, row: Row) -> str:
        vector = row.answer.vector if isinstance(row.answer, _Window) else row.answer
        name = self._prefix + ("embedding" if vector.ndim == 1 else "embeddings")
        facts = self._kept.document(row)
        self._kept.check_apart({name} & facts.keys(), row.file)
        return f"{as_json(facts).removesuffix('}')}, {as_json(name)}: {_numbers(vector)}}}\n"

    def finish(self, _: Chunk) -> int:
        """Nothing is left to write."""
        return self._rows


class _ParquetWriter:
    """A row for each vector, which is a list of float32 in the column ``embedding``."""

    def __init__(self, output: OutputFile, kept: Kept) -> None:
        from edgebert.cli.kept_parquet import ParquetAnswers

        self._answers = ParquetAnswers(kept, output)

    def write(self, rows: Sequence[Row]) -> None:
        self._answers.write([each for row in rows for each in _windows_of(row)])

    def finish(self, last: Chunk) -> int:
        return self._answers.finish(last)


class _Window(NamedTuple):
    """A window's vector, and its place in the text [characters]."""

    vector: np.ndarray
    start: int
    end: int


_VECTORS = RowFormat(
    records=lambda row: [{"embedding": row.answer}],
    document=lambda _: {},
    columns=(),
    sheet=("text", "embedding"),
)
_CHUNKS = RowFormat(
    records=lambda row: [{"start": row.answer.start, "end": row.answer.end, "embedding": row.answer.vector}],
    document=lambda row: {"start": row.answer.start, "end": row.answer.end},
    columns=(),
    sheet=("text", "start", "end", "embedding"),
    places=("line",),
    coverage=False,
    replacement=lambda row: row.text,
)
"""Of a window; of a table the window's text stands where the whole text stood."""


def _windows_of(row: Row) -> list[Row]:
    """Return a row for each window of a text that has several vectors, with their places; or the row as it is."""
    if not isinstance(row.answer, tuple):
        return [row]
    return [
        row._replace(text=row.text[start:end], answer=_Window(vector, int(start), int(end)))
        for vector, start, end in zip(*row.answer, strict=True)
    ]


def _numbers(values: np.ndarray) -> str:
    if values.ndim > 1:
        return f"[{', '.join(map(_numbers, values))}]"
    return f"[{', '.join(values.astype(str))}]"
