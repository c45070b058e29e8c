"""What compiled kernels and those who call them agree on: the C functions, and the records that they read."""

from __future__ import annotations

import functools
import zlib

from edgebert.kernels.plan import (
    ACTIVATION_CODES,
    DISTANCES,
    LINEAR,
    NORM,
    PLAN,
    STAGE_BYTES,
    STEP,
    STEP_CODES,
    TIME_OFFSET,
)
from edgebert.steps import Place

__all__ = ["PREFIX", "SIGNATURES", "interface_hash"]

PREFIX = "edgebert_kernel_"
"""What the C name of every function begins with."""

SIGNATURES = {
    "encode": ("plan", "epoch", "thread"),
    "dense": ("x", "M", "K", "weight", "N", "out"),
    "lstm": ("gates", "T", "size", "weight", "cell", "out"),
    "scratch_bytes": ("head_dim", "longest"),
}
"""Name of a C function, without its prefix -> its arguments: addresses and numbers, each an int64; so is its result."""


@functools.cache
def interface_hash() -> str:
    """Hash the signatures and records: a library of another interface would read and write wrong places."""
    records = [(record.descr, record.itemsize) for record in (LINEAR, NORM, DISTANCES, STEP, PLAN)]
    codes = [*ACTIVATION_CODES.items(), *((step.__name__, code) for step, code in STEP_CODES.items()), *Place]
    text = repr((SIGNATURES, records, codes, STAGE_BYTES, TIME_OFFSET)).encode()
    return f"{zlib.crc32(text):08x}{len(text):x}"
