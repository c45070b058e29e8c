"""A model as the kernels read it: a PLAN, and the records and arrays that it points to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from edgebert.architecture import Attention, Encoder, Linear, Norm, Rotary
from edgebert.engine.distances import distances_record
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
    word_factor,
)
from edgebert.positions import angles_of, distances_of
from edgebert.steps import AddAndNorm, Attend, Embed, Expand, Normalise, ProjectHeads, Quantize, linear_of, steps

__all__ = ["ModelPlan", "reach", "rows_of_bias"]


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
        self._known_biases: dict[tuple[int, bool], tuple[int, int, int]] = {}
        self.record = np.zeros(1, PLAN)
        self.most_groups = 1
        self._describe(tensors)

    def _describe(self, tensors: Mapping[str, np.ndarray]) -> None:
        encoder, plan, place = self.encoder, self.record[0], self._place
        attention = encoder.layers[0].attention  # all have the same sizes
        head_dim = head_width(attention)
        plan["hidden_stride"] = padded(encoder.hidden_size)
        plan["intermediate_stride"] = padded(encoder.layers[0].feed_forward.size)
        plan["num_attention_heads"], plan["num_key_value_heads"], _ = attention.slots
        plan["head_dim"] = head_dim
        plan["context_stride"] = padded(attention.heads * head_dim)
        plan["softmax_scale"] = math.log2(math.e) * attention.score_scale
        self._describe_embeddings(tensors)
        # A part that several steps share is there once.
        linears = {linear.name: self._linear(tensors, linear) for linear in encoder.linears()}
        norms = {norm.name: self._norm(tensors, norm) for norm in encoder.norms()}
        factors = {name: self._place(tensors[name]) for name in encoder.factors()}
        distances = {
            positions: place(distances_record(positions, attention, tensors, encoder.longest, place))
            for positions, attention in encoder.disentangled()
        }
        smoothings: dict[str, int] = {}
        records = np.zeros(len(steps(encoder)), STEP)
        for record, step in zip(records, steps(encoder), strict=True):
            record["code"], record["source"], record["target"] = STEP_CODES[type(step)], step.source, step.target
            record["activation"] = -1
            linear = linear_of(step)
            if linear:
                record["linear"] = linears[linear.name]
            if isinstance(step, Embed | Normalise | AddAndNorm) and step.norm:
                record["norm"] = norms[step.norm.name]
            if isinstance(step, Embed | Normalise | Quantize | AddAndNorm) and step.quantize_for:
                record["reader"] = linears[step.quantize_for.name]
            if isinstance(step, AddAndNorm) and step.branch_norm:
                record["branch_norm"] = norms[step.branch_norm.name]
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
            if isinstance(step, ProjectHeads):
                for name in ("query_norm", "key_norm"):
                    if norm := getattr(step.attention, name):
                        record[name] = norms[norm.name]
                if step.attention.rotary:
                    record["angles"] = self._angles(step.attention)
            if isinstance(step, Attend):
                if step.attention.disentangled:
                    record["distances"] = distances[step.attention.disentangled]
                record["before"], record["behind"] = reach(step.attention, encoder.longest)
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
        plan["word_factor"] = self._place(word_factor(tensors, words.name, words.width))
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
        key = (attention.window, attention.causal)  # layers have the same distances
        if key in self._known_biases:
            return self._known_biases[key]
        bias = distances_of(attention, tensors, self.encoder.longest)
        if bias is None and key == (0, False):
            return 0, 0, 0
        bias = None if bias is None else bias * np.float32(math.log2(math.e))
        rows, centre = rows_of_bias(bias, attention, self.encoder.longest)
        self._known_biases[key] = (self._place(rows), 0 if bias is None else rows.shape[1], centre)
        return self._known_biases[key]

    def _norm(self, tensors: Mapping[str, np.ndarray], norm: Norm) -> int:
        record = np.zeros(1, NORM)
        record["size"], record["eps"], record["rms"] = norm.size, norm.eps, norm.rms
        record["weight"], record["bias"] = (self._place(tensors[f"{norm.name}.{part}"]) for part in ("weight", "bias"))
        return self._place(record)

    def _linear(self, tensors: Mapping[str, np.ndarray], linear: Linear) -> int:
        record = linear_record(tensors, linear.name, self._place)
        self.most_groups = max(self.most_groups, int(record["groups"][0]))
        return self._place(record)


def reach(attention: Attention, longest: int) -> tuple[int, int]:
    """Return how many tokens before itself and behind itself a token attends to."""
    either = min(attention.window or longest, longest)
    return either, 0 if attention.causal else either


def rows_of_bias(bias: np.ndarray | None, attention: Attention, longest: int) -> tuple[np.ndarray, int]:
    """Return what kernels add to the binary logarithm of a weight for the distance of a key from its query.

    Parameters
    ----------
    bias : ndarray [shape=(heads, 2 * longest - 1), dtype=float32] or None
        As `edgebert.positions.bias_of_distances`.
    attention : Attention
    longest : int
        Tokens of the longest sequence.

    Returns
    -------
    rows : ndarray [shape=(heads or 1, R), dtype=float32]
        Beyond what a token attends to nothing is seen; as much can be read as a kernel reads.
    centre : int
        Where in a row distance 0 stands.
    """
    before, behind = (min(count, longest - 1) for count in reach(attention, longest))
    if bias is None:
        bias = np.zeros((1, 2 * longest - 1), np.float32)
    own = bias[:, longest - 1 - before : longest + behind]
    beyond = BEYOND_WINDOW if attention.window or attention.causal else 0
    rows = np.pad(own, [(0, 0), (beyond, beyond + LANES)], constant_values=LOWEST_SCORE)
    return np.ascontiguousarray(rows), beyond + before
