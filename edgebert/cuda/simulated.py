"""Twins of the operations of `edgebert.cuda.lowered` in Python, for Numba's CUDA simulator.

A thread of the GPU is a thread of Python there. What the lanes of a warp do together, they do here by telling each
other their values and waiting; copies are made when they are waited for, as late as they may be.
"""

from __future__ import annotations

import struct
import threading

import numpy as np

WARP = 32

f32 = np.float32


def device(function):
    """Leave a function that kernels call as it is."""
    return function


def unrolled(count):
    """Make a decorator: the function is called with 0 to count - 1 and its other arguments."""

    def decorate(function):
        def repeated(*others):
            for i in range(count):
                function(i, *others)

        return repeated

    return decorate


class _Warp:
    """Where 32 threads lay down what they tell each other."""

    def __init__(self) -> None:
        self._meeting = threading.Barrier(WARP)
        self._told: list[list[object]] = [[None] * WARP, [None] * WARP]
        self._turn = [0] * WARP

    def tell(self, lane, value):
        """Give the lane's value and return those of all lanes."""
        # Two boards in turn: nobody writes on the one that others may still be reading.
        board = self._told[self._turn[lane]]
        self._turn[lane] ^= 1
        board[lane] = value
        self._meeting.wait(60)
        return board


_warps_lock = threading.Lock()


def _tell(value):
    thread = threading.current_thread()
    manager = thread._manager  # Numba's own record of the block
    with _warps_lock:
        warps = manager.__dict__.setdefault("warps", {})
        warp = warps.setdefault(thread.thread_id // WARP, None) or _Warp()
        warps[thread.thread_id // WARP] = warp
    lane = thread.thread_id % WARP
    return lane, warp.tell(lane, value)


def _bytes_of(words, kind):
    return np.array(words, np.int32).view(np.uint8 if kind == "u8" else np.int8).astype(np.int64)


def _product(kind, values):
    """Multiply as PTX ISA, "matrix fragments for mma.m16n8k32", lays the matrices out over the lanes."""
    lane, told = _tell([int(value) for value in values])
    group, place = lane // 4, lane % 4
    result = [int(value) for value in values[:4]]
    for row in (0, 1):
        # Row group + 8 row of A: in words row and row + 2 of the four lanes of the group.
        quad = [told[4 * group + i] for i in range(4)]
        a = _bytes_of([q[4 + row] for q in quad] + [q[6 + row] for q in quad], kind)
        for column in (0, 1):
            quad = [told[4 * (2 * place + column) + i] for i in range(4)]
            b = _bytes_of([q[8] for q in quad] + [q[9] for q in quad], "s8")
            result[2 * row + column] += int(a @ b)
    return tuple(np.array(result, np.int64).astype(np.int32))


def mma_u8(*values):
    """Return c + a b, a unsigned."""
    return _product("u8", values)


def mma_s8(*values):
    """Return c + a b, a signed."""
    return _product("s8", values)


def fma(a, b, c):
    """Return a * b + c with one rounding (but for the rarest ties)."""
    return f32(float(a) * float(b) + float(c))


def multiply(a, b):
    """Return a * b."""
    return f32(a) * f32(b)


def square_root(x):
    """Return the square root."""
    return np.sqrt(f32(x))


def as_int(x):
    """Return the bits of a float32."""
    return struct.unpack("<i", struct.pack("<f", x))[0]


def as_float(bits):
    """Return the float32 of bits, of which only the lower 32 count."""
    return f32(struct.unpack("<f", struct.pack("<I", int(bits) & 0xFFFFFFFF))[0])


def round_to_int(x):
    """Return the nearest whole number, of two the even one."""
    return int(np.rint(x))


def byte_perm(a, b, selector):
    """Return four of the eight bytes of a and b."""
    both = struct.pack("<II", int(a) & 0xFFFFFFFF, int(b) & 0xFFFFFFFF)
    return struct.unpack("<i", bytes(both[selector >> 4 * i & 7] for i in range(4)))[0]


def shuffle_xor(value, mask):
    """Return the value of the lane of this number, exclusive or `mask`."""
    lane, told = _tell(value)
    return told[lane ^ mask]


def barrier():
    """Wait until all threads of the block have come here."""
    threading.current_thread().syncthreads()


def _neighbours(array, index, count):
    index = int(index)
    assert index % count == 0, "a load that is not aligned"
    return tuple(array[index + i] for i in range(count))


def load2(array, index):
    """Load two neighbours."""
    return _neighbours(array, index, 2)


def load4(array, index):
    """Load four neighbours."""
    return _neighbours(array, index, 4)


def copy_async(shared, at, source, index):
    """Remember a copy of 16 bytes."""
    thread = threading.current_thread()
    thread.__dict__.setdefault("begun", []).append((shared, int(at), source, int(index)))


def copy_commit():
    """Close a group of copies."""
    thread = threading.current_thread()
    thread.__dict__.setdefault("groups", []).append(thread.__dict__.pop("begun", []))


def copy_wait(groups):
    """Make the copies of all groups but the last so many."""
    waiting = threading.current_thread().__dict__.setdefault("groups", [])
    while len(waiting) > groups:
        for shared, at, source, index in waiting.pop(0):
            assert at % 4 == 0, "a copy that is not aligned"
            for i, word in enumerate(_neighbours(source, index, 4)):
                shared[at + i] = word
