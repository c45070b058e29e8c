"""Changes to bytes and to JSON values, as damage and malice make them."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

__all__ = ["change_bytes", "change_json", "change_values", "json_text"]

_DEEP = "\uffff deep"
_NUMBERS = (0, 1, 2, 3, -1, 15, 64, 127, 255, 1000, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 10**30)
_FLOATS = (0.0, -0.0, 1e-320, 1e-45, 1e-12, 0.5, 1.0, 1.5, 1e30, 3.4e38, 1e39, 1e308)
_CONSTANTS = (float("nan"), float("inf"), float("-inf"))
_TEXTS = (
    "",
    " ",
    "a",
    "x" * 5000,
    "[MASK]",
    "[UNK]",
    "\0",
    "\ud800",
    "\u202e\x1b[31m",
    "../..",
    "/",
    "O",
    "B-PER",
    "##a",
)


def _strange(rng: random.Random) -> Any:
    """Return a value that nobody expects."""
    simple = (None, True, False, *_NUMBERS, *_FLOATS, *_CONSTANTS, *_TEXTS, _DEEP)
    kind = rng.randrange(8)
    if kind == 0:
        return [rng.choice(simple) for _ in range(rng.randrange(4))]
    if kind == 1:
        return {str(rng.choice(_TEXTS)): rng.choice(simple) for _ in range(rng.randrange(4))}
    return rng.choice(simple)


def json_text(value: Any, **options: Any) -> str:
    """Write a changed JSON value; a text within that stands for very deep nesting becomes that."""
    return json.dumps(value, **options).replace(json.dumps(_DEEP, **options), "[" * 100_000 + "]" * 100_000)


def change_json(value: Any, rng: random.Random) -> Any:
    """Return a copy of a JSON value in which one value was changed, at any depth."""
    whole = json.loads(json.dumps(value))
    places: list[tuple[Any, Any]] = []
    node = whole
    while isinstance(node, (dict, list)) and node:
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        places.append((node, key))
        node = node[key]
    if not places:
        return _strange(rng)
    parent, key = rng.choice(places)
    old, kind = parent[key], rng.randrange(7)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), old)
    elif kind == 1:
        parent[rng.choice(_TEXTS)] = old
    elif kind == 2 and type(old) in (int, float):
        parent[key] = rng.choice((old + 1, old - 1, old * 2, -old, old // 2, old * 1000))
    elif kind == 2 and isinstance(old, str):
        at = rng.randrange(len(old) + 1)
        parent[key] = old[:at] + rng.choice(_TEXTS) + old[at + rng.randrange(3) :]
    elif kind == 3:  # what is within a value takes its place
        (parent, key), (inner, name) = places[0], places[-1]
        parent[key] = inner[name]
    else:
        parent[key] = _strange(rng)
    return whole


def change_bytes(data: bytes, rng: random.Random) -> bytes:
    """Return bytes of which some were flipped, overwritten, left out, repeated, added or cut off."""
    if not data:
        return rng.randbytes(rng.randrange(100))
    kind, at, size = rng.randrange(7), rng.randrange(len(data)), rng.randrange(1, 200)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data + rng.randbytes(size)
    if kind == 2:
        return data[:at] + data[at + size :]
    if kind == 3:
        return data[: at + size] + data[at:]
    changed = bytearray(data)
    if kind == 4:
        changed[at : at + size] = rng.randbytes(len(changed[at : at + size]))
    elif kind == 5:
        changed[at : at + size] = bytes([rng.choice((0, 0x7F, 0x80, 0xFF))]) * len(changed[at : at + size])
    else:
        for _ in range(rng.randrange(1, 5)):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def change_values(array: np.ndarray, rng: random.Random) -> np.ndarray:
    """Return a copy of an array with some values, or all of a kind, made extreme."""
    changed = array.copy()
    flat = changed.reshape(-1)
    if not flat.size:
        return changed
    if flat.dtype.kind == "f":
        largest = float(np.finfo(flat.dtype).max)
        values = (0.0, largest, -largest, 1e-45, largest / 1e3, 1e20, -1e10, *_CONSTANTS)
        with np.errstate(over="ignore"):
            value = flat.dtype.type(rng.choice(values))
    else:
        bounds = np.iinfo(flat.dtype)
        value = flat.dtype.type(rng.choice((0, 1, bounds.max, bounds.min, bounds.max // 2)))
    kind = rng.randrange(5)
    if kind == 0:
        flat[:] = value
    elif kind == 1:
        flat[rng.randrange(flat.size) :: rng.randrange(1, 50)] = value
    elif kind == 2 and flat.dtype.kind == "f":
        with np.errstate(all="ignore"):
            flat *= flat.dtype.type(rng.choice((-1.0, 0.0, 1e-3, 1e3, 1e4, 1e10 if flat.dtype != np.float16 else 6e4)))
    elif kind == 3:
        at, size = rng.randrange(flat.size), rng.randrange(1, 100)
        own = flat[at : at + size]
        own[:] = np.frombuffer(rng.randbytes(own.nbytes), flat.dtype)
    else:
        flat[rng.randrange(flat.size)] = value
    return changed
