"""The encoder in float32, as it was trained: what an int8 model is measured against.

Its bits are the same on every computer (`edgebert.exact`): a receipt is a part of the file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.checkpoint import open_checkpoint
from edgebert.checkpoint.names import encoder_tensors
from edgebert.config import BertConfig
from edgebert.engine.backend import Linear
from edgebert.evaluate.arithmetic import encode
from edgebert.exact import multiply
from edgebert.families import encoder_of
from edgebert.functions import lstm
from edgebert.model import Model
from edgebert.runner import token_budget

__all__ = ["Float32Backend", "Float32Layers", "load_float32"]


def load_float32(source: str | os.PathLike[str]) -> Model:
    """Load a trained model as it is, to ask it in float32 what its int8 model is asked; slow.

    Parameters
    ----------
    source : path or str
        What `edgebert.convert` takes.

    Raises
    ------
    CheckpointError
    """
    checkpoint = open_checkpoint(source)
    return Model(checkpoint, Float32Backend(checkpoint.info.config, checkpoint.tensors))


class Float32Layers:
    """The layers of heads in float32 (`edgebert.engine.backend.Layers`)."""

    @staticmethod
    def dense(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Multiply float32 (M, K) by (K, N)."""
        return multiply(x, weight)

    @staticmethod
    def linear(tensors: Mapping[str, np.ndarray], name: str, N: int) -> Linear:  # noqa: ARG004
        """Return a linear layer, which maps float32 (M, K) to (M, N)."""
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        return lambda x: multiply(x, weight.T) + bias

    @staticmethod
    def lstm(gates: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return the states of an LSTM, float32 (T, size)."""
        return lstm(gates, weight)


class Float32Backend(Float32Layers):
    """A checkpoint that computes, in the place of the engine (`edgebert.engine.backend.Backend`)."""

    device, family, threads = "cpu", "float32", 1
    memory: tuple[int, int] | None = None

    def __init__(self, config: BertConfig, tensors: Mapping[str, np.ndarray]) -> None:
        self._encoder, self.token_budget = encoder_of(config), token_budget(config)
        # A checkpoint reads them anew each time; those of heads are the heads' own matter.
        self._weights = {name: tensors[name] for name in encoder_tensors(self._encoder)}

    def encode(self, batch: PackedBatch) -> np.ndarray:
        """Return the last hidden states, float32 (T, hidden_size)."""
        return encode(self._encoder, self._weights, batch)
