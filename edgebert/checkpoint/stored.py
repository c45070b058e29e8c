"""Tensors as a safetensors file stores them: its header, checked completely, and reading one tensor.

A safetensors file is an 8-byte little-endian length, a JSON header of that length (name ->
dtype, shape, byte offsets), and the tensors' bytes, without gaps. The safetensors
library reads bfloat16 through torch alone, and edgebert has no torch; so the file is read here.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.errors import CheckpointError
from edgebert.json_text import parse_json

__all__ = ["FLOAT_DTYPES", "StoredTensor", "read_header", "read_tensor"]

FLOAT_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}
"""The dtypes weights may have -> the one their bytes are read as (bfloat16: the upper half of a float32)."""

_BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
_LONGEST_HEADER = 100_000_000  # bytes; the format's own limit
_REMEDY = "the file is damaged or its download was cut short; fetch it again"


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """Where one tensor lies: dtype as the format names it, shape, file, offset in bytes from its start."""

    dtype: str
    shape: tuple[int, ...]
    path: Path
    offset: int


def read_header(path: Path) -> dict[str, StoredTensor]:
    """Return the tensors of a safetensors file, after checking that they fill it exactly.

    Raises
    ------
    CheckpointError
        It is missing, truncated, or no safetensors file.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or not 2 <= length <= min(size - 8, _LONGEST_HEADER):
                raise CheckpointError(
                    f"{path} is not a whole safetensors file: its {size} bytes do not hold"
                    f" a header of {length}; {_REMEDY}"
                )
            header = parse_json(file.read(length))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"{path} has a header that is not JSON ({error}); {_REMEDY}") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} has a header that is not a JSON object; {_REMEDY}")
    header.pop("__metadata__", None)

    spans = []
    tensors = {}
    for name, entry in header.items():
        begin, end, tensor = _parse_entry(path, name, entry, 8 + length)
        spans.append((begin, end, name))
        tensors[name] = tensor
    position = 0
    for begin, end, name in sorted(spans):
        if begin != position:
            raise CheckpointError(
                f"{path}: tensor {name!r} begins at byte {begin} of the data, expected {position}; {_REMEDY}"
            )
        position = end
    if 8 + length + position != size:
        raise CheckpointError(f"{path} has {size} bytes, expected {8 + length + position} by its header; {_REMEDY}")
    return tensors


def _parse_entry(path: Path, name: str, entry: Any, start: int) -> tuple[int, int, StoredTensor]:
    """Check one entry of the header; return its begin and end in the data, and the tensor."""
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        sound = isinstance(dtype, str) and isinstance(shape, list) and begin <= end
        sound = sound and all(type(n) is int and n >= 0 for n in (*shape, begin, end))
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise CheckpointError(f"{path}: the header's entry for tensor {name!r} is malformed; {_REMEDY}")
    # A dtype this table does not know has no place in a BERT; names.py refuses it by name.
    if dtype in _BITS and (end - begin) * 8 != math.prod(shape) * _BITS[dtype]:
        raise CheckpointError(
            f"{path}: tensor {name!r} has {end - begin} bytes,"
            f" expected {math.prod(shape) * _BITS[dtype] // 8} for {dtype} {tuple(shape)}; {_REMEDY}"
        )
    return begin, end, StoredTensor(dtype, tuple(shape), path, start + begin)


def read_tensor(tensor: StoredTensor) -> np.ndarray:
    """Return a tensor's values [shape=tensor.shape, dtype=float32], contiguous; exact, but for float64.

    The bytes are read, not mapped: a mapped file that shrinks meanwhile kills the process.

    Raises
    ------
    CheckpointError
        The file cannot be read, or has become shorter since its header was.
    """
    count = math.prod(tensor.shape)
    try:
        with tensor.path.open("rb") as file:
            file.seek(tensor.offset)
            raw = np.fromfile(file, FLOAT_DTYPES[tensor.dtype], count)
    except OSError as error:
        raise CheckpointError(f"{tensor.path} cannot be read: {error.strerror}") from error
    if raw.size != count:
        raise CheckpointError(f"{tensor.path} has become shorter while it was read; {_REMEDY}")
    if tensor.dtype == "BF16":
        values = (raw.astype(np.uint32) << 16).view(np.float32)
    else:
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused as such
            values = raw.astype(np.float32, copy=False)
    return values.reshape(tensor.shape)
