"""Exported images, damaged but with a right checksum, and a library that is asked to use them."""

from __future__ import annotations

import ctypes
import functools
import os
import random
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgebert.engine.kernel_file import this_platform
from edgebert.engine.processor import available_families
from edgebert.errors import EdgebertError
from edgebert.export import _library
from edgebert.export.image import seal, write_image
from edgebert.export.records import ALIGNMENT, HEADER, LIMITS
from edgebert.kernels.plan import STEP
from edgebert.model_file import ModelFile
from tests.export.c_model import CModel, Refused
from tools.fuzz import artifacts

__all__ = ["draw", "mutate", "place_of_steps", "places_of_shapes", "prepare", "resealed"]

_NUMBERS = (
    -(2**63),
    -(2**31),
    -1,
    0,
    1,
    2,
    3,
    15,
    16,
    63,
    64,
    65,
    1000,
    2**16,
    2**20,
    2**31 - 1,
    2**32,
    2**62,
    2**63 - 1,
)
_FLOATS = (float("nan"), float("inf"), float("-inf"), 3e38, -3e38, 1e-45, 0.0, -0.0, 1e20, -1.0)
_TEXTS = [[1], [1, 2, 3], [0] * 7, [1, 2] * 20]
_folder = Path()
_images: list[bytes] = []


def resealed(data: bytes) -> bytes:
    """Return an image with the size and the checksum that its bytes want."""
    header, rest = np.frombuffer(data[: HEADER.itemsize], HEADER).copy(), data[HEADER.itemsize :]
    header["size"] = len(data)
    seal(header, [rest])
    return header.tobytes() + rest


