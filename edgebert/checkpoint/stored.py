"""Tensors as a safetensors file stores them: where each lies, and reading one.

The safetensors library checks the file and its header. It maps files, and reads bfloat16 through torch alone; so the
values are read here, from behind the header, where they stand in the order of `safe_open.offset_keys` without gaps.
"""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from edgebert.errors import CheckpointError

__all__ = ["FLOAT_DTYPES", "StoredTensor", "read_header", "read_tensor"]

FLOAT_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}
"""The dtypes weights may have -> the one their bytes are read as (bfloat16: the upper half of a float32)."""

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
            offset = 8 + int.from_bytes(file.read(8), "little")
        with safe_open(path, "np") as stored:
            parts = [(name, stored.get_slice(name)) for name in stored.offset_keys()]
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}; {_REMEDY}") from error
    tensors = {}
    for name, part in parts:
        tensors[name] = StoredTensor(part.get_dtype(), tuple(part.get_shape()), path, offset)
        offset += math.prod(part.get_shape()) * _bits(part.get_dtype()) // 8
    return tensors


def _bits(dtype: str) -> int:
    """Return the size of a value: what its dtype's name says, as in ``F8_E4M3``; BOOL is a byte."""
    size = re.search(r"\d+", dtype)
    return int(size[0]) if size else 8


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
