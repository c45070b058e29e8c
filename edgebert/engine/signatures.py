"""What the engine and the compiled kernels agree on: the C functions' arguments, and the records they read."""

from __future__ import annotations

import ctypes
import functools
import zlib

from edgebert.kernels.plan import ACTIVATION_CODES, LINEAR, NORM, PLAN, STAGE_BYTES, STEP, STEP_CODES, TIME_OFFSET
from edgebert.steps import Place

__all__ = ["SIGNATURES", "interface_hash"]

_INT, _FLOAT = ctypes.c_int64, ctypes.c_float
_Type = type[ctypes.c_int64] | type[ctypes.c_float]

SIGNATURES: dict[str, list[_Type]] = {
    "encode": [_INT] * 3,
    "dense": [_INT] * 6,
    "quantize_rows": [_INT] * 7,
    "add_layer_norm": [_INT] * 8 + [_FLOAT],
    "activate": [_INT] * 4,
    "matmul": [_INT] * 10,
    "expand": [_INT] * 15,
    "project_heads": [_INT] * 14,
    "attend": [_INT] * 8 + [_FLOAT] + [_INT] * 8,
}
"""Name of a function of `edgebert.kernels.entries`, without its prefix -> its arguments; each returns an int64."""


@functools.cache
def interface_hash() -> str:
    """Hash the signatures and records: a library of another interface would read and write wrong places."""
    kinds = {name: [kind.__name__ for kind in arguments] for name, arguments in SIGNATURES.items()}
    records = [(record.descr, record.itemsize) for record in (LINEAR, NORM, STEP, PLAN)]
    codes = [*ACTIVATION_CODES.items(), *((step.__name__, code) for step, code in STEP_CODES.items()), *Place]
    text = repr((kinds, records, codes, STAGE_BYTES, TIME_OFFSET)).encode()
    return f"{zlib.crc32(text):08x}{len(text):x}"
