"""Quantize an encoder layer by layer, while the calibration text passes through what is quantized already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np

from edgebert.architecture import Attention, Disentangled, Encoder, FeedForward, Linear, Norm
from edgebert.batch import PackedBatch
from edgebert.engine.backend import open_linear
from edgebert.evaluate.arithmetic import Float32Arithmetic
from edgebert.exact import matmul, multiply
from edgebert.functions import activate
from edgebert.kernels import reference
from edgebert.kernels.plan import PANEL_COLUMNS, head_width, padded
from edgebert.layout import padded_sizes
from edgebert.positions import distances_of
from edgebert.quantize.law import column_factors, quantize_embeddings, quantize_embeddings_int4
from edgebert.quantize.linear import Report, energies, extended, half, quantize_linear
from edgebert.quantize.smoothing import WHEN_NEEDED, smoothing
from edgebert.steps import AddAndNorm, Attend, Expand, Place, Project, ProjectHeads, linear_of, run, steps

__all__ = ["OnProgress", "quantize_encoder"]

OnProgress = Callable[[int, int], object]


def quantize_encoder(
    encoder: Encoder,
    weights: Mapping[str, np.ndarray],
    batch: PackedBatch,
    embeddings: str = "int8",
    on_progress: OnProgress | None = None,
) -> tuple[dict[str, np.ndarray], np.ndarray, Report]:
    """Quantize an encoder.

    Parameters
    ----------
    encoder : Encoder
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
    on_progress = on_progress or (lambda *_: None)
    quantizer = QuantizingArithmetic(encoder, weights, batch, embeddings, on_progress)
    hidden = run(encoder, quantizer)
    on_progress(len(encoder.layers), len(encoder.layers))
    return quantizer.result, hidden[:, : encoder.hidden_size], quantizer.report


