"""JSON from files that anyone may have written: read without surprises for those who use its values."""

from __future__ import annotations

import json
import math
import re
from typing import Any

__all__ = ["MOST_LEVELS", "parse_json"]

MOST_LEVELS = 100
"""Values within values that a file may have. Ten would do; Python's own recursion, in a later repr, ends at 900."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: str | bytes, *, finite: bool = False) -> Any:
    """Read a JSON text; bytes are UTF-8.

    Parameters
    ----------
    text : str or bytes
    finite : bool
        Whether numbers that float64 cannot hold are refused, and with them the NaN and Infinity that JSON has not.

    Raises
    ------
    ValueError
        It is no JSON, is nested more than `MOST_LEVELS` deep, or has a lone surrogate, which no file and no terminal
        takes.
    """
    if isinstance(text, bytes):
        text = text.decode()
    strict: dict[str, Any] = {"parse_float": _finite, "parse_constant": _finite} if finite else {}
    try:
        value = json.loads(text, **strict)
    except RecursionError:
        raise _too_deep() from None
    _check_levels(value)
    if _SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False).encode()  # raises UnicodeEncodeError, a ValueError
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no finite number")
    return value


def _check_levels(value: Any) -> None:
    values = [value]
    for _ in range(MOST_LEVELS):
        inner: list[Any] = []
        for each in values:
            if isinstance(each, dict):
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        values = [each for each in inner if isinstance(each, (dict, list))]
        if not values:
            return
    raise _too_deep()


def _too_deep() -> ValueError:
    return ValueError(f"values are nested more than {MOST_LEVELS} deep")
