"""Quantize an encoder layer by layer, while the calibration text passes through what is quantized already."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.config import BertConfig
from edgebert.engine.backend import open_linear
from edgebert.errors import CheckpointError
from edgebert.exact import matmul, multiply, total
from edgebert.kernels import reference
from edgebert.kernels.plan import finer_groups, padded, whole_vectors
from edgebert.positions import bias_of_distances
from edgebert.quantize.law import exceeds_limit, pack_panels, quantize_embeddings, quantize_embeddings_int4
from edgebert.quantize.rounding import inputs_of, round_weight
from edgebert.quantize.smoothing import WHEN_NEEDED, smoothing

__all__ = ["OnProgress", "Report", "half", "half_or_whole", "quantize_encoder", "quantize_linear"]

OnProgress = Callable[[int, int], object]

LARGEST_ERROR = 7e-5
"""What a linear layer may lose, as a share of its outputs' energy, in a form that is faster than others."""

_OUTPUTS, _ROWS = 1 << 13, 256
_HALF_LARGEST = float(np.finfo(np.float16).max)


@dataclasses.dataclass
class Report:
    """What became of each linear layer.

    Attributes
    ----------
    errors : dict of str to float
        Error of its outputs for the calibration text, as a share of their energy.
    finer : dict of str to int
        How many inputs share a scale, of the layers that needed finer groups than usual.
    depths : dict of str to int
        Over how many steps of four inputs its products may be added in 16 bits (`edgebert.quantize.law`).
    """

    errors: dict[str, float] = dataclasses.field(default_factory=dict)
    finer: dict[str, int] = dataclasses.field(default_factory=dict)
    depths: dict[str, int] = dataclasses.field(default_factory=dict)


def quantize_encoder(
    config: BertConfig,
    weights: Mapping[str, np.ndarray],
    batch: PackedBatch,
    embeddings: str = "int8",
    on_progress: OnProgress | None = None,
) -> tuple[dict[str, np.ndarray], np.ndarray, Report]:
    """Quantize an encoder.

    Parameters
    ----------
    config : BertConfig
    weights : mapping of str to ndarray [dtype=float32]
        A checkpoint's tensors.
    batch : PackedBatch
        The calibration text.
    embeddings : str
        What the word embeddings are kept in: ``"int8"`` or ``"int4"``.
    on_progress : callable, optional
        Called with (layers done, layers in all).

    Returns
    -------
    tensors : dict of str to ndarray
        The encoder's, as in `edgebert.layout`.
    hidden : ndarray [shape=(T, hidden_size), dtype=float32]
        The last hidden states of the calibration text.
    report : Report
    """
    quantizer = _Quantizer(config, weights, batch, embeddings)
    hidden = quantizer.run(on_progress or (lambda *_: None))
    return quantizer.result, hidden[:, : config.hidden_size], quantizer.report


