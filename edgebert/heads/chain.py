"""The layers of a head, one behind the other, and what several heads have before their last one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from edgebert.config import BertConfig
from edgebert.engine.backend import Layers
from edgebert.functions import layer_norm
from edgebert.heads.dense import Dense, activate

__all__ = ["TRANSFORM", "Chain", "Part", "transform"]

TRANSFORM = "cls.predictions.transform"


class Part(NamedTuple):
    """A layer of a head: its weight has shape (N, K), its bias (N,).

    ``K`` is None for a LayerNorm over N values. ``kind`` is what an .edgebert file keeps the weight in: ``"float32"``,
    ``"float16"``, or ``"int8"``, in which it is computed too. ``activation`` stands behind it, by its name in a
    config.json; empty for none. Without ``bias`` a checkpoint has none, and zeros stand in its place.
    """

    name: str
    N: int
    K: int | None
    kind: str = "float32"
    activation: str = ""
    bias: bool = True


def transform(config: BertConfig) -> list[Part]:
    """Return what stands before the decoder of masked words: dense, activation, LayerNorm."""
    E, before = config.embedding_width, config.head_layers
    activation = config.transform_act or config.hidden_act
    return [
        Part(f"{TRANSFORM}.dense", E, config.hidden_size, "float16", activation, before.dense_bias),
        Part(f"{TRANSFORM}.LayerNorm", E, None, bias=before.norm_bias),
    ]


class Chain:
    """Layers, each of which reads what the one before gives.

    Parameters
    ----------
    parts : sequence of Part
        Of those in int8 alone, N is looked at: others have the outputs that their tensors have.
    tensors : mapping of str to ndarray
        With their weights and biases.
    config : BertConfig
    backend : Layers
    """

    def __init__(
        self, parts: Sequence[Part], tensors: Mapping[str, np.ndarray], config: BertConfig, backend: Layers
    ) -> None:
        self._layers = [(_layer(part, tensors, config, backend), part.activation) for part in parts]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Apply all: float32 (M, inputs of the first) -> (M, outputs of the last)."""
        for layer, activation in self._layers:
            x = layer(x)
            x = activate(x, activation) if activation else x
        return x


def _layer(
    part: Part, tensors: Mapping[str, np.ndarray], config: BertConfig, backend: Layers
) -> Callable[[np.ndarray], np.ndarray]:
    if part.kind == "int8":
        return backend.linear(tensors, part.name, part.N)
    if part.K is not None:
        return Dense(tensors, part.name, backend)
    weight, bias = (tensors[f"{part.name}.{each}"] for each in ("weight", "bias"))
    return lambda x: layer_norm(x, weight, bias, config.layer_norm_eps)
