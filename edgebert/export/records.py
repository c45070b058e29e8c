"""The header of an exported model, and how a C compiler is told of it: the same tables make both sides."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping

import numpy as np

from edgebert.engine.memory import SLACK_ROWS
from edgebert.kernels.plan import (
    ACTIVATION_CODES,
    BEYOND_WINDOW,
    DISTANCES,
    GROUP_LARGEST,
    INT4_GROUP,
    INT16_STEPS,
    K_MULTIPLE,
    LANES,
    LINEAR,
    LONGEST_TEXT,
    NORM,
    PLAN,
    STAGE_BYTES,
    STEP,
    STEP_CODES,
)
from edgebert.kernels.signatures import PREFIX, SIGNATURES, interface_hash
from edgebert.kernels.simd.families import InstructionSet
from edgebert.runner import TOKEN_BUDGET
from edgebert.steps import Place

__all__ = [
    "ACTIVATIONS",
    "ALIGNMENT",
    "FUNCTIONS",
    "HEADER",
    "HEADS",
    "LIMITS",
    "MAGIC",
    "MOST_OUTPUTS",
    "POOLINGS",
    "SCALES",
    "interface",
    "records_h",
]

MAGIC = b"EDGEBERT"
ALIGNMENT = 64
"""Every array of an image begins at a multiple of it."""
_FORMAT = 7
"""To be raised where the same fields and arrays come to mean something else."""

HEADS = {"": 0, "text": 1, "tokens": 2}
FUNCTIONS = {"none": 0, "softmax": 1, "sigmoid": 2}
POOLINGS = {"": 0, "mean": 1, "cls": 2, "lasttoken": 3}
ACTIVATIONS = {"": 0, "tanh": 1, "relu": 2, "gelu_erf": 3, "gelu_tanh": 4, "silu": 5, "gelu_quick": 6}
_MOST_HEAD_LAYERS = 8

LIMITS = {
    "vocab_size": (1, 2**31 - 1),
    "type_vocab_size": (1, 2**31 - 1),
    "max_position_embeddings": (1, LONGEST_TEXT),
    "max_length": (1, LONGEST_TEXT),
    "padding": (-1, 2**31 - 1),  # the token at position 0, the others being counted from 1; -1: all are, from 0
    "hidden_size": (1, 2**16),
    "intermediate_stride": (K_MULTIPLE, 2**20),
    "num_attention_heads": (1, 2**16),
    "num_key_value_heads": (1, 2**16),  # a divisor of it
    "head_dim": (LANES, 2**16),  # where there are angles, two halves, each padded by itself
    "embedding_stride": (K_MULTIPLE, 2**16),
    "linear_count": (1, 2**13),
    "norm_count": (1, 2**13),
    "distances_count": (0, 2**13),
    "undo_count": (0, 2**13),
    "factor_count": (0, 2**13),
    "angles_count": (0, 2**13),
    "bias_count": (0, 2**13),
    "step_count": (1, 2**13),
    "word_groups": (0, 2**16 // INT4_GROUP),
    "has_position_embeddings": (0, 1),
    "has_token_type_embeddings": (0, 1),
    "head": (0, max(HEADS.values())),
    "function": (0, max(FUNCTIONS.values())),
    "head_pooling": (0, max(POOLINGS.values())),  # of the hidden states that a head of texts looks at
    "head_layers": (0, _MOST_HEAD_LAYERS),
    "label_count": (0, 2**20),
    "label_bytes": (0, 2**30),  # names that end in a zero
    "pooling": (0, max(POOLINGS.values())),
    "normalize": (0, 1),
}
"""Whole number in the header -> its lowest and highest value. Those that a PLAN has too mean the same there."""

MOST_OUTPUTS = 2**23
"""Of a layer, of query, key and value together, too; and most inputs. No product of sizes leaves an int64."""
SCALES = (2.0**-20, 2.0**10)
"""The lowest and the highest ``softmax_scale``."""

HEADER = np.dtype(
    [
        ("magic", np.int64),
        ("interface", np.int64),
        ("size", np.int64),  # bytes of the file
        ("checksum", np.int64),  # CRC-32 of the file, in which this field is 0
        *((name, np.int64) for name in LIMITS),
        ("softmax_scale", np.float32),
    ],
    align=True,
)
"""What an exported model begins with. Behind it come arrays, and nothing that says where: their order is this, and
their sizes follow from what stands before them.

