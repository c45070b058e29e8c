"""The tensors of an .edgebert file: one table of names, shapes and dtypes, which every file must meet."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from edgebert.architecture import Encoder
from edgebert.config import BertConfig
from edgebert.families import encoder_of
from edgebert.heads.chain import Part
from edgebert.heads.pooling import dense_name
from edgebert.heads.splade import QUERY_WEIGHTS
from edgebert.kernels.plan import (
    INT4_GROUP,
    INT16_STEPS,
    PANEL_COLUMNS,
    PANEL_K,
    group_of_count,
    head_width,
    padded,
    whole_vectors,
)

__all__ = [
    "EMBEDDINGS",
    "TOKENIZER",
    "check_tensors",
    "expected_tensors",
    "pack_tokenizer",
    "padded_sizes",
    "unpack_tokenizer",
]

Shape = tuple[int | None, ...]
"""Sizes of a tensor; None for any."""

Dtype = type | tuple[type, ...]

HALF_OR_WHOLE = (np.float16, np.float32)
"""Of the float layers of heads: float32 where float16 would lose something (`edgebert.quantize.linear`)."""

TOKENIZER = "tokenizer.json.zlib"
"""The tensor that holds the tokenizer's description, in zlib's format: as metadata its quotes would all be escaped."""
_STORED = 0xFFFF
_LARGEST_TOKENIZER = 1 << 26
"""Bytes of a tokenizer's description: the largest vocabularies take half of it. A few bytes can unpack to gigabytes."""


EMBEDDINGS = ("int8", "int4")
"""What word embeddings may be kept in."""