class QuantizingArithmetic:
    """The steps (`edgebert.steps.Arithmetic`), each of which makes the tensors that it computes with.

    A layer is quantized when a step first uses it, for the inputs that the quantized layers before it give. One that
    several steps share (ALBERT) is quantized for the inputs of all of them, as float32 has them, and used again as it
    is. Smoothing divides what was made before: the stream is divided in place, for it goes on so.

    Attributes
    ----------
    result : dict of str to ndarray
        The tensors so far.
    report : Report
    """

    def __init__(
        self,
        encoder: Encoder,
        weights: Mapping[str, np.ndarray],
        batch: PackedBatch,
        embeddings: str,
        on_progress: OnProgress,
    ) -> None:
        self._encoder, self._weights, self._batch, self._kind = encoder, weights, batch, embeddings
        self._sizes = padded_sizes(encoder)
        self._on_progress, self._layers = on_progress, 0
        self._inputs = inputs_of_shared(encoder, weights, batch)
        self._prepared: dict[str, np.ndarray] = {}  # weights of layers whose inputs are smoothed or reordered already
        self._divisors: dict[str, np.ndarray] = {}  # of the inputs of a linear layer
        self._divided: dict[str, np.ndarray] = {}  # by which a part divides what it makes
        self._maker: dict[Place, Norm | Linear] = {}  # of what is in a place
        self.result: dict[str, np.ndarray] = {}
        self.report = Report()

    def embed(self) -> np.ndarray:
        """Quantize the embeddings, and the distances, which are no step's own."""
        tables = self._encoder.embeddings
        words, stride = tables.words.name, padded(tables.words.width)
        quantize = quantize_embeddings if self._kind == "int8" else quantize_embeddings_int4
        rows = self._weights[f"{words}.weight"] * np.float32(tables.scale)
        factor = column_factors(energies(rows))
        if (factor != 1).any():
            rows /= factor
            self.result[f"{words}.factor"] = np.pad(factor, (0, stride - len(factor)), constant_values=1)
        weight, scale = quantize(extended(rows, (len(rows), stride)))
        self.result |= {f"{words}.weight": weight, f"{words}.scale": scale}
        for table in self._encoder.tables():
            name = f"{table.name}.weight"
            if table in (tables.positions, tables.token_types):
                self.result[name] = half(name, extended(self._weights[name], (table.rows, stride)))
            elif table != tables.words:
                self.result[name] = self._weights[name]
        return reference.embed(tables, self.result, self._batch)

    def project(self, step: Project, x: np.ndarray) -> np.ndarray:
        """Quantize a linear layer and multiply by it."""
        linear = step.linear
        if linear.name in self._prepared:
            y = self._linear(linear, x, self._prepared.pop(linear.name), self._weights[f"{linear.name}.bias"])
        elif f"{linear.name}.weight" in self.result:
            y = self._linear(linear, x)
        else:
            weight, bias = self._weights[f"{linear.name}.weight"], self._weights[f"{linear.name}.bias"]
            y = self._smoothed(linear, self._maker[step.source], x, weight, bias)
        self._maker[step.target] = linear
        if linear == self._encoder.embeddings.project:
            self.result[f"{linear.name}.smoothing"] = np.ones(y.shape[1], np.float32)
        return y

    def project_heads(self, step: ProjectHeads, x: np.ndarray) -> np.ndarray:
        """Quantize the projections of query, key and value, the values smoothed for the layer behind attention."""
        self._on_progress(self._layers, len(self._encoder.layers))
        self._layers += 1
        attention, linear, maker = step.attention, step.attention.query_key_value, self._maker[step.source]
        if linear.name in self._divisors:
            return self._turned(attention, self._smoothed(linear, maker, x))
        weights = [_pad_heads(part, attention) for part in self._by_slots(attention, "weight")]
        biases = [_pad_heads(part, attention) for part in self._by_slots(attention, "bias")]
        # The context arrives head by head, each padded: so are the inputs of the layer that reads it.
        output = attention.output.name
        out = _pad_heads(self._weights[f"{output}.weight"].T, attention).T
        # Smoothing the values goes into their projection: what all heads of a value read is divided alike.
        inputs = self._inputs.get(linear.name, x)[:, : linear.K]
        readers = _shared_inputs(out, attention)
        divisor = smoothing(matmul(inputs, weights[2].T) + biases[2], readers, WHEN_NEEDED)
        weights[2], biases[2] = weights[2] / divisor[:, None], biases[2] / divisor
        of_heads = divisor.reshape(attention.slots[2], -1).repeat(attention.heads // attention.slots[2], axis=0)
        self._prepared[output] = out * of_heads.reshape(-1)
        if output in self._inputs:
            self._inputs[output] = _pad_heads(self._inputs[output].T, attention).T / of_heads.reshape(-1)
        for norm in attention.head_norms:
            weight = self._weight_of(norm)
            self.result[f"{norm.name}.weight"] = _pad_heads(weight, attention)
            self.result[f"{norm.name}.bias"] = np.zeros(head_width(attention), np.float32)
        return self._turned(
            attention, self._smoothed(linear, maker, x, np.concatenate(weights), np.concatenate(biases))
        )

    def _turned(self, attention: Attention, product: np.ndarray) -> np.ndarray:
        """Normalise and turn queries and keys."""
        product = reference.normalise_heads(product, attention, self.result)
        return reference.rotate_heads(product, attention, self._batch.position_ids)

    def _by_slots(self, attention: Attention, part: str) -> list[np.ndarray]:
        """Return the weights or the biases of the projections of query, key and value."""
        ends = np.cumsum(attention.slots) * attention.head_dim
        return np.split(self._stored(attention.query_key_value, part), ends[:2])

    def _weight_of(self, norm: Norm) -> np.ndarray:
        weight = self._weights[f"{norm.stored}.weight"]
        return weight + np.float32(norm.offset) if norm.offset else weight

    def _stored(self, linear: Linear, part: str) -> np.ndarray:
        """Return the weight or the bias of a linear layer, of all layers that a checkpoint has in its place."""
        arrays = [self._weights[f"{name}.{part}"] for name in linear.stored]
        return np.concatenate(arrays) if len(arrays) > 1 else arrays[0]

    def attend(self, step: Attend, query_key_value: np.ndarray) -> np.ndarray:
        """Attend within each sequence, in integers."""
        attention, batch = step.attention, self._batch
        if attention.disentangled:
            self._quantize_distances(attention, attention.disentangled)
        bias = distances_of(attention, self.result, self._encoder.longest)
        of_distance = reference.heads_of_distances(attention, self.result)
        return reference.attend(query_key_value, batch.cu_seqlens, attention, bias, of_distance, batch.key_counts)

    def _quantize_distances(self, attention: Attention, positions: Disentangled) -> None:
        """Quantize the queries and the keys that stand for distances, as those of tokens are."""
        exact = Float32Arithmetic(self._encoder, self._weights, self._batch)
        query, key = exact.heads_of_distances(attention)
        rows, heads, size = query.shape
        # The oracle quantizes three kinds of heads, of which the third is not used here.
        both = np.pad(np.stack([query, key, key], axis=1), [(0, 0)] * 3 + [(0, head_width(attention) - size)])
        q, scale = reference.quantize_heads(both.reshape(rows, -1), heads)
        for name, heads_of_rows, factors in zip((positions.queries, positions.keys), q, scale, strict=False):
            self.result[f"{name}.weight"] = np.ascontiguousarray(heads_of_rows.transpose(1, 0, 2)).reshape(rows, -1)
            self.result[f"{name}.scale"] = factors

    def expand(self, step: Expand, x: np.ndarray) -> np.ndarray:
        """Quantize the intermediate layer, the largest activations first: so they share a group with their like."""
        part, linear, maker = step.feed_forward, step.feed_forward.intermediate, self._maker[step.source]
        if linear.name in self._divisors:
            product = self._smoothed(linear, maker, x)
        else:
            # An array of two rows of columns where it is gated: those that are activated, and their gates.
            weight, bias = (_halves(self._stored(linear, name), part) for name in ("weight", "bias"))
            inputs = self._inputs.get(linear.name, x)[:, : linear.K]
            known = np.stack([multiply(inputs, each.T) for each in weight])
            values = activate(known[0] + bias[0], part.activation)
            if part.gated:
                values = values * (known[1] + bias[1])
            order = np.argsort(-np.abs(values).max(axis=0, initial=0), kind="stable")
            width = self._sizes[part.output.name][1]
            weight, bias = (_in_turn(each[:, order], width) for each in (weight, bias))
            wide = _in_turn(known.transpose(0, 2, 1)[:, order], width).T
            product = self._smoothed(linear, maker, x, weight, bias, wide)
            self._smooth_activations(part, values[:, order], order)
        return reference.activate_gated(product, part) * self.result[part.factor]

    def _smooth_activations(self, part: FeedForward, values: np.ndarray, order: np.ndarray) -> None:
        """Smooth the activations, which arrive in an order, for the layer that reads them."""
        output = part.output.name
        weight = self._weights[f"{output}.weight"][:, order]
        divisor = smoothing(values, weight, WHEN_NEEDED)
        self.result[part.factor] = extended(1 / divisor, (self._sizes[output][1],))
        self._prepared[output] = weight * divisor
        if output in self._inputs:
            self._inputs[output] = self._inputs[output][:, order] / divisor

    def add(self, step: AddAndNorm, residual: np.ndarray, branch: np.ndarray) -> np.ndarray:
        """Undo the smoothing of the stream, and add."""
        return reference.undo_smoothing(step, self.result, residual) + branch

    def normalise(self, norm: Norm, x: np.ndarray, target: Place) -> np.ndarray:
        """Normalise; a norm that is new is not smoothed yet."""
        if f"{norm.name}.weight" not in self.result:
            bias = np.zeros(norm.size, np.float32) if norm.rms else self._weights[f"{norm.stored}.bias"]
            for part, array in (("weight", self._weight_of(norm)), ("bias", bias)):
                self.result[f"{norm.name}.{part}"] = extended(array, (x.shape[1],))
            if norm in self._encoder.stream_norms():
                self.result[f"{norm.name}.smoothing"] = np.ones(x.shape[1], np.float32)
        self._maker[target] = norm
        return reference.normalise(norm, self.result, x)

    def _smoothed(
        self,
        linear: Linear,
        maker: Norm | Linear,
        x: np.ndarray,
        weight: np.ndarray | None = None,
        bias: np.ndarray | None = None,
        product: np.ndarray | None = None,
    ) -> np.ndarray:
        """Smooth x, made by `maker`, in place for a linear layer, and multiply; weights are given where it is new."""
        K = linear.K
        known = self._divided.get(maker.name)
        divisor = self._divisors.get(linear.name, known)
        inputs = self._inputs.get(linear.name, x)
        if divisor is None:
            assert weight is not None
            divisor = np.ones(x.shape[1], np.float32)
            divisor[:K] = smoothing(inputs[:, :K], weight)
        if known is None:
            assert maker != self._encoder.last_norm  # the result would stay divided
            # Of a LayerNorm its weight, of a linear layer its scales.
            factor = "weight" if isinstance(maker, Norm) else "scale"
            for part in (factor, "bias"):
                self.result[f"{maker.name}.{part}"] = self.result[f"{maker.name}.{part}"] / divisor
            if f"{maker.name}.smoothing" in self.result:
                self.result[f"{maker.name}.smoothing"] = divisor
            x /= divisor
        self._divided[maker.name] = self._divisors[linear.name] = divisor
        if linear.name in self._inputs:
            self._inputs[linear.name] = self._inputs[linear.name] / divisor[:K]
        return self._linear(linear, x, None if weight is None else weight * divisor[:K], bias, product)

    def _linear(
        self,
        linear: Linear,
        x: np.ndarray,
        weight: np.ndarray | None = None,
        bias: np.ndarray | None = None,
        product: np.ndarray | None = None,
    ) -> np.ndarray:
        """Quantize a linear layer that is new for its inputs, and multiply x by it."""
        name = linear.name
        if f"{name}.weight" not in self.result:
            assert weight is not None
            assert bias is not None
            inputs, N = self._inputs.pop(name, x), self._sizes[name][0]
            tensors, y = quantize_linear(name, inputs, weight, bias, N, self.report, product)
            self.result |= tensors
            if inputs is x:
                return y
        return open_linear(self.result, name, self._sizes[name][0])(x)


def inputs_of_shared(encoder: Encoder, weights: Mapping[str, np.ndarray], batch: PackedBatch) -> dict[str, np.ndarray]:
    """Return the inputs of the linear layers that several steps share, as float32 has them.

    Returns
    -------
    dict of str to ndarray [shape=(about T, K), dtype=float32]
        Of each pass a part of the tokens, so that all together are as many as the text has.
    """
    uses = Counter(linear.name for step in steps(encoder) if (linear := linear_of(step)))
    inputs: dict[str, list[np.ndarray]] = {name: [] for name, count in uses.items() if count > 1}

    class Collecting(Float32Arithmetic):
        def _linear(self, linear: Linear, x: np.ndarray) -> np.ndarray:
            if linear.name in inputs:
                collected = inputs[linear.name]
                collected.append(x[len(collected) :: uses[linear.name]])
            return super()._linear(linear, x)

    if inputs:
        run(encoder, Collecting(encoder, weights, batch))
    return {name: np.concatenate(parts) for name, parts in inputs.items()}


def _shared_inputs(out: np.ndarray, attention: Attention) -> np.ndarray:
    """Return the weight behind attention, (N, heads * width), as one on the values: a row for each head that reads one.

    Several heads may share a value: (N * heads / values, values * width).
    """
    N, values = len(out), attention.slots[2]
    split = out.reshape(N, values, attention.heads // values, -1)
    return split.transpose(0, 2, 1, 3).reshape(-1, out.shape[1] * values // attention.heads)


def _pad_heads(array: np.ndarray, attention: Attention) -> np.ndarray:
    """Extend each head's rows with zeros to the size that kernels compute, or each half's (`plan.head_width`)."""
    halves = 2 if attention.rotary else 1
    pieces = len(array) * halves // attention.head_dim
    split = array.reshape(pieces, -1, *array.shape[1:])
    width = head_width(attention) // halves
    split = np.pad(split, [(0, 0), (0, width - split.shape[1]), *[(0, 0)] * (array.ndim - 1)])
    return split.reshape(pieces * width, *array.shape[1:])


def _halves(array: np.ndarray, part: FeedForward) -> np.ndarray:
    """Return rows as an array of one piece, or of two where a feed-forward part is gated, the activated one first."""
    pieces = array.reshape(1 + part.gated, part.size, *array.shape[1:])
    return pieces[::-1] if part.gate_first else pieces


def _in_turn(pieces: np.ndarray, width: int) -> np.ndarray:
    """Extend the rows of pieces with zeros to a width, and let panels of each stand in turn."""
    pieces = np.pad(pieces, [(0, 0), (0, width - pieces.shape[1]), *[(0, 0)] * (pieces.ndim - 2)])
    panels = pieces.reshape(len(pieces), -1, PANEL_COLUMNS, *pieces.shape[2:])
    return np.ascontiguousarray(panels.swapaxes(0, 1)).reshape(-1, *pieces.shape[2:])