class _Quantizer:
    """The state of the work: the tensors so far, and the model and text that they come from."""

    def __init__(
        self, config: BertConfig, weights: Mapping[str, np.ndarray], batch: PackedBatch, embeddings: str
    ) -> None:
        self._config, self._weights, self._batch, self._kind = config, weights, batch, embeddings
        self._stride = padded(config.hidden_size)
        self._bias: np.ndarray | None = None
        self.result: dict[str, np.ndarray] = {}
        self.report = Report()

    def run(self, on_progress: OnProgress) -> np.ndarray:
        """Quantize everything, in the order of the forward pass; return the text as it comes out."""
        x, stream = self._embeddings()
        for i in range(self._config.num_hidden_layers):
            on_progress(i, self._config.num_hidden_layers)
            layer = f"encoder.layer.{i}"
            x = self._attention(x, stream, layer)
            stream = f"{layer}.attention.output.LayerNorm"
            x = self._feed_forward(x, stream, layer)
            stream = f"{layer}.output.LayerNorm"
        on_progress(self._config.num_hidden_layers, self._config.num_hidden_layers)
        return x

    def _embeddings(self) -> tuple[np.ndarray, str]:
        """Quantize the embeddings; return the text as the first layer gets it, and the name of what it comes from."""
        config, stride = self._config, padded(self._config.embedding_width)
        words = self._weights["embeddings.word_embeddings.weight"]
        words = _pad(words, (len(words), stride))
        quantize = quantize_embeddings if self._kind == "int8" else quantize_embeddings_int4
        weight, scale = quantize(words)
        self.result["embeddings.word_embeddings.weight"], self.result["embeddings.word_embeddings.scale"] = (
            weight,
            scale,
        )
        for name in ("embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"):
            table = self._weights[name]
            self.result[name] = half(name, _pad(table, (len(table), stride)))
        if config.relative_attention_num_buckets:
            name = "encoder.relative_attention_bias.weight"
            self.result[name] = self._weights[name]
            self._bias = bias_of_distances(self.result[name], config.max_position_embeddings)
        stream = "embeddings.LayerNorm"
        x = self._normed(reference.embed(self.result, self._batch), stream, config.embedding_width)
        if config.projects_embeddings:
            name = "embeddings_project"
            x, weight = self._smooth(x, stream, self._weights[f"{name}.weight"])
            x = self._linear(name, x, weight, self._weights[f"{name}.bias"], self._stride)
            self.result[f"{name}.smoothing"] = np.ones(self._stride, np.float32)
            stream = name
        return x, stream

    def _attention(self, x: np.ndarray, stream: str, layer: str) -> np.ndarray:
        """Quantize the first half of a layer; return the text after it."""
        heads, head_dim = self._config.num_attention_heads, self._config.head_dim
        parts = [f"{layer}.attention.self.{part}" for part in ("query", "key", "value")]
        weights = [_pad_heads(self._weights[f"{part}.weight"], heads, head_dim) for part in parts]
        biases = [_pad_heads(self._weights[f"{part}.bias"], heads, head_dim) for part in parts]
        # The context arrives head by head, each padded: so are the inputs of the layer that reads it.
        out = _pad_heads(self._weights[f"{layer}.attention.output.dense.weight"].T, heads, head_dim).T
        H = self._config.hidden_size
        # Smoothing the values goes into their projection.
        divisor = smoothing(matmul(x[:, :H], weights[2].T) + biases[2], out, WHEN_NEEDED)
        weights[2], biases[2], out = weights[2] / divisor[:, None], biases[2] / divisor, out * divisor
        x, weight, bias = *self._smooth(x, stream, np.concatenate(weights)), np.concatenate(biases)
        projected = self._linear(f"{layer}.attention.self.query_key_value", x, weight, bias, len(weight))
        context = reference.attend(projected, self._batch.cu_seqlens, heads, 1 / math.sqrt(head_dim), self._bias)
        name = f"{layer}.attention.output"
        y = self._linear(f"{name}.dense", context, out, self._weights[f"{name}.dense.bias"], self._stride)
        return self._normed(x * self.result[f"{stream}.smoothing"] + y, f"{name}.LayerNorm")

    def _feed_forward(self, x: np.ndarray, stream: str, layer: str) -> np.ndarray:
        """Quantize the second half of a layer; return the text after it."""
        name = f"{layer}.intermediate.dense"
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        # The largest activations first: so they share a group with their like.
        product = multiply(x[:, : self._config.hidden_size], weight.T)
        values = reference.activate(product + bias, self._config.activation)
        order = np.argsort(-np.abs(values).max(axis=0, initial=0), kind="stable")
        x, weight = self._smooth(x, stream, weight[order])
        wide = padded(self._config.intermediate_size)
        inner = self._linear(name, x, weight, bias[order], wide, _pad(product[:, order], (len(product), wide)))
        name = f"{layer}.output"
        weight, bias = self._weights[f"{name}.dense.weight"][:, order], self._weights[f"{name}.dense.bias"]
        divisor = smoothing(values[:, order], weight, WHEN_NEEDED)
        factor = _pad(1 / divisor, (inner.shape[1],))
        self.result[f"{layer}.intermediate.factor"] = factor
        inner = reference.activate(inner, self._config.activation) * factor
        y = self._linear(f"{name}.dense", inner, weight * divisor, bias, self._stride)
        return self._normed(x * self.result[f"{stream}.smoothing"] + y, f"{name}.LayerNorm")

    def _linear(
        self,
        name: str,
        x: np.ndarray,
        weight: np.ndarray,
        bias: np.ndarray,
        N: int,
        product: np.ndarray | None = None,
    ) -> np.ndarray:
        """Quantize one linear layer for its inputs and extend it to N outputs; return these."""
        tensors, y = quantize_linear(name, x, weight, bias, N, self.report, product)
        self.result |= tensors
        return y

    def _normed(self, x: np.ndarray, name: str, size: int | None = None) -> np.ndarray:
        """Add a LayerNorm that is not smoothed yet; return the text after it."""
        stride = x.shape[1]
        for part in ("weight", "bias"):
            self.result[f"{name}.{part}"] = _pad(self._weights[f"{name}.{part}"], (stride,))
        self.result[f"{name}.smoothing"] = np.ones(stride, np.float32)
        return reference.norm(self._config, self.result, x, name, size)

    def _smooth(self, x: np.ndarray, stream: str, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Smooth x, which comes from `stream`, for the linear layer that reads it; return both as they are then."""
        K = weight.shape[1]
        divisor = np.ones(x.shape[1], np.float32)
        divisor[:K] = smoothing(x[:, :K], weight)
        # Of a LayerNorm its weight, of a linear layer its scales.
        factor = "weight" if stream.endswith("LayerNorm") else "scale"
        for part in (factor, "bias"):
            self.result[f"{stream}.{part}"] = self.result[f"{stream}.{part}"] / divisor
        self.result[f"{stream}.smoothing"] = divisor
        return x / divisor, weight * divisor[:K]


def quantize_linear(
    name: str,
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    N: int,
    report: Report,
    product: np.ndarray | None = None,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Quantize a linear layer for its inputs, in the fastest form that does not lose too much.

    Parameters
    ----------
    name : str
    x : ndarray [shape=(T, K or more), dtype=float32]
    weight : ndarray [shape=(any up to N, K), dtype=float32]
    bias : ndarray [shape=(the same,), dtype=float32]
    N : int
        Outputs that it is extended to, with zeros.
    report : Report
        Gets its line.
    product : ndarray [shape=(T, N), dtype=float32], optional
        x times the weight, where it is known.

    Returns
    -------
    tensors : dict of str to ndarray
        As in `edgebert.layout`.
    y : ndarray [shape=(T, N), dtype=float32]
        What it makes of x.
    """
    K = padded(weight.shape[1])
    weight, bias, rows = _pad(weight, (N, K)), _pad(bias, (N,)), _pad(x, (len(x), K))
    # Outputs do not depend on each other: of a whole vocabulary, some at a time.
    blocks = [slice(begin, min(begin + _OUTPUTS, N)) for begin in range(0, N, _OUTPUTS)]
    exact = [multiply(rows, weight[own].T) if product is None else product[:, own] for own in blocks]
    if not all(np.isfinite(each).all() for each in (rows, weight, *exact)):
        raise CheckpointError(
            f"{name} has inputs or outputs that are no finite numbers where the calibration text passes through: the"
            " weights of this layer, or of one before it, are damaged or too large"
        )
    energy = sum(_energy(each) for each in exact)
    usual, *finer = finer_groups(K)
    of_group = 0
    for group, depth in [(usual, 2), (usual, 1), *((group, 1) for group in finer)]:
        if group != of_group:
            # What the layer will read: the values that the integers stand for.
            inputs = inputs_of(reference.dequantize_rows(*reference.quantize_rows(rows, group), group))
            of_group = group
        parts, lost = [], 0.0
        for own, wanted in zip(blocks, exact, strict=True):
            q, scale = round_weight(weight[own], inputs, group, depth)
            assert not exceeds_limit(q, depth)
            panels = pack_panels(q)
            # The limit on weights that meet keeps them within 16 bits.
            sums = np.stack([q[:, k : k + group].sum(axis=1, dtype=np.int16) for k in range(0, K, group)])
            part = _tensors(name, panels, scale, sums, bias[own], depth)
            y = open_linear(part, name, len(q))(rows)
            lost += _energy(y, wanted + bias[own])
            parts.append((panels, scale, sums, y))
        error = lost / max(energy, 1e-30)
        if error <= LARGEST_ERROR:
            break
    report.errors[name], report.depths[name] = error, depth
    if group != usual:
        report.finer[name] = group
    panels, scale, sums, y = (
        np.concatenate(pieces, axis=axis) for pieces, axis in zip(zip(*parts, strict=True), (0, 1, 1, 1), strict=True)
    )
    return _tensors(name, panels, scale, sums, bias, depth), y


def _tensors(
    name: str, panels: np.ndarray, scale: np.ndarray, sums: np.ndarray, bias: np.ndarray, depth: int
) -> dict[str, np.ndarray]:
    """Return the tensors of a linear layer by their names."""
    depths = np.array([depth], np.uint8)
    tensors = {"weight": panels, "scale": scale, "column_sums": sums, "bias": bias, "depth": depths}
    return {f"{name}.{part}": array for part, array in tensors.items()}


def _energy(y: np.ndarray, wanted: np.ndarray | None = None) -> float:
    """Return the sum of the squares of float32 (T, N), or of its difference to another."""
    parts = []
    for i in range(0, len(y), _ROWS):  # which stay in the cache
        rows = y[i : i + _ROWS] if wanted is None else y[i : i + _ROWS] - wanted[i : i + _ROWS]
        parts.append(total(np.square(rows, dtype=np.float64), 0))
    return float(total(total(np.array(parts), 0))) if parts else 0.0


def half(name: str, array: np.ndarray) -> np.ndarray:
    """Round to float16, which small tables lose nothing by; refuse what it cannot hold.

    Raises
    ------
    CheckpointError
    """
    largest = float(np.abs(array).max())
    if largest > _HALF_LARGEST:
        raise CheckpointError(
            f"{name} has a value of {largest:g}, expected at most {_HALF_LARGEST:g}; its weights are damaged"
        )
    return array.astype(np.float16)


def half_or_whole(weight: np.ndarray) -> np.ndarray:
    """Round a layer's weight (N, K) to float16, unless an output would lose more than float16's eleven digits by it.

    A value of float16's usual range loses at most a share of 2**-11. Very small ones (below 6e-5) lose more, and very
    large ones do not fit: where that costs a row more than the same share of its length, float32 is kept.
    """
    with np.errstate(over="ignore"):
        rounded = weight.astype(np.float16)
    lost = np.square(weight - rounded.astype(np.float64)).sum(axis=1)
    return rounded if (lost <= 2.0**-22 * np.square(weight, dtype=np.float64).sum(axis=1)).all() else weight


def _pad(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Extend an array with zeros to a shape."""
    widths = [(0, size - old) for size, old in zip(shape, array.shape, strict=True)]
    return np.pad(array, widths)


def _pad_heads(array: np.ndarray, heads: int, head_dim: int) -> np.ndarray:
    """Extend each head's rows with zeros to a whole number of vectors."""
    split = array.reshape(heads, head_dim, *array.shape[1:])
    split = np.pad(split, [(0, 0), (0, whole_vectors(head_dim) - head_dim), *[(0, 0)] * (array.ndim - 1)])
    return split.reshape(heads * whole_vectors(head_dim), *array.shape[1:])
