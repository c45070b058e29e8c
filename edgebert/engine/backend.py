"""The ways to compute: compiled kernels, on the processor or a GPU, and the NumPy reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.config import BertConfig
from edgebert.engine.devices import CPU, CUDA, cuda_driver
from edgebert.engine.encoder import CompiledEncoder
from edgebert.engine.library import KernelLibrary, load_library
from edgebert.engine.linear import CompiledLinear
from edgebert.engine.processor import REFERENCE, choose_family
from edgebert.errors import SettingError
from edgebert.families import encoder_of
from edgebert.functions import lstm

__all__ = ["Backend", "Layers", "Linear", "open_backend", "open_linear"]

Linear = Callable[[np.ndarray], np.ndarray]
"""A linear layer in int8: float32 (M, K) -> float32 (M, N)."""


class Layers(Protocol):
    """The layers of heads."""

    def dense(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Multiply float32 (M, K) by (K, N), row by row alike."""

    def linear(self, tensors: Mapping[str, np.ndarray], name: str, N: int) -> Linear:
        """Return a linear layer of a head, whose first N outputs are wanted; row by row alike."""

    def lstm(self, gates: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return the states of an LSTM, float32 (T, size), as `edgebert.functions.lstm` does."""


class Backend(Layers, Protocol):
    """What a model needs of the engine."""

    device: str
    family: str
    threads: int
    token_budget: int
    """Most tokens of a batch."""
    memory: tuple[int, int] | None
    """What a forward pass takes for each token, and besides [bytes]; None where that is not known."""

    def encode(self, batch: PackedBatch) -> np.ndarray:
        """Return the last hidden states, float32 (T, hidden_size)."""


CUDA_TOKENS = 16_384
"""Most tokens of a batch on a GPU, where it takes that many to keep all of it at work."""


class CompiledBackend:
    """The kernels of one instruction family on a team of threads; or the encoder on a GPU, and heads on those."""

    def __init__(
        self,
        config: BertConfig,
        tensors: Mapping[str, np.ndarray],
        library: KernelLibrary,
        threads: int,
        token_budget: int,
        device: str = CPU,
    ) -> None:
        self.device, self.family, self.threads = device, library.family, threads
        self.token_budget, self._library = token_budget, library
        self.memory: tuple[int, int] | None = None
        if device == CUDA:
            from edgebert.cuda.encoder import CudaEncoder

            self.encode = CudaEncoder(encoder_of(config), tensors, token_budget, cuda_driver()).encode
        else:
            encoder = CompiledEncoder(config, tensors, library, threads, token_budget)
            self.encode, self.memory = encoder.encode, encoder.memory

    def dense(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Multiply in float32, along K in order."""
        (M, K), N = x.shape, weight.shape[1]
        out = np.empty((M, N), np.float32)
        self._library.dense(x.ctypes.data, M, K, weight.ctypes.data, N, out.ctypes.data)
        return out

    def linear(self, tensors: Mapping[str, np.ndarray], name: str, N: int) -> Linear:
        """Return a linear layer of a head; it is computed on the caller's own thread."""
        return CompiledLinear(tensors, name, N, self._library)

    def lstm(self, gates: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Take a sequence on the caller's own thread."""
        own, size = np.array(gates, np.float32, order="C"), len(weight)
        cell, out = np.zeros(size, np.float32), np.empty((len(own), size), np.float32)
        self._library.lstm(*(own.ctypes.data, len(own), size), *(each.ctypes.data for each in (weight, cell, out)))
        return out


class ReferenceBackend:
    """The encoder in NumPy: slow, for machines and moments without a compiler."""

    device, family, threads = CPU, REFERENCE, 1
    memory: tuple[int, int] | None = None

    def __init__(self, config: BertConfig, tensors: Mapping[str, np.ndarray], token_budget: int) -> None:
        from edgebert.kernels import reference

        self.token_budget = token_budget
        self._encoder, self._tensors, self._reference = encoder_of(config), tensors, reference

    def encode(self, batch: PackedBatch) -> np.ndarray:
        """Run the forward pass of `edgebert.kernels.reference`."""
        return self._reference.encode(self._encoder, self._tensors, batch)

    def dense(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Multiply row by row."""
        return self._reference.dense(x, weight)

    @staticmethod
    def linear(tensors: Mapping[str, np.ndarray], name: str, N: int) -> Linear:
        """Return a linear layer of a head."""
        from edgebert.kernels import reference

        return lambda x: reference.linear(tensors, x, name)[:, :N]

    @staticmethod
    def lstm(gates: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Take a sequence step by step."""
        return lstm(gates, weight)


def open_backend(
    config: BertConfig, tensors: Mapping[str, np.ndarray], threads: int, token_budget: int, device: str = CPU
) -> Backend:
    """Make the backend for this machine and environment (`processor.choose_family`).

    Parameters
    ----------
    config : BertConfig
    tensors : mapping of str to ndarray
        As in an .edgebert file.
    threads : int
    token_budget : int
        Most tokens of a batch; a GPU has a larger one.
    device : str
        ``"cpu"`` or ``"cuda"``.
    """
    family = choose_family()
    if family == REFERENCE:
        if device == CUDA:
            raise SettingError("EDGEBERT_FAMILY=reference computes in NumPy, not on device cuda; leave one of them out")
        return ReferenceBackend(config, tensors, token_budget)
    budget = max(token_budget, CUDA_TOKENS) if device == CUDA else token_budget
    return CompiledBackend(config, tensors, load_library(family), threads, budget, device)


def open_linear(tensors: Mapping[str, np.ndarray], name: str, N: int) -> Linear:
    """Return a single linear layer without a model, as a backend of this machine computes it: all give the same bits.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        The layer's, as in an .edgebert file.
    name : str
    N : int
        Its first outputs, which are wanted.
    """
    family = choose_family()
    if family == REFERENCE:
        return ReferenceBackend.linear(tensors, name, N)
    return CompiledLinear(tensors, name, N, load_library(family))
