"""A model as the kernels read it: a PLAN, and the records and arrays that it points to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from edgebert.architecture import Attention, Encoder, Linear
from edgebert.engine.linear import linear_record
from edgebert.kernels.plan import (
    ACTIVATION_CODES,
    LANES,
    LAYER,
    NORM,
    PLAN,
    padded,
    whole_vectors,
)
from edgebert.positions import bias_of_distances
from edgebert.steps import steps

__all__ = ["ModelPlan"]


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
        self.record = np.zeros(1, PLAN)
        self.most_groups = 1
        self._describe(tensors)

    def _describe(self, tensors: Mapping[str, np.ndarray]) -> None:
        encoder, plan = self.encoder, self.record[0]
        layer = encoder.layers[0]  # all have the same sizes
        attention, feed_forward = layer.attention, layer.feed_forward
        plan["hidden_size"], plan["hidden_stride"] = encoder.hidden_size, padded(encoder.hidden_size)
        plan["activation"] = ACTIVATION_CODES[feed_forward.activation]
        head_dim = whole_vectors(attention.head_dim)
        plan["context_stride"] = padded(attention.heads * head_dim)
        plan["intermediate_stride"] = padded(feed_forward.intermediate.N)
        plan["num_attention_heads"], plan["head_dim"] = attention.heads, head_dim
        plan["num_hidden_layers"] = len(encoder.layers)
        plan["layer_norm_eps"] = layer.output_norm.eps
        plan["softmax_scale"] = math.log2(math.e) / math.sqrt(attention.head_dim)
        self._describe_embeddings(tensors)
        self._describe_distances(tensors, attention)
        self.stage_names = [step.name for step in steps(encoder)]
        layers = np.zeros(len(encoder.layers), LAYER)
        for record, layer in zip(layers, encoder.layers, strict=True):
            attention, feed_forward = layer.attention, layer.feed_forward
            record["query_key_value"] = self._linear(tensors, attention.query_key_value)
            record["attention_output"] = self._linear(tensors, attention.output)
            record["attention_norm"] = self._norm(tensors, layer.attention_norm.name)
            record["intermediate"] = self._linear(tensors, feed_forward.intermediate)
            record["intermediate_factor"] = self._place(tensors[feed_forward.factor])
            record["output"] = self._linear(tensors, feed_forward.output)
            record["output_norm"] = self._norm(tensors, layer.output_norm.name)
        plan["layers"] = self._place(layers)

    def _describe_embeddings(self, tensors: Mapping[str, np.ndarray]) -> None:
        embeddings, plan = self.encoder.embeddings, self.record[0]
        words = embeddings.words
        plan["embedding_size"], plan["embedding_stride"] = words.width, padded(words.width)
        scale = tensors[f"{words.name}.scale"]
        plan["word_weight"] = self._place(tensors[f"{words.name}.weight"])
        plan["word_scale"], plan["word_groups"] = self._place(scale), scale.shape[1] if scale.ndim == 2 else 0
        for field, table in (
            ("position_embeddings", embeddings.positions),
            ("token_type_embeddings", embeddings.token_types),
        ):
            plan[field] = self._place(tensors[f"{table.name}.weight"].astype(np.float32))
        plan["embeddings_norm"] = self._norm(tensors, embeddings.norm.name)
        if embeddings.project:
            plan["embeddings_project"] = self._linear(tensors, embeddings.project)
            plan["projected_norm"] = self._norm(tensors, embeddings.project.name, ("smoothing",))

    def _describe_distances(self, tensors: Mapping[str, np.ndarray], attention: Attention) -> None:
        """Lay out what the distance of two tokens adds to the binary logarithm of their weight, if anything."""
        if attention.distances is None:
            return
        longest = self.encoder.longest
        bias = bias_of_distances(tensors[f"{attention.distances.name}.weight"] * np.float32(math.log2(math.e)), longest)
        plan = self.record[0]
        plan["position_bias"] = self._place(np.pad(bias, [(0, 0), (0, LANES)]))
        plan["position_bias_row"], plan["position_bias_centre"] = bias.shape[1] + LANES, longest - 1

    def _norm(
        self,
        tensors: Mapping[str, np.ndarray],
        name: str,
        parts: tuple[str, ...] = ("weight", "bias", "smoothing"),
    ) -> int:
        record = np.zeros(1, NORM)
        for part in parts:
            record[part] = self._place(tensors[f"{name}.{part}"])
        return self._place(record)

    def _linear(self, tensors: Mapping[str, np.ndarray], linear: Linear) -> int:
        record = linear_record(tensors, linear.name, self._place)
        self.most_groups = max(self.most_groups, int(record["groups"][0]))
        return self._place(record)
