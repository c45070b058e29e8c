"""A model as the kernels read it: a PLAN, and the records and arrays that it points to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from edgebert.architecture import Attention, Encoder, Linear, Norm, Rotary, Table
from edgebert.engine.linear import linear_record
from edgebert.kernels.constants import LOWEST_SCORE
from edgebert.kernels.plan import (
    ACTIVATION_CODES,
    BEYOND_WINDOW,
    LANES,
    NORM,
    PLAN,
    STEP,
    STEP_CODES,
    head_width,
    padded,
)
from edgebert.positions import angles_of, bias_of_distances
from edgebert.steps import AddAndNorm, Attend, Embed, Expand, ProjectHeads, Quantize, linear_of, steps

__all__ = ["ModelPlan", "rows_of_bias"]


class ModelPlan:
    """The part of a PLAN that a model decides.

    Parameters
    ----------
    encoder : Encoder
    tensors : mapping of str to ndarray
        As in an .edgebert file.
    place : callable
        Puts an array where the kernels will find it, and returns its address there.

    Attributes
    ----------
    record : ndarray [shape=(1,), dtype=PLAN]
        Its fields of the batch, the workspace and the team are zero.
    stage_names : list of str
        What a forward pass does, in order.
    most_groups : int
        Most groups of inputs that a linear layer has.
    """

    def __init__(self, encoder: Encoder, tensors: Mapping[str, np.ndarray], place: Callable[[np.ndarray], int]) -> None:
        self.encoder, self._place = encoder, place
        self._known_angles: dict[Rotary, int] = {}
        self._known_biases: dict[tuple[Table | None, int], tuple[int, int, int]] = {}
        self.record = np.zeros(1, PLAN)
        self.most_groups = 1
        self._describe(tensors)

    def _describe(self, tensors: Mapping[str, np.ndarray]) -> None:
        encoder, plan = self.encoder, self.record[0]
        attention = encoder.layers[0].attention  # all have the same sizes
        head_dim = head_width(attention)
        plan["hidden_stride"] = padded(encoder.hidden_size)
        plan["intermediate_stride"] = padded(encoder.layers[0].feed_forward.size)
        plan["num_attention_heads"], plan["head_dim"] = attention.heads, head_dim
        plan["context_stride"] = padded(attention.heads * head_dim)
        plan["softmax_scale"] = math.log2(math.e) / math.sqrt(attention.head_dim)
        self._describe_embeddings(tensors)
        # A part that several steps share is there once.
        linears = {linear.name: self._linear(tensors, linear) for linear in encoder.linears()}
        norms = {norm.name: self._norm(tensors, norm) for norm in encoder.norms()}
        factors = {name: self._place(tensors[name]) for name in encoder.factors()}
        smoothings: dict[str, int] = {}
        records = np.zeros(len(steps(encoder)), STEP)
        for record, step in zip(records, steps(encoder), strict=True):
            record["code"], record["source"], record["target"] = STEP_CODES[type(step)], step.source, step.target
            record["activation"] = -1
            linear = linear_of(step)
            if linear:
                record["linear"] = linears[linear.name]
            if isinstance(step, Embed | AddAndNorm):
                record["norm"] = norms[step.norm.name]
            if isinstance(step, Embed | Quantize | AddAndNorm) and step.quantize_for:
                record["reader"] = linears[step.quantize_for.name]
            if isinstance(step, AddAndNorm) and step.undo:
                name = f"{step.undo.name}.smoothing"
                smoothings[name] = smoothings.get(name) or self._place(tensors[name])
                record["undo"] = smoothings[name]
            if isinstance(step, Expand):
                feed_forward = step.feed_forward
                record["activation"] = ACTIVATION_CODES[feed_forward.activation]
                record["reader"] = linears[feed_forward.output.name]
                record["factor"] = factors[feed_forward.factor]
                record["gated"] = feed_forward.gated
            if isinstance(step, ProjectHeads) and step.attention.rotary:
                record["angles"] = self._angles(step.attention)
            if isinstance(step, Attend):
                record["window"] = step.attention.window
                record["bias"], record["bias_row"], record["bias_centre"] = self._bias(tensors, step.attention)
        plan["steps"], plan["step_count"] = self._place(records), len(records)
        self.stage_names = [step.name for step in steps(encoder)]

    def _describe_embeddings(self, tensors: Mapping[str, np.ndarray]) -> None:
        embeddings, plan = self.encoder.embeddings, self.record[0]
        words = embeddings.words
        scale = tensors[f"{words.name}.scale"]
        plan["embedding_stride"] = padded(words.width)
        plan["word_weight"] = self._place(tensors[f"{words.name}.weight"])
        plan["word_scale"], plan["word_groups"] = self._place(scale), scale.shape[1] if scale.ndim == 2 else 0
        fields = {"position_embeddings": embeddings.positions, "token_type_embeddings": embeddings.token_types}
        for field, table in fields.items():
            if table:
                plan[field] = self._place(tensors[f"{table.name}.weight"].astype(np.float32))

    def _angles(self, attention: Attention) -> int:
        """Place the angles by which heads turn, which are the same for all layers with the same base."""
        assert attention.rotary
        if attention.rotary not in self._known_angles:
            half = head_width(attention) // 2
            angles = angles_of(attention, self.encoder.longest)
            angles = np.pad(angles, [(0, 0), (0, 0), (0, half - angles.shape[2])])
            self._known_angles[attention.rotary] = self._place(angles)
        return self._known_angles[attention.rotary]

    def _bias(self, tensors: Mapping[str, np.ndarray], attention: Attention) -> tuple[int, int, int]:
        """Place what the distance of two tokens adds to the binary logarithm of their weight, if anything.

        Returns
        -------
        tuple of int
            Its address, the size of a row, and where in a row distance 0 stands, as a STEP has them.
        """
        key = (attention.distances, attention.window)
        if key in self._known_biases or key == (None, 0):
            return self._known_biases.get(key, (0, 0, 0))
        bias = None
        if attention.distances:
            weight = tensors[f"{attention.distances.name}.weight"]
            bias = bias_of_distances(weight * np.float32(math.log2(math.e)), self.encoder.longest)
        rows, centre = rows_of_bias(bias, attention.window, self.encoder.longest)
        self._known_biases[key] = (self._place(rows), rows.shape[1] if attention.distances else 0, centre)
        return self._known_biases[key]

    def _norm(self, tensors: Mapping[str, np.ndarray], norm: Norm) -> int:
        record = np.zeros(1, NORM)
        record["size"], record["eps"] = norm.size, norm.eps
        record["weight"], record["bias"] = (self._place(tensors[f"{norm.name}.{part}"]) for part in ("weight", "bias"))
        return self._place(record)

    def _linear(self, tensors: Mapping[str, np.ndarray], linear: Linear) -> int:
        record = linear_record(tensors, linear.name, self._place)
        self.most_groups = max(self.most_groups, int(record["groups"][0]))
        return self._place(record)


def rows_of_bias(bias: np.ndarray | None, window: int, longest: int) -> tuple[np.ndarray, int]:
    """Return what kernels add to the binary logarithm of a weight for the distance of a key from its query.

    Parameters
    ----------
    bias : ndarray [shape=(heads, 2 * longest - 1), dtype=float32] or None
        As `edgebert.positions.bias_of_distances`.
    window : int
        Tokens to either side that are seen; 0 for all.
    longest : int
        Tokens of the longest sequence.

    Returns
    -------
    rows : ndarray [shape=(heads or 1, R), dtype=float32]
        Beyond the window nothing is seen; behind the last distance as much can be read as a kernel reads.
    centre : int
        Where in a row distance 0 stands.
    """
    reach = min(window or longest, longest - 1)
    if bias is None:
        bias = np.zeros((1, 2 * longest - 1), np.float32)
    own = bias[:, longest - 1 - reach : longest + reach]
    beyond = BEYOND_WINDOW if window else 0
    rows = np.pad(own, [(0, 0), (beyond, beyond + LANES)], constant_values=LOWEST_SCORE)
    return np.ascontiguousarray(rows), beyond + reach