def expected_tensors(
    config: BertConfig,
    parts: Mapping[str, Part] = MappingProxyType({}),
    dense: Sequence[tuple[int, int]] = (),
    embeddings: str = "int8",
    query_weights: bool = False,
    word_factor: bool = False,
) -> dict[str, tuple[Shape, Dtype]]:
    """Return the shape and dtype of every tensor, by name; several dtypes where it may have any of them.

    E, H and I are padded to multiples of 64, heads to multiples of 16 (`edgebert.kernels.plan.head_width`). A linear
    layer "x" has ``x.weight`` (panels of 16 outputs by 4 inputs), ``x.scale`` and ``x.column_sums`` (for each group of
    inputs and each output), ``x.bias`` and ``x.depth`` (over how many steps of 4 inputs products fit 16 bits). Of a
    gated intermediate layer, 16 outputs that are activated and the 16 that they are multiplied by stand in turn. A
    LayerNorm that makes the stream has ``smoothing`` beside its weight and bias; the intermediate activations are
    multiplied by a factor. The queries and keys that stand for distances are rows of whole numbers, with a scale for
    each head.

    Parameters
    ----------
    config : BertConfig
    parts : mapping of str to Part
        The layers of heads, by name.
    dense : sequence of (N, K)
        Sizes of the Dense modules behind the pooling.
    embeddings : str
        Of `EMBEDDINGS`.
    query_weights : bool
        Whether there is a weight for each word of a query.
    word_factor : bool
        Whether the columns of the word embeddings are multiplied by factors.
    """
    table: dict[str, tuple[Shape, Dtype]] = {TOKENIZER: ((None,), np.uint8)}

    def linear(name: str, N: int, K: int) -> None:
        table[f"{name}.weight"] = ((N // PANEL_COLUMNS, K // PANEL_K, PANEL_COLUMNS, PANEL_K), np.int8)
        table[f"{name}.scale"] = ((None, N), np.float32)
        table[f"{name}.column_sums"] = ((None, N), np.int16)
        table[f"{name}.bias"] = ((N,), np.float32)
        table[f"{name}.depth"] = ((1,), np.uint8)

    encoder = encoder_of(config)
    words, *small = encoder.embeddings.tables
    E = padded(words.width)
    table[f"{words.name}.weight"] = ((words.rows, E if embeddings == "int8" else E // 2), np.int8)
    if word_factor:
        table[f"{words.name}.factor"] = ((E,), np.float32)
    scales: Shape = (words.rows,) if embeddings == "int8" else (words.rows, E // INT4_GROUP)
    table[f"{words.name}.scale"] = (scales, np.float32)
    for rows in encoder.tables():
        if rows in small:
            table[f"{rows.name}.weight"] = ((rows.rows, E), np.float16)
        elif rows != words:  # distances
            table[f"{rows.name}.weight"] = ((rows.rows, rows.width), np.float32)
    widths = {norm: head_width(layer.attention) for layer in encoder.layers for norm in layer.attention.head_norms}
    for norm in encoder.norms():
        for vector in ("weight", "bias", *["smoothing"] * (norm in encoder.stream_norms())):
            table[f"{norm.name}.{vector}"] = ((widths.get(norm) or padded(norm.size),), np.float32)
    for positions, attention in encoder.disentangled():
        for name in (positions.queries, positions.keys):
            size = attention.heads * head_width(attention)
            table[f"{name}.weight"] = ((positions.table.rows, size), np.int8)
            table[f"{name}.scale"] = ((attention.heads, positions.table.rows), np.float32)
    if encoder.embeddings.project:
        table[f"{encoder.embeddings.project.name}.smoothing"] = ((padded(encoder.hidden_size),), np.float32)
    for name, size in encoder.factors().items():
        table[name] = ((padded(size),), np.float32)
    for name, (N, K) in padded_sizes(encoder).items():
        linear(name, N, K)
    for part in parts.values():
        if part.kind == "int8":
            linear(part.name, whole_vectors(part.N), padded(part.K or 0))
            continue
        shape: Shape = (part.N,) if part.K is None else (part.N, part.K)
        table[f"{part.name}.weight"] = (shape, HALF_OR_WHOLE if part.kind == "float16" else np.float32)
        table[f"{part.name}.bias"] = ((part.N,), np.float32)
    for i, (N, K) in enumerate(dense):
        table[f"{dense_name(i)}.weight"], table[f"{dense_name(i)}.bias"] = ((N, K), HALF_OR_WHOLE), ((N,), np.float32)
    if query_weights:
        table[QUERY_WEIGHTS] = ((config.vocab_size,), np.float32)
    return table


def padded_sizes(encoder: Encoder) -> dict[str, tuple[int, int]]:
    """Return name -> (N, K) of an encoder's linear layers as kernels compute them: each head is padded by itself."""
    sizes = {linear.name: (padded(linear.N), padded(linear.K)) for linear in encoder.linears()}
    for layer in encoder.layers:
        attention, feed_forward = layer.attention, layer.feed_forward
        width = head_width(attention)
        sizes[attention.query_key_value.name] = (
            sum(attention.slots) * width,
            padded(attention.query_key_value.K),
        )
        sizes[attention.output.name] = (padded(attention.output.N), padded(attention.heads * width))
        inner = padded(feed_forward.size)
        sizes[feed_forward.intermediate.name] = (
            (1 + feed_forward.gated) * inner,
            padded(feed_forward.intermediate.K),
        )
    return sizes


def pack_tokenizer(description: str) -> np.ndarray:
    """Return a ``tokenizer.json`` as the tensor `TOKENIZER`, in zlib's format (RFC 1950 and 1951).

    It is stored, not compressed: what zlib makes of a text is not the same on every computer (zlib-ng is another), and
    a file is to be. Wheels and downloads are compressed all the same.
    """
    data = description.encode()
    blocks = [data[i : i + _STORED] for i in range(0, len(data), _STORED)] or [b""]
    last = len(blocks) - 1
    stored = [struct.pack("<BHH", i == last, len(block), len(block) ^ 0xFFFF) + block for i, block in enumerate(blocks)]
    return np.frombuffer(b"\x78\x01" + b"".join(stored) + struct.pack(">I", zlib.adler32(data)), np.uint8)


def unpack_tokenizer(tensor: np.ndarray) -> str:
    """Undo `pack_tokenizer`; raise ValueError for what cannot be."""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(tensor.tobytes(), _LARGEST_TOKENIZER)
    except zlib.error as error:
        raise ValueError(f"{TOKENIZER} cannot be unpacked: {error}") from error
    if len(data) == _LARGEST_TOKENIZER:
        raise ValueError(f"{TOKENIZER} unpacks to {_LARGEST_TOKENIZER} bytes or more, expected less")
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError(f"{TOKENIZER} cannot be unpacked: its end is missing, or not the end")
    return data.decode()


def check_tensors(tensors: Mapping[str, np.ndarray], expected: Mapping[str, tuple[Shape, Dtype]]) -> list[str]:
    """Return every fault: tensors that are missing, unknown, misshapen, of a wrong dtype or not finite."""
    faults = [f"{name} is missing" for name in expected if name not in tensors]
    faults += [f"{name} is unknown" for name in tensors if name not in expected]
    for name, (shape, dtype) in expected.items():
        if name not in tensors:
            continue
        array = tensors[name]
        allowed = [np.dtype(each) for each in (dtype if isinstance(dtype, tuple) else (dtype,))]
        if not _fits(array.shape, shape) or array.dtype not in allowed:
            faults.append(f"{name} is {array.dtype} {array.shape}, expected {' or '.join(map(str, allowed))} {shape}")
        elif array.dtype.kind == "f" and not np.isfinite(array).all():
            faults.append(f"{name} has values that are not finite")
    return faults or _linear_faults(tensors)


def _linear_faults(tensors: Mapping[str, np.ndarray]) -> list[str]:
    """Return what does not fit together in a linear layer: its groups (two tensors say how many), and its depth.

    That the weights are within the limit of that depth is for the converter to see to, as are all of their values.
    """
    faults = []
    for name, sums in tensors.items():
        if name.endswith(".column_sums"):
            layer = name.removesuffix(".column_sums")
            steps, inputs = tensors[f"{layer}.weight"].shape[1], tensors[f"{layer}.weight"].shape[3]
            groups, int16_steps = len(tensors[f"{layer}.scale"]), tensors[f"{layer}.depth"][0]
            if int16_steps not in INT16_STEPS:
                faults.append(f"{layer}.depth is {int16_steps}, expected {' or '.join(map(str, INT16_STEPS))}")
            try:
                group_of_count(steps * inputs, groups)
            except ValueError as error:
                faults.append(f"{layer}.scale: {error}")
            if len(sums) != groups:
                faults.append(f"{name} has {len(sums)} groups, {layer}.scale has {groups}")
    return faults


def _fits(found: tuple[int, ...], expected: Shape) -> bool:
    if len(found) != len(expected):
        return False
    return all(size in (None, own) for own, size in zip(found, expected, strict=True))
