"""Convert a trained checkpoint to an .edgebert file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from edgebert.artifact import write_artifact
from edgebert.checkpoint import Checkpoint, open_checkpoint
from edgebert.errors import CheckpointError, OutputError
from edgebert.kernels.plan import padded
from edgebert.quantize.law import SCHEME, pack_panels, quantize_embeddings, quantize_weight

__all__ = ["convert", "quantize_checkpoint"]

_HALF_LARGEST = np.finfo(np.float16).max


def convert(source: str | os.PathLike[str], output: str | os.PathLike[str]) -> Path:
    """Convert a Hugging Face model to an .edgebert file.

    Parameters
    ----------
    source : path or str
        A model folder, or a hub name ``org/name`` or ``org/name@revision``.
    output : path
        The file to write; whole or not at all.

    Returns
    -------
    Path
        `output`.

    Raises
    ------
    CheckpointError
        When the source is missing, incomplete, damaged or unsupported.
    OutputError
        When the file cannot be written.
    """
    output = Path(output)
    if output.is_dir() or not output.parent.is_dir():
        fault = "it is a folder" if output.is_dir() else f"there is no folder {output.parent}"
        raise OutputError(f"cannot write {output}: {fault}; name a file in a folder that exists")
    checkpoint = open_checkpoint(source)
    write_artifact(output, quantize_checkpoint(checkpoint), describe(checkpoint))
    return output


def describe(checkpoint: Checkpoint) -> dict[str, object]:
    """Return the metadata of a checkpoint's .edgebert file."""
    return {
        "scheme": SCHEME,
        "config": checkpoint.config.to_dict(),
        "head": checkpoint.head,
        "labels": list(checkpoint.labels),
        "problem_type": checkpoint.problem_type,
        "pooling": checkpoint.pooling,
        "normalize": checkpoint.normalize,
        "max_length": checkpoint.max_length,
        "tokenizer": checkpoint.tokenizer_json,
        "source": checkpoint.name,
        "source_sha256": checkpoint.sha256,
        "model_card": checkpoint.model_card,
    }


def quantize_checkpoint(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """Quantize every tensor of a checkpoint; the names and shapes are those of `edgebert.model.expected_tensors`."""
    config, tensors = checkpoint.config, checkpoint.tensors
    H, heads, head_dim = padded(config.hidden_size), config.num_attention_heads, config.head_dim
    result: dict[str, np.ndarray] = {}

    words, scale = quantize_embeddings(tensors["embeddings.word_embeddings.weight"])
    result["embeddings.word_embeddings.weight"] = _pad(words, (len(words), H))
    result["embeddings.word_embeddings.scale"] = scale
    for name in ("embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"):
        table = tensors[name]
        result[name] = _half(name, _pad(table, (len(table), H)))

    def norm(name: str) -> None:
        for part in ("weight", "bias"):
            result[f"{name}.{part}"] = _pad(tensors[f"{name}.{part}"], (H,))

    def linear(name: str, weight: np.ndarray, bias: np.ndarray) -> None:
        result.update({f"{name}.{part}": array for part, array in _linear(weight, bias).items()})

    def plain(name: str) -> None:
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        linear(name, _pad(weight, tuple(padded(size) for size in weight.shape)), _pad(bias, (padded(len(bias)),)))

    norm("embeddings.LayerNorm")
    for i in range(config.num_hidden_layers):
        prefix = f"encoder.layer.{i}"
        parts = [f"{prefix}.attention.self.{part}" for part in ("query", "key", "value")]
        weights = [_pad(_pad_heads(tensors[f"{part}.weight"], heads, head_dim), (None, H)) for part in parts]
        biases = [_pad_heads(tensors[f"{part}.bias"], heads, head_dim) for part in parts]
        linear(f"{prefix}.attention.self.query_key_value", np.concatenate(weights), np.concatenate(biases))
        # The context arrives head by head, each padded: so are the inputs of this one.
        name = f"{prefix}.attention.output.dense"
        inputs = _pad_heads(tensors[f"{name}.weight"].T, heads, head_dim).T
        linear(name, _pad(inputs, (H, None)), _pad(tensors[f"{name}.bias"], (H,)))
        norm(f"{prefix}.attention.output.LayerNorm")
        plain(f"{prefix}.intermediate.dense")
        plain(f"{prefix}.output.dense")
        norm(f"{prefix}.output.LayerNorm")
    if checkpoint.head != "none":
        result["pooler.dense.weight"] = _half("pooler.dense.weight", tensors["pooler.dense.weight"])
        for name in ("pooler.dense.bias", "classifier.weight", "classifier.bias"):
            result[name] = tensors[name]
    return result


def _linear(weight: np.ndarray, bias: np.ndarray) -> dict[str, np.ndarray]:
    """Quantize one linear layer: float32 (N, K), both padded, to what the kernels read."""
    q, scale = quantize_weight(weight)
    return {
        "weight": pack_panels(q),
        "scale": scale,
        "column_sums": q.sum(axis=1, dtype=np.int32),
        "bias": bias,
    }


def _pad(array: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    """Extend an array with zeros to a shape; None keeps a dimension."""
    widths = [(0, 0 if size is None else size - old) for size, old in zip(shape, array.shape, strict=True)]
    return np.pad(array, widths)


def _pad_heads(array: np.ndarray, heads: int, head_dim: int) -> np.ndarray:
    """Extend each head's rows with zeros to a whole number of vectors."""
    split = array.reshape(heads, head_dim, *array.shape[1:])
    split = np.pad(split, [(0, 0), (0, padded(head_dim) - head_dim), *[(0, 0)] * (array.ndim - 1)])
    return split.reshape(heads * padded(head_dim), *array.shape[1:])


def _half(name: str, array: np.ndarray) -> np.ndarray:
    """Round to float16, which small tables lose nothing by; refuse what it cannot hold."""
    largest = float(np.abs(array).max())
    if largest > _HALF_LARGEST:
        raise CheckpointError(f"{name} has a value of {largest:g}, expected at most {_HALF_LARGEST:g}; its weights are damaged")
    return array.astype(np.float16)
