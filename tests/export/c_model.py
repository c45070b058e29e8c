"""The exported C library, called from Python."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np

__all__ = ["CModel", "Refused", "Status"]

Ids = Sequence[Sequence[int]]


class Status:
    """The values of ``edgebert_status``."""

    OK, FILE, DAMAGED, VERSION, PROCESSOR, MEMORY, THREADS, INPUT, TASK, RESULT, PROCESS = range(11)


class Refused(Exception):
    """A call that did not return ``EDGEBERT_OK``: its status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class CModel:
    """A model that the library has open.

    Parameters
    ----------
    library : Path or ctypes.CDLL
    image : Path
    threads : int
    """

    def __init__(self, library: Path | ctypes.CDLL, image: Path, threads: int = 1) -> None:
        self._c = library if isinstance(library, ctypes.CDLL) else ctypes.CDLL(str(library))
        self._c.edgebert_message.restype = self._c.edgebert_label.restype = ctypes.c_char_p
        self._c.edgebert_close.restype = None
        self._model = ctypes.c_void_p()
        self._check(self._c.edgebert_open(str(image).encode(), threads, ctypes.byref(self._model)))
        counts = ("threads", "hidden_size", "max_length", "vector_size", "label_count")
        self.threads, self.hidden_size, self.max_length, self.vector_size, labels = (
            getattr(self._c, f"edgebert_{name}")(self._model) for name in counts
        )
        self.labels = [self._c.edgebert_label(self._model, i).decode(errors="replace") for i in range(labels)]
        assert self._c.edgebert_label(self._model, labels) is None
        assert self._c.edgebert_label(self._model, -1) is None

    def _check(self, status: int) -> None:
        if status != Status.OK:
            raise Refused(status, self._c.edgebert_message().decode())

    def _run(self, name: str, ids: Ids, types: Ids | None, shape: tuple[int, ...]) -> np.ndarray:
        lengths = np.array([len(each) for each in ids], np.uint64)
        arrays = [None if each is None else np.concatenate([[], *each]).astype(np.int32) for each in (ids, types)]
        out = np.full(shape, np.nan, np.float32)
        first, second = (None if array is None else array.ctypes.data_as(ctypes.c_void_p) for array in arrays)
        function = getattr(self._c, f"edgebert_{name}")
        places = [array.ctypes.data_as(ctypes.c_void_p) for array in (lengths, out)]
        self._check(function(self._model, first, second, places[0], ctypes.c_size_t(len(ids)), places[1]))
        assert not np.isnan(out).any()
        return out

    def encode(self, ids: Ids, types: Ids | None = None) -> np.ndarray:
        """Return the hidden states of all tokens: float32 (T, hidden_size)."""
        return self._run("encode", ids, types, (sum(map(len, ids)), self.hidden_size))

    def embed(self, ids: Ids, types: Ids | None = None) -> np.ndarray:
        """Return float32 (texts, vector_size)."""
        return self._run("embed", ids, types, (len(ids), self.vector_size))

    def classify(self, ids: Ids, types: Ids | None = None) -> np.ndarray:
        """Return float32 (texts, labels)."""
        return self._run("classify", ids, types, (len(ids), len(self.labels)))

    def tag(self, ids: Ids, types: Ids | None = None) -> np.ndarray:
        """Return float32 (T, labels)."""
        return self._run("tag", ids, types, (sum(map(len, ids)), len(self.labels)))

    def close(self) -> None:
        """Close it."""
        self._c.edgebert_close(self._model)
        self._model = ctypes.c_void_p()
