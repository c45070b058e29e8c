"""Tables written as Parquet, a bounded number of rows at once."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from edgebert.errors import InputError
from edgebert.tables.jsonl import half_pair
from edgebert.tables.parquet import pyarrow

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetWriter", "table_of"]

_ROWS = 1 << 16
_BYTES = 1 << 25
"""Of a row group, at most about so much: what is held in memory until it is written."""


def table_of(columns: Mapping[str, Sequence[Any]], types: Mapping[str, str | pa.DataType], place: str) -> pa.Table:
    """Return columns of values as a table.

    Parameters
    ----------
    columns : mapping of str to sequence
    types : mapping of str to str or pyarrow.DataType
        Of a column -> its type, or pyarrow's name of it; those of others are found.
    place : str
        How messages call what the values are from.

    Raises
    ------
    InputError
        When the values of a column are of several types.
    """
    package = pyarrow("the output")
    arrays = {}
    for name, values in columns.items():
        try:
            arrays[name] = package.array(values, types.get(name))
        except UnicodeEncodeError as error:
            raise half_pair(place, error.object[error.start], ".parquet") from error
        except (package.ArrowException, OverflowError) as error:
            raise _mixed(name, place, error) from error
    return package.table(arrays)


class ParquetWriter:
    """A Parquet file, whose columns are those of the first table that is written.

    Parameters
    ----------
    write : callable
        Takes the next bytes of the file.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._package = pyarrow("the output")
        self._sink = _Sink(write)
        self._tables: list[pa.Table] = []
        self._rows = self._bytes = 0
        self._writer: Any = None

    def add(self, table: pa.Table, place: str) -> None:
        """Take the next rows; messages call what they are from `place`.

        Raises
        ------
        InputError
            When a column has another type than before.
        """
        if self._writer is None:
            schema = self._package.schema(
                [_known(self._package, field) for field in table.schema], table.schema.metadata
            )
            self._writer = self._package.parquet.ParquetWriter(self._sink, schema)
        names, known = table.schema.names, self._writer.schema.names
        if new := [name for name in names if name not in known]:
            raise InputError(
                f"{place} there is a key {new[0]!r} that the first objects have not, and Parquet's columns are fixed by"
                " then: let -o be a .jsonl"
            )
        for name in known:
            if name not in names:
                table = table.append_column(name, self._package.nulls(table.num_rows))
        try:
            self._tables.append(table.select(known).cast(self._writer.schema))
        except self._package.ArrowException as error:
            raise _mixed(_differing(table.schema, self._writer.schema), place, error) from error
        self._rows += table.num_rows
        self._bytes += table.nbytes
        if self._rows >= _ROWS or self._bytes >= _BYTES:
            self._write()

    def finish(self) -> None:
        """Write what is left, and the end of the file."""
        if self._tables:
            self._write()
        if self._writer is not None:
            self._writer.close()

    def _write(self) -> None:
        self._writer.write_table(self._package.concat_tables(self._tables))
        self._tables, self._rows, self._bytes = [], 0, 0


def _known(package: Any, field: pa.Field) -> pa.Field:
    """Return a field as it is; as text where no value of it has been seen, so that its type is not known."""
    return field.with_type(package.string()) if package.types.is_null(field.type) else field


def _differing(schema: pa.Schema, expected: pa.Schema) -> str:
    return next((each.name for each in expected if schema.field(each.name).type != each.type), "")


def _mixed(column: str, place: str, error: Exception) -> InputError:
    return InputError(
        f"{place}: column {column!r} holds values of several types, expected one type for Parquet"
        f" ({str(error).splitlines()[0]}): let -o be a .jsonl"
    )


class _Sink(io.RawIOBase):
    """The file that pyarrow writes to. When a run fails it may write once more, to what is closed: that is dropped."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._size = 0

    def writable(self) -> bool:
        """It is for writing."""
        return True

    def tell(self) -> int:
        """Return how much has been written [bytes]."""
        return self._size

    def write(self, data: Any) -> int:
        """Write bytes."""
        with suppress(ValueError):
            self._write(bytes(data))
        self._size += len(data)
        return len(data)
