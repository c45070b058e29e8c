"""Parquet, by pyarrow, which is imported only for it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgebert.errors import InputError
from edgebert.tables import chunks
from edgebert.tables.chunks import Chunk
from edgebert.tables.columns import cell_text, check_names, choose_columns
from edgebert.tables.stream import shown_name, unreadable

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetRows", "ParquetStream", "pyarrow", "read_parquet"]

_MAGIC = b"PAR1"
_BUFFER_BYTES = 1 << 20
"""Of each column, read at once: a row group may be larger than the memory."""


def pyarrow(file: str) -> ModuleType:
    """Return the package, with its module for Parquet.

    Raises
    ------
    InputError
        When it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(f"{file} is Parquet, which needs pyarrow: pip install 'edgebert[tables]'") from error
    return pyarrow


class ParquetRows:
    """Rows with the types that they have in the file.

    Attributes
    ----------
    columns, chosen : tuple of str
        As `Rows` says.
    batch : pyarrow.RecordBatch
    """

    def __init__(self, batch: pa.RecordBatch, chosen: tuple[str, ...]) -> None:
        self.columns, self.chosen, self.batch = tuple(batch.schema.names), chosen, batch
        self._records: list[dict[str, Any]] | None = None

    def record(self, index: int) -> dict[str, Any]:
        """Return a row: name of a column -> value."""
        if self._records is None:
            self._records = self.batch.to_pylist()
        return self._records[index]

    def take(self, indices: Sequence[int]) -> pa.Table:
        """Return some of the rows, with their types."""
        import pyarrow as pa

        return pa.Table.from_batches([self.batch]).take(pa.array(indices, pa.int64()))

    def replace(self, table: pa.Table, texts: Sequence[str | None]) -> pa.Table:
        """Return rows with other texts in the column that the texts are in; with None a row keeps its own.

        A column of text keeps its type, one of anything else becomes text, whether a row has another one or not.
        """
        import pyarrow as pa

        index = table.schema.get_field_index(self.chosen[0])
        field = table.schema.field(index)
        own = table.column(index).to_pylist()
        if not _is_text(field.type):
            field = field.with_type(pa.string())
            own = [None if value is None else cell_text(value, "", field.name) for value in own]
        elif pa.types.is_dictionary(field.type):  # with room for more values than it had
            field = field.with_type(pa.dictionary(pa.int32(), field.type.value_type, field.type.ordered))
        values = [mine if text is None else text for mine, text in zip(own, texts, strict=True)]
        return table.set_column(index, field, pa.array(values, field.type))


class ParquetStream:
    """An open file, counted as `ByteStream` counts one."""

    def __init__(self, path: str) -> None:
        self.name = name = shown_name(path)
        self.total: int | None = None
        self.done = 0
        package = pyarrow(name)
        try:
            self.total = os.path.getsize(path)
            with open(path, "rb") as file:
                start = file.read(len(_MAGIC))
        except OSError as error:
            raise unreadable(path, error) from error
        if start != _MAGIC:
            raise InputError(f"{name} is no Parquet file (it begins with {start!r}): name its kind with --input")
        try:
            self.file = package.parquet.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        except (OSError, package.ArrowException) as error:
            raise _damaged(name, error) from error

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield its rows, a bounded number at once; of a file without rows one batch without any."""
        package = pyarrow(self.name)
        rows, total = 0, max(self.file.metadata.num_rows, 1)
        size = self.total or 0
        try:
            for batch in self.file.iter_batches(batch_size=chunks.CHUNK_LINES, use_threads=False):
                rows += batch.num_rows
                self.done = size * rows // total
                yield batch
            if not rows:
                yield package.RecordBatch.from_pylist([], self.file.schema_arrow)
        except (OSError, package.ArrowException) as error:
            raise _damaged(self.name, error) from error


def read_parquet(stream: ParquetStream, wanted: Sequence[str], *, pairs: bool = False) -> Iterator[Chunk]:
    """Yield the rows of a file.

    Parameters
    ----------
    stream : ParquetStream
    wanted : sequence of str
        The columns that the user named.
    pairs : bool
        Whether a text is two columns.

    Raises
    ------
    InputError
        When the file is damaged, or the columns are not clear or hold no text.
    """
    schema = stream.file.schema_arrow
    check_names(schema.names, stream.name)
    strings = [field.name for field in schema if _is_text(field.type)]
    chosen = choose_columns(schema.names, wanted, stream.name, count=1 + pairs, strings=strings)
    number = 1
    for batch in stream.batches():
        columns = [
            [
                value if type(value) is str else cell_text(value, f"{stream.name}: row {row}", name)
                for row, value in enumerate(batch.column(name).to_pylist(), start=number)
            ]
            for name in chosen
        ]
        texts = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        lines = range(number, number + batch.num_rows)
        yield Chunk(texts, stream.name, lines, unit=": row ", rows=ParquetRows(batch, chosen))
        number += batch.num_rows


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))


def _damaged(name: str, error: Exception) -> InputError:
    return InputError(f"{name} could not be read as Parquet: {str(error).splitlines()[0]}")
