"""Columns of pandas, polars and pyarrow as texts; none of these is imported, nor needed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edgebert.errors import InputError

__all__ = ["column_texts"]


def column_texts(values: Any, name: str) -> Iterable[Any]:
    """Return the values of a column in their order, and anything else as it is.

    A missing value of a column (None, NaN, NA) is a blank text, which keeps its place.

    Parameters
    ----------
    values : object
        A pandas Series or Index, a polars Series, a pyarrow Array or ChunkedArray; or something else.
    name : str
        What messages call it.

    Raises
    ------
    InputError
        When it is a whole table: which column is meant?
    """
    if isinstance(values, (list, tuple)):  # nearly always
        return values
    library = type(values).__module__.partition(".")[0]
    if library not in ("pandas", "polars", "pyarrow"):
        return values
    columns = getattr(values, "column_names" if library == "pyarrow" else "columns", None)
    if columns is not None:
        named = [*map(str, columns)]
        raise InputError(
            f"{name} is a table with the columns {', '.join(named[:20]) or '(none)'}; expected one column of it:"
            f" table[{(named or ['text'])[0]!r}]"
        )
    if library == "pandas" and hasattr(values, "isna"):
        missing = values.isna()
        return ["" if lacks else value for value, lacks in zip(values.to_list(), missing, strict=True)]
    listed = getattr(values, "to_pylist" if library == "pyarrow" else "to_list", None)
    return values if listed is None else ["" if value is None else value for value in listed()]
