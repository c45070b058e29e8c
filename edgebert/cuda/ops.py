"""What GPU kernels need beyond plain Python: tensor cores, copies in the background, shuffles, wide loads.

Each is one or a few instructions of PTX (NVIDIA's "PTX ISA", whose section is named); in Numba's simulator its twin of
`edgebert.cuda.simulated` takes its place. Arrays are flat: pointers to global memory (`types.CPointer`), or arrays in
shared memory.
"""

from __future__ import annotations

from numba import cuda
from numba.cuda.core import config

SIMULATED = bool(config.ENABLE_CUDASIM)

if SIMULATED:
    from edgebert.cuda import simulated as operations
else:
    from edgebert.cuda import lowered as operations

as_float = operations.as_float
as_int = operations.as_int
barrier = operations.barrier
byte_perm = operations.byte_perm
copy_async = operations.copy_async
copy_commit = operations.copy_commit
copy_wait = operations.copy_wait
device = operations.device
fma = operations.fma
load2 = operations.load2
load4 = operations.load4
mma_s8 = operations.mma_s8
mma_u8 = operations.mma_u8
multiply = operations.multiply
round_to_int = operations.round_to_int
shuffle_xor = operations.shuffle_xor
square_root = operations.square_root
unrolled = operations.unrolled

__all__ = [
    "SIMULATED",
    "as_float",
    "as_int",
    "barrier",
    "byte_perm",
    "copy_async",
    "copy_commit",
    "copy_wait",
    "cuda",
    "device",
    "fma",
    "load2",
    "load4",
    "mma_s8",
    "mma_u8",
    "multiply",
    "round_to_int",
    "shuffle_xor",
    "square_root",
    "unrolled",
]