def place_of_steps() -> int:
    """Return where the file holds its steps."""
    return -(-HEADER.itemsize // ALIGNMENT) * ALIGNMENT


def places_of_shapes(data: bytes) -> list[int]:
    """Return where the file holds what describes a linear layer, a LayerNorm or a layer of the head, or looks like it.

    Up to four numbers on a line of 64 bytes behind the steps, whose rest is zero: the gap before the next array. They
    are small, but for the third, which may be the bits of an eps.
    """
    header = np.frombuffer(data[: HEADER.itemsize].ljust(HEADER.itemsize, b"\0"), HEADER)[0]
    begin = (place_of_steps() + min(max(int(header["step_count"]), 0), 2**13) * STEP.itemsize) // 64 + 1
    lines = np.frombuffer(data[: len(data) // 64 * 64], np.int64).reshape(-1, 8)[begin:]
    counts = lines[:, [0, 1, 3]]
    small = (lines[:, 0] >= 1) & ((counts >= 0) & (counts <= 2**20)).all(axis=1)
    return (64 * (begin + np.flatnonzero(small & ~lines[:, 4:].any(axis=1)))).tolist()


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Return an image with one to four faults, and a right checksum.

    Parameters
    ----------
    data : bytes
        An image that `edgebert.export.image.write_image` wrote.
    rng : random.Random
    """
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice((_number, _number, _bit, _shape, _shape, _step, _step, _float, _bytes, _length))(damaged, rng)
    if len(damaged) < HEADER.itemsize:
        return bytes(damaged)
    return resealed(bytes(damaged))


def _number(data: bytearray, rng: random.Random) -> None:
    """Set a number of the header to an extreme one, or to one that is nearly right."""
    assert HEADER.fields is not None
    place = HEADER.fields[rng.choice(list(LIMITS))][1]
    if len(data) < place + 8:
        return
    (value,) = struct.unpack_from("<q", data, place)
    near = (value + rng.choice((-64, -16, -1, 1, 16, 64)), 2 * value, value // 2)
    struct.pack_into("<q", data, place, max(-(2**63), min(rng.choice((*_NUMBERS, *near, *near)), 2**63 - 1)))


def _bit(data: bytearray, rng: random.Random) -> None:
    """Flip a bit of the header, but for the magic and the interface, whose damage is told at once."""
    if len(data) > 16:
        data[rng.randrange(16, min(len(data), HEADER.itemsize))] ^= 1 << rng.randrange(8)


def _shape(data: bytearray, rng: random.Random) -> None:
    """Change a size or the depth of a linear layer, or the outputs or activation of a layer of the head."""
    places = places_of_shapes(bytes(data))
    if places:
        place = rng.choice(places) + rng.choice((0, 8, 16, 24))
        (value,) = struct.unpack_from("<q", data, place)
        struct.pack_into("<q", data, place, rng.choice((*_NUMBERS, value ^ 1, value ^ 2, -value)))


def _step(data: bytearray, rng: random.Random) -> None:
    """Change a field of a step."""
    count = (len(data) - place_of_steps()) // STEP.itemsize
    if count > 0:
        place = place_of_steps() + rng.randrange(min(count, 20)) * STEP.itemsize + 8 * rng.randrange(len(STEP))
        (value,) = struct.unpack_from("<q", data, place)
        near = (0, 1, 2, 3, 4, 5, 6, max(value - 1, 0), min(value + 1, 2**62))
        struct.pack_into("<q", data, place, rng.choice((*near, *near, *_NUMBERS)))


def _float(data: bytearray, rng: random.Random) -> None:
    """Put an extreme float somewhere, once or as a run of them."""
    begin = HEADER.itemsize - 8  # the header ends with two floats
    if len(data) < begin + 4:
        return
    place = rng.randrange(begin, len(data) - 3) // 4 * 4
    count = min(rng.choice((1, 1, 16, 400)), (len(data) - place) // 4)
    struct.pack_into(f"<{count}f", data, place, *[rng.choice(_FLOATS)] * count)


def _bytes(data: bytearray, rng: random.Random) -> None:
    """Overwrite a run of bytes with others."""
    if data:
        begin = rng.randrange(len(data))
        size = min(rng.choice((1, 8, 64, 4096)), len(data) - begin)
        data[begin : begin + size] = rng.randbytes(size)


def _length(data: bytearray, rng: random.Random) -> None:
    """Cut the end off, or add to it."""
    if rng.random() < 0.5:
        del data[rng.randrange(len(data) + 1) :]
    else:
        data += bytes(rng.choice((1, 63, 64, 4096)))


@functools.cache
def _loaded() -> ctypes.CDLL:
    """Build the library for this processor and load it, once; forked children have it then."""
    family = next(name for name in available_families() if name != "amx")
    with tempfile.TemporaryDirectory(prefix="edgebert-fuzz-") as folder:
        path = Path(folder) / "libedgebert.so"
        path.write_bytes(_library(family, this_platform(), static=False))
        return ctypes.CDLL(str(path))


def prepare(folder: Path) -> None:
    """Export the models whose images are changed, and load the library."""
    global _folder
    _folder = folder
    artifacts.prepare(folder)
    _images.clear()
    for number in range(len(artifacts.MODELS)):
        write_image(ModelFile(folder / f"{number}.edgebert"), folder / "whole.image")
        _images.append((folder / "whole.image").read_bytes())
    _loaded()


def draw(rng: random.Random) -> tuple[str, Callable[[], object]]:
    """Change an image; the case is to open it and to ask it everything."""
    number = rng.randrange(len(_images))
    data, path = mutate(_images[number], rng), _folder / f"{os.getpid()}.image"

    def case() -> None:
        path.write_bytes(data)
        try:
            _ask(path)
        except Refused as refusal:
            raise EdgebertError(str(refusal)) from refusal
        finally:
            path.unlink(missing_ok=True)

    return f"an image of {artifacts.MODELS[number]}", case


def _ask(path: Path) -> None:
    """Open an image and ask all that there is; raise a refusal where it answers nothing. No model answers all."""
    model = CModel(_loaded(), path, threads=2)
    refusals, questions = [], (model.encode, model.embed, model.classify, model.tag)
    for ask in questions:
        try:
            answer = ask(_TEXTS)
        except Refused as refusal:
            refusals.append(refusal)
        else:
            assert np.isfinite(answer).all(), f"{ask.__name__} answers what is no number"
    model.close()
    if len(refusals) == len(questions):
        raise refusals[-1]
