"""A model as the kernels read it: a PLAN, and the records and arrays that it points to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from edgebert.config import BertConfig
from edgebert.engine.linear import linear_record
from edgebert.kernels.plan import (
    ACTIVATION_CODES,
    EMBED_STAGES,
    LANES,
    LAYER,
    NORM,
    PLAN,
    PROJECTED_EMBED_STAGES,
    STAGES,
    padded,
    whole_vectors,
)
from edgebert.positions import bias_of_distances

__all__ = ["ModelPlan"]


class ModelPlan:
    """The part of a PLAN that a model decides.

    Parameters
    ----------
    config : BertConfig
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

    def __init__(
        self, config: BertConfig, tensors: Mapping[str, np.ndarray], place: Callable[[np.ndarray], int]
    ) -> None:
        self.config, self._place = config, place
        self.record = np.zeros(1, PLAN)
        self.most_groups = 1
        self._describe(tensors)

    def _describe(self, tensors: Mapping[str, np.ndarray]) -> None:
        config, plan = self.config, self.record[0]
        plan["hidden_size"], plan["hidden_stride"] = config.hidden_size, padded(config.hidden_size)
        plan["activation"] = ACTIVATION_CODES[config.activation]
        head_dim = whole_vectors(config.head_dim)
        plan["context_stride"] = padded(config.num_attention_heads * head_dim)
        plan["intermediate_stride"] = padded(config.intermediate_size)
        plan["num_attention_heads"], plan["head_dim"] = config.num_attention_heads, head_dim
        plan["num_hidden_layers"] = config.num_hidden_layers
        plan["layer_norm_eps"] = config.layer_norm_eps
        plan["softmax_scale"] = math.log2(math.e) / math.sqrt(config.head_dim)
        plan["embedding_size"], plan["embedding_stride"] = config.embedding_width, padded(config.embedding_width)
        scale = tensors["embeddings.word_embeddings.scale"]
        plan["word_weight"] = self._place(tensors["embeddings.word_embeddings.weight"])
        plan["word_scale"], plan["word_groups"] = self._place(scale), scale.shape[1] if scale.ndim == 2 else 0
        for name in ("position_embeddings", "token_type_embeddings"):
            plan[name] = self._place(tensors[f"embeddings.{name}.weight"].astype(np.float32))
        plan["embeddings_norm"] = self._norm(tensors, "embeddings.LayerNorm")
        before: tuple[str, ...] = EMBED_STAGES
        if config.projects_embeddings:
            before = PROJECTED_EMBED_STAGES
            plan["embeddings_project"] = self._linear(tensors, "embeddings_project")
            plan["projected_norm"] = self._norm(tensors, "embeddings_project", ("smoothing",))
        self.stage_names = [*before, *STAGES * config.num_hidden_layers]
        self._describe_distances(tensors)
        layers = np.zeros(config.num_hidden_layers, LAYER)
        for i, layer in enumerate(layers):
            prefix = f"encoder.layer.{i}"
            layer["query_key_value"] = self._linear(tensors, f"{prefix}.attention.self.query_key_value")
            layer["attention_output"] = self._linear(tensors, f"{prefix}.attention.output.dense")
            layer["attention_norm"] = self._norm(tensors, f"{prefix}.attention.output.LayerNorm")
            layer["intermediate"] = self._linear(tensors, f"{prefix}.intermediate.dense")
            layer["intermediate_factor"] = self._place(tensors[f"{prefix}.intermediate.factor"])
            layer["output"] = self._linear(tensors, f"{prefix}.output.dense")
            layer["output_norm"] = self._norm(tensors, f"{prefix}.output.LayerNorm")
        plan["layers"] = self._place(layers)

    def _describe_distances(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Lay out what the distance of two tokens adds to the binary logarithm of their weight, if anything."""
        if not self.config.relative_attention_num_buckets:
            return
        weight, longest = tensors["encoder.relative_attention_bias.weight"], self.config.max_position_embeddings
        bias = bias_of_distances(weight * np.float32(math.log2(math.e)), longest)
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

    def _linear(self, tensors: Mapping[str, np.ndarray], name: str) -> int:
        record = linear_record(tensors, name, self._place)
        self.most_groups = max(self.most_groups, int(record["groups"][0]))
        return self._place(record)
