"""The tensors of an .edgebert file: one table of names, shapes and dtypes, which every file must meet."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from edgebert.config import BertConfig
from edgebert.kernels.plan import PANEL_COLUMNS, PANEL_DEPTH, group_of_count, padded, whole_vectors

__all__ = ["TOKENIZER", "check_tensors", "expected_tensors", "pack_tokenizer", "unpack_tokenizer"]

Shape = tuple[int | None, ...]
"""Sizes of a tensor; None for any."""

TOKENIZER = "tokenizer.json.zlib"
"""The tensor that holds the tokenizer's description, compressed: as metadata its quotes would all be escaped."""


def expected_tensors(config: BertConfig, head: str, num_labels: int) -> dict[str, tuple[Shape, type]]:
    """Return the shape and dtype of every tensor, by name.

    H and I are padded to multiples of 64, heads to multiples of 16. A linear layer "x" has ``x.weight`` (panels of 16
    outputs by 4 inputs), ``x.scale`` and ``x.column_sums`` (for each group of inputs and each output) and ``x.bias``;
    a LayerNorm has ``smoothing`` beside its weight and bias; the intermediate activations are multiplied by a factor.
    """
    H, I = padded(config.hidden_size), padded(config.intermediate_size)  # noqa: E741 (the field's own name)
    width = config.num_attention_heads * whole_vectors(config.head_dim)
    table: dict[str, tuple[Shape, type]] = {
        TOKENIZER: ((None,), np.uint8),
        "embeddings.word_embeddings.weight": ((config.vocab_size, H), np.int8),
        "embeddings.word_embeddings.scale": ((config.vocab_size,), np.float32),
        "embeddings.position_embeddings.weight": ((config.max_position_embeddings, H), np.float16),
        "embeddings.token_type_embeddings.weight": ((config.type_vocab_size, H), np.float16),
    }

    def norm(name: str) -> None:
        table.update({f"{name}.{part}": ((H,), np.float32) for part in ("weight", "bias", "smoothing")})

    def linear(name: str, N: int, K: int) -> None:
        table[f"{name}.weight"] = ((N // PANEL_COLUMNS, K // PANEL_DEPTH, PANEL_COLUMNS, PANEL_DEPTH), np.int8)
        table[f"{name}.scale"] = ((None, N), np.float32)
        table[f"{name}.column_sums"] = ((None, N), np.int16)
        table[f"{name}.bias"] = ((N,), np.float32)

    norm("embeddings.LayerNorm")
    for i in range(config.num_hidden_layers):
        layer = f"encoder.layer.{i}"
        linear(f"{layer}.attention.self.query_key_value", 3 * width, H)
        linear(f"{layer}.attention.output.dense", H, padded(width))
        norm(f"{layer}.attention.output.LayerNorm")
        linear(f"{layer}.intermediate.dense", I, H)
        table[f"{layer}.intermediate.factor"] = ((I,), np.float32)
        linear(f"{layer}.output.dense", H, I)
        norm(f"{layer}.output.LayerNorm")
    if head == "sequence_classification":
        size = config.hidden_size
        table["pooler.dense.weight"] = ((size, size), np.float16)
        table["pooler.dense.bias"] = ((size,), np.float32)
        table["classifier.weight"] = ((num_labels, size), np.float32)
        table["classifier.bias"] = ((num_labels,), np.float32)
    return table


def pack_tokenizer(description: str) -> np.ndarray:
    """Return a ``tokenizer.json`` as the tensor `TOKENIZER`."""
    return np.frombuffer(zlib.compress(description.encode(), 9), np.uint8)


def unpack_tokenizer(tensor: np.ndarray) -> str:
    """Undo `pack_tokenizer`; raise ValueError for what cannot be."""
    try:
        return zlib.decompress(tensor.tobytes()).decode()
    except zlib.error as error:
        raise ValueError(f"{TOKENIZER} cannot be unpacked: {error}") from error


def check_tensors(tensors: Mapping[str, np.ndarray], expected: Mapping[str, tuple[Shape, type]]) -> list[str]:
    """Return every fault: tensors that are missing, unknown, misshapen, of a wrong dtype or not finite."""
    faults = [f"{name} is missing" for name in expected if name not in tensors]
    faults += [f"{name} is unknown" for name in tensors if name not in expected]
    for name, (shape, dtype) in expected.items():
        if name not in tensors:
            continue
        array = tensors[name]
        if not _fits(array.shape, shape) or array.dtype != dtype:
            faults.append(f"{name} is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}")
        elif array.dtype.kind == "f" and not np.isfinite(array).all():
            faults.append(f"{name} has values that are not finite")
    return faults or _group_faults(tensors)


def _group_faults(tensors: Mapping[str, np.ndarray]) -> list[str]:
    """Return the faults of groups: how many there are, two tensors of each linear layer say, and its inputs allow."""
    faults = []
    for name, sums in tensors.items():
        if name.endswith(".column_sums"):
            layer = name.removesuffix(".column_sums")
            steps, depth = tensors[f"{layer}.weight"].shape[1], tensors[f"{layer}.weight"].shape[3]
            groups = len(tensors[f"{layer}.scale"])
            try:
                group_of_count(steps * depth, groups)
            except ValueError as error:
                faults.append(f"{layer}.scale: {error}")
            if len(sums) != groups:
                faults.append(f"{name} has {len(sums)} groups, {layer}.scale has {groups}")
    return faults


def _fits(found: tuple[int, ...], expected: Shape) -> bool:
    if len(found) != len(expected):
        return False
    return all(size in (None, own) for own, size in zip(found, expected, strict=True))
