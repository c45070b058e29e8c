"""The records of an exported model, and how a C compiler is told of them: the same dtypes make both sides."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebert.engine.memory import SLACK_ROWS
from edgebert.engine.signatures import interface_hash
from edgebert.kernels.plan import ADDRESS, PLAN, STAGE_BYTES
from edgebert.kernels.simd.families import Family
from edgebert.runner import TOKEN_BUDGET

__all__ = [
    "ACTIVATIONS",
    "DENSE",
    "FUNCTIONS",
    "HEADER",
    "HEADS",
    "MAGIC",
    "POOLINGS",
    "WORKSPACE",
    "interface",
    "records_h",
]

MAGIC = b"EDGEBERT"
_VERSION = 2

HEADS = {"": 0, "text": 1, "tokens": 2}
FUNCTIONS = {"none": 0, "softmax": 1, "sigmoid": 2}
POOLINGS = {"": 0, "mean": 1, "cls": 2}
ACTIVATIONS = {"": 0, "tanh": 1, "relu": 2, "gelu_erf": 3, "gelu_tanh": 4, "silu": 5, "gelu_quick": 6}

HEADER = np.dtype(
    [
        (name, np.int64)
        for name in (
            "magic",
            "interface",  # of the records and of the kernels
            "size",  # bytes of the file
            "checksum",  # CRC-32 of what follows the header
            "plan",  # where the PLAN lies in the file, as all places below
            "relocations",  # int64 [relocation_count]: where addresses lie, which are places until the file is mapped
            "relocation_count",
            "workspace",  # WORKSPACE [workspace_count]
            "workspace_count",
            "scratch_bytes",  # of each thread
            "stages",  # of a forward pass
            "widest",  # values of a token in the head, padded
            "vocab_size",
            "type_vocab_size",
            "max_position_embeddings",
            "max_length",
            "padding",  # the token at position 0, the others being counted from 1; -1: all are, from 0
            "head",
            "function",
            "dense",  # DENSE [dense_count]
            "dense_count",
            "labels",  # names that end in a zero
            "label_count",
            "pooling",
            "normalize",
        )
    ]
)
"""What an exported model begins with."""

WORKSPACE = np.dtype([("field", np.int64), ("row_bytes", np.int64)])
"""A buffer with room for each token: the place of its address in the PLAN."""

DENSE = np.dtype(
    [
        ("K", np.int64),
        ("N", np.int64),  # padded to 16
        ("outputs", np.int64),
        ("weight", ADDRESS),  # float32 [K, N]
        ("bias", ADDRESS),  # float32 [outputs]
        ("activation", np.int64),
    ]
)
"""A float32 layer of the head."""


def interface() -> int:
    """Return what an exported model and a library must agree on, as an int64."""
    return int(interface_hash(), 16) * 16 + _VERSION


def records_h(family: Family) -> str:
    """Write ``records.h`` for the library of one family."""
    constants = {
        "MAGIC": f'"{MAGIC.decode()}"',
        "INTERFACE": f"INT64_C({interface()})",
        "FAMILY": f'"{family.name}"',
        "NEEDS": " ".join(f'"{name}",' for name in family.needs),
        "TOKEN_BUDGET": TOKEN_BUDGET,
        "SLACK_ROWS": SLACK_ROWS,
        "STAGE_BYTES": STAGE_BYTES,
        **_numbered("HEAD", HEADS),
        **_numbered("POOL", POOLINGS),
        **_numbered("", FUNCTIONS),
        **_numbered("", ACTIVATIONS),
    }
    structs = {"header": HEADER, "workspace": WORKSPACE, "dense": DENSE, "plan": PLAN}
    lines = [f"#define EDGEBERT_{name} {value}" for name, value in constants.items()]
    return "\n".join([*lines, *(_struct(name, dtype) for name, dtype in structs.items()), ""])


def _numbered(prefix: str, names: Mapping[str, int]) -> dict[str, int]:
    # No head and no pooling have a name in C; a function that does nothing needs none.
    parts = {"_".join(filter(None, [prefix, name or "none"])).upper(): code for name, code in names.items()}
    return {name: code for name, code in parts.items() if name != "NONE"}


def _struct(name: str, dtype: np.dtype) -> str:
    assert dtype.names is not None
    kinds = {np.dtype(np.int64): "int64_t", np.dtype(np.float32): "float"}
    fields = [f"    {kinds[np.dtype(dtype[field].str)]} {field};" for field in dtype.names]
    size = f'_Static_assert(sizeof(struct {name}) == {dtype.itemsize}, "{name} is laid out as in Python");'
    return "\n".join([f"struct {name} {{", *fields, "};", size])
