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
    from edgebert.cuda.simulated import (
        as_float,
        as_int,
        barrier,
        byte_perm,
        copy_async,
        copy_commit,
        copy_wait,
        device,
        fma,
        load2,
        load4,
        mma_s8,
        mma_u8,
        round_to_int,
        shuffle_xor,
        square_root,
        unrolled,
    )
else:
    from edgebert.cuda.lowered import (
        as_float,
        as_int,
        barrier,
        byte_perm,
        copy_async,
        copy_commit,
        copy_wait,
        device,
        fma,
        load2,
        load4,
        mma_s8,
        mma_u8,
        round_to_int,
        shuffle_xor,
        square_root,
        unrolled,
    )

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
    "round_to_int",
    "shuffle_xor",
    "square_root",
    "unrolled",
]
