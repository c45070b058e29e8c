"""Every engine behind one interface: sequences of token ids in, hidden states out.

A worker process imports this with nothing but its own engine installed, so every import is where it is used.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["ENGINES", "Edgebert", "Engine", "thread_environment"]

Ids = Sequence[Sequence[int]]


class Engine:
    """One engine with one model loaded.

    `inputs` puts ids into the form that the engine takes; `run` computes, and is what latency counts; `rows` cuts
    its result into one float32 (len(ids), hidden_size) for each sequence.
    """

    packages: tuple[str, ...] = ()
    names: tuple[str, ...] = ("input_ids", "attention_mask", "token_type_ids")
    """Arrays that it takes: not all families have token types."""

    def __init__(self, model: Path, threads: int) -> None:
        raise NotImplementedError

    def inputs(self, sequences: Ids) -> Any:
        """Put ids into arrays padded with zeros, as most engines take them."""
        lengths = np.array([len(ids) for ids in sequences])
        padded = np.zeros((len(sequences), lengths.max()), np.int64)
        mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
        padded[mask == 1] = np.concatenate([np.asarray(ids, np.int64) for ids in sequences])
        given = {"input_ids": padded, "attention_mask": mask, "token_type_ids": np.zeros_like(padded)}
        return {name: given[name] for name in self.names}

    def run(self, inputs: Any) -> Any:
        """Compute the last hidden states."""
        raise NotImplementedError

    def rows(self, sequences: Ids, output: Any) -> list[np.ndarray]:
        """Take the padding off again."""
        return [hidden[: len(ids)] for ids, hidden in zip(sequences, output, strict=True)]

    def facts(self) -> dict[str, str]:
        """Return the versions of what computes."""
        return {package: version(package) for package in self.packages}


class Edgebert(Engine):
    """This project."""

    packages = ("edgebert",)

    def __init__(self, model: Path, threads: int) -> None:
        import edgebert

        self.model = edgebert.load(model, threads=threads)

    def inputs(self, sequences: Ids) -> list[list[int]]:
        """Take the ids as they are."""
        return [list(ids) for ids in sequences]

    def run(self, inputs: list[list[int]]) -> list[np.ndarray]:
        """Compute; checking the ids is part of it."""
        return self.model.hidden_states(inputs)

    def rows(self, sequences: Ids, output: list[np.ndarray]) -> list[np.ndarray]:  # noqa: ARG002
        """There is no padding."""
        return output

    def facts(self) -> dict[str, str]:
        """Return the version and the instruction family."""
        import edgebert

        return {**super().facts(), "family": str(edgebert.describe_machine()["family"])}


class OnnxRuntime(Engine):
    """ONNX Runtime with its own defaults (spinning threads among them) but for the number of threads."""

    packages = ("onnxruntime",)

    def __init__(self, model: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.names = tuple(each.name for each in self._session.get_inputs())

    def run(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Run the session."""
        return self._session.run(None, inputs)[0]


class OpenVino(Engine):
    """OpenVINO with the hint for latency."""

    packages = ("openvino",)

    def __init__(self, model: Path, threads: int) -> None:
        import openvino

        settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino.Core().compile_model(str(model), "CPU", settings)
        self.names = tuple(name for name in self.names if any(name in each.get_names() for each in compiled.inputs))
        self._request = compiled.create_infer_request()

    def run(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Run the request."""
        return self._request.infer(inputs)[0]


class CTranslate2(Engine):
    """CTranslate2, which quantizes while it loads."""

    packages = ("ctranslate2",)

    def __init__(self, model: Path, threads: int) -> None:
        import ctranslate2

        self._encoder = ctranslate2.Encoder(str(model), compute_type="int8", intra_threads=threads, inter_threads=1)

    def inputs(self, sequences: Ids) -> list[list[int]]:
        """Take lists: it pads by itself."""
        return [list(ids) for ids in sequences]

    def run(self, inputs: list[list[int]]) -> np.ndarray:
        """Run the encoder."""
        return np.asarray(self._encoder.forward_batch(inputs).last_hidden_state)


class Torch(Engine):
    """torch in float32: the yardstick of accuracy."""

    packages = ("torch", "transformers")

    def __init__(self, model: Path, threads: int) -> None:
        import torch
        from transformers import AutoModel

        torch.set_num_threads(threads)
        self._torch = torch
        self._model = AutoModel.from_pretrained(model).eval()
        taken = inspect.signature(self._model.forward).parameters
        self.names = tuple(name for name in self.names if name in taken)

    def inputs(self, sequences: Ids) -> dict[str, Any]:
        """Make tensors of the padded arrays."""
        return {name: self._torch.from_numpy(array) for name, array in super().inputs(sequences).items()}

    def run(self, inputs: dict[str, Any]) -> np.ndarray:
        """Run the model."""
        with self._torch.inference_mode():
            return self._model(**inputs).last_hidden_state.numpy()


ENGINES: dict[str, tuple[type[Engine], str]] = {
    "edgebert": (Edgebert, ""),
    "ort_int8": (OnnxRuntime, "ort_int8.onnx"),
    "ort_int8_full": (OnnxRuntime, "ort_int8_full.onnx"),
    "openvino_int8": (OpenVino, "openvino_int8.xml"),
    "ctranslate2_int8": (CTranslate2, "ctranslate2"),
    "torch_fp32": (Torch, "source"),
    "ort_fp32": (OnnxRuntime, "ort_fp32.onnx"),
}
"""Name -> class, and the name of its model in the folder that `benchmarks.prepare` fills."""


def thread_environment(threads: int) -> dict[str, str]:
    """Return the variables that hold an engine's other libraries to a number of threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(names, str(threads)), "TOKENIZERS_PARALLELISM": "true"}
