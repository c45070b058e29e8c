"""Answers as Parquet: behind the columns of a table, which keep their types, or behind plain texts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebert.cli.formats import Row
from edgebert.cli.kept import columns_of, objects_of
from edgebert.tables.parquet import ParquetRows, pyarrow
from edgebert.tables.parquet_writer import ParquetWriter, table_of

if TYPE_CHECKING:
    import pyarrow as pa

    from edgebert.cli.kept import Kept
    from edgebert.output import OutputFile
    from edgebert.tables.chunks import Chunk

__all__ = ["ParquetAnswers"]

_TYPES = {
    **dict.fromkeys(
        ("line", "rank", "start", "end", "mask", "token", "tokens", "windows", "text_index", "id"), "int64"
    ),
    **dict.fromkeys(("score", "cosine", "perplexity", "weight"), "float64"),
    "truncated": "bool",
}
"""Of the columns of answers; others are text. A first row group may have no value of some."""


class ParquetAnswers:
    """A row for each line that csv would have."""

    def __init__(self, kept: Kept, output: OutputFile) -> None:
        self._kept, self._count = kept, 0
        self._writer = ParquetWriter(output.write)
        package = pyarrow("the output")
        types = {**_TYPES, "embedding": package.list_(package.float32())}
        self._types = {name: types.get(column, "string") for name, column in zip(kept.names, kept.columns, strict=True)}

    def write(self, rows: Sequence[Row]) -> None:
        """Take the next texts with their answers."""
        # Columns, and their types, are those of the first objects together.
        together = self._count == 0 and any(objects_of(row) for row in rows)
        self._count += len(rows)
        for _, group in itertools.groupby(rows, key=lambda row: None if together else id(row.chunk)):
            some = [*group]
            self._add(some, columns_of(some), some[0].chunk, f"{some[0].file} from {some[0].line} on")

    def finish(self, last: Chunk) -> int:
        """Write what is left; where there was no row, the columns alone."""
        if self._count == 0:
            self._add([], last.rows.columns if last.rows else (), last, last.file)
        self._writer.finish()
        return self._count

    def _add(self, rows: Sequence[Row], columns: Sequence[str], chunk: Chunk | None, place: str) -> None:
        """Write some rows, or none, of a table with these columns that a chunk is of."""
        lines = [(row, cells) for row in rows for cells in self._kept.lines(row)]
        added = table_of(
            {name: [cells[i] for _, cells in lines] for i, name in enumerate(self._kept.names)}, self._types, place
        )
        if columns:
            self._kept.check_apart({*columns} & {*self._kept.names}, chunk.file if chunk else "")
            kept = self._arrow([row for row, _ in lines], columns, chunk, place)
            for name in self._kept.names:
                kept = kept.append_column(added.schema.field(name), added.column(name))
            added = kept
        self._writer.add(added, place)

    def _arrow(self, rows: Sequence[Row], columns: Sequence[str], chunk: Chunk | None, place: str) -> pa.Table:
        """Return rows of a table as they were read, with another text where the command has one."""
        table = chunk.rows if chunk else None
        if not isinstance(table, ParquetRows):
            records = [self._kept.record(row) for row in rows]
            return table_of({name: [record.get(name) for record in records] for name in columns}, {}, place)
        kept = table.take([row.at for row in rows])
        if self._kept.replaces:
            kept = table.replace(kept, [self._kept.replacement(row) for row in rows])
        return kept
