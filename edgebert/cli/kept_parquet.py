"""Answers as Parquet: behind the columns of a table, which keep their types, or behind plain texts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebert.cli.formats import Row
from edgebert.cli.kept import columns_of, objects_of
from edgebert.tables.parquet import ParquetRows
from edgebert.tables.parquet_writer import ParquetWriter, table_of

if TYPE_CHECKING:
    import pyarrow as pa

    from edgebert.cli.kept import Kept
    from edgebert.output import OutputFile

__all__ = ["ParquetAnswers"]

_TYPES: dict[str, str | None] = {
    **dict.fromkeys(("line", "rank", "start", "end", "mask", "token", "tokens", "windows"), "int64"),
    **dict.fromkeys(("score", "perplexity"), "float64"),
    "truncated": "bool",
    "embedding": None,
}
"""Of the columns of answers; others are text, None is found out. A first row group may have no value of some."""


class ParquetAnswers:
    """A row for each line that csv would have."""

    def __init__(self, kept: Kept, output: OutputFile) -> None:
        self._kept, self._count = kept, 0
        self._writer = ParquetWriter(output.write)
        self._types = {
            name: _TYPES.get(column, "string") for name, column in zip(kept.names, kept.columns, strict=True)
        }

    def write(self, rows: Sequence[Row]) -> None:
        """Take the next texts with their answers."""
        # Columns, and their types, are those of the first objects together.
        together = self._count == 0 and any(objects_of(row) for row in rows)
        self._count += len(rows)
        for _, group in itertools.groupby(rows, key=lambda row: None if together else id(row.chunk)):
            self._add([*group])

    def finish(self) -> int:
        """Write what is left."""
        self._writer.finish()
        return self._count

    def _add(self, rows: Sequence[Row]) -> None:
        """Write some rows."""
        lines = [(row, cells) for row in rows for cells in self._kept.lines(row)]
        columns = columns_of(rows)
        first, place = rows[0].file, f"{rows[0].file} from {rows[0].line} on"
        added = table_of(
            {name: [cells[i] for _, cells in lines] for i, name in enumerate(self._kept.names)}, self._types, place
        )
        if columns:
            self._kept.check_apart({*columns} & {*self._kept.names}, first)
            kept = self._arrow(columns, [row for row, _ in lines], place)
            for name in self._kept.names:
                kept = kept.append_column(added.schema.field(name), added.column(name))
            added = kept
        self._writer.add(added, place)

    def _arrow(self, columns: Sequence[str], rows: Sequence[Row], place: str) -> pa.Table:
        """Return rows of a table as they were read, with another text where the command has one."""
        table = rows[0].chunk.rows if rows[0].chunk else None
        if not isinstance(table, ParquetRows):
            records = [self._kept.record(row) for row in rows]
            return table_of({name: [record.get(name) for record in records] for name in columns}, {}, place)
        kept = table.take([row.at for row in rows])
        if self._kept.replaces:
            kept = table.replace(kept, [self._kept.replacement(row) for row in rows])
        return kept