- The steps, STEP [step_count]; what is an address there counts the parts of its kind from 1.
- The linear layers, each its N, K, groups and depth, int64 [4], and the arrays of a LINEAR.
- The LayerNorms, each its size and rms, int64 [2], its eps, float32 [1], and the arrays of a NORM, all padded to 64,
  those of a head, too.
- What stands for distances, each the arrays of a DISTANCES, of max_position_embeddings tokens.
- What undoes smoothing, float32 [undo_count, H padded]; the factors of activations, float32 [factor_count, I padded];
  the angles that heads turn by, float32 [angles_count, max_position_embeddings, head_dim].
- What distances add in attention, each as the steps that have it say: float32 [heads or 1, row].
- The arrays that a PLAN leads to.
- The layers of the head, each its outputs, the code of its activation and the bits of its eps, a double, int64 [3], its
  weight and its bias. Of a linear layer, whose eps is 0, the weight is float32 [K, outputs padded to 16].
- The labels.
"""


def interface() -> int:
    """Return what an exported model and a library must agree on, as an int64: a hash of all that C is told."""
    text = f"{_shared()} {interface_hash()}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little", signed=True)


def records_h(family: InstructionSet) -> str:
    """Write ``records.h`` for the library of one family."""
    own = {
        # Written so, for the lowest int64 has no literal in C.
        "INTERFACE": f"((int64_t)UINT64_C({interface() % 2**64}))",
        "FAMILY": f'"{family.name}"',
        "NEEDS": " ".join(f'"{name}",' for name in family.needs),
    }
    return _defines(own) + _shared()


def _shared() -> str:
    """Return the part of ``records.h`` that is the same for all families, whose libraries read the same images."""
    limits = [f'{{"{name}", offsetof(struct header, {name}), {low}, {high}}},' for name, (low, high) in LIMITS.items()]
    constants = {
        "MAGIC": f'"{MAGIC.decode()}"',
        "FORMAT": _FORMAT,
        "ALIGNMENT": ALIGNMENT,
        "TOKEN_BUDGET": TOKEN_BUDGET,
        "SLACK_ROWS": SLACK_ROWS,
        "STAGE_BYTES": STAGE_BYTES,
        "LANES": LANES,
        "BEYOND_WINDOW": BEYOND_WINDOW,
        "K_MULTIPLE": K_MULTIPLE,
        "MOST_DEPTH": max(INT16_STEPS),
        "GROUP_LARGEST": GROUP_LARGEST,
        "INT4_GROUP": INT4_GROUP,
        "MOST_HEAD_LAYERS": _MOST_HEAD_LAYERS,
        "MOST_OUTPUTS": MOST_OUTPUTS,
        "LEAST_SCALE": SCALES[0],
        "MOST_SCALE": SCALES[1],
        "LAST_ACTIVATION": max(ACTIVATIONS.values()),
        "LAST_INTERMEDIATE_ACTIVATION": max(ACTIVATION_CODES.values()),
        **{f"STEP_{_words(step.__name__)}": code for step, code in STEP_CODES.items()},
        **{f"PLACE_{place.name}": int(place) for place in Place},
        **_numbered("HEAD", HEADS),
        **_numbered("POOL", POOLINGS),
        **_numbered("", FUNCTIONS),
        **_numbered("", ACTIVATIONS),
        "LIMITS": " ".join(limits),
    }
    structs = {"header": HEADER, "linear": LINEAR, "norm": NORM, "distances": DISTANCES, "step": STEP, "plan": PLAN}
    lines = [*(_struct(name, dtype) for name, dtype in structs.items()), *_prototypes(), ""]
    return _defines(constants) + "\n".join(lines)


def _prototypes() -> Iterator[str]:
    """Declare the functions of a kernel library."""
    for name, arguments in SIGNATURES.items():
        listed = ", ".join(f"int64_t {argument}" for argument in arguments)
        yield f'__attribute__((visibility("hidden"))) int64_t {PREFIX}{name}({listed});'


def _words(name: str) -> str:
    """Write AddAndNorm as ADD_AND_NORM."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def _defines(constants: Mapping[str, object]) -> str:
    return "".join(f"#define EDGEBERT_{name} {value}\n" for name, value in constants.items())


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
