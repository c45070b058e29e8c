"""The weight files of a folder: which they are, their hash, and their tensors read one at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from edgebert.checkpoint.faults import listed
from edgebert.checkpoint.stored import StoredTensor, read_header, read_tensor
from edgebert.checkpoint.text_files import read_json
from edgebert.errors import CheckpointError

__all__ = ["INDEX", "SINGLE", "Tensors", "sha256_of", "stored_tensors", "weight_files"]

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_OTHER_FORMATS = ("pytorch_model*.bin", "tf_model.h5", "flax_model.msgpack", "*.onnx", "onnx/*.onnx")
_CHUNK = 1 << 20  # bytes


def weight_files(folder: Path) -> list[Path]:
    """Return the files that hold a folder's weights, in the order of their names.

    Raises
    ------
    CheckpointError
        There are none, or not all that the index names.
    """
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if (folder / INDEX).is_file():
        names = sorted(set(_weight_map(folder).values()))
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise CheckpointError(f"{folder} lacks weight files that {INDEX} names: {listed(missing)}")
        return [folder / name for name in names]
    others = sorted(path.name for pattern in _OTHER_FORMATS for path in folder.glob(pattern))
    held = f"has its weights in {listed(others)}" if others else "has no weights"
    raise CheckpointError(
        f"{folder} {held}, edgebert needs {SINGLE} or {INDEX} with its files: a model in another format"
        " becomes that with transformers' save_pretrained(..., safe_serialization=True)"
    )


def _weight_map(folder: Path) -> dict[str, str]:
    """Return tensor name -> file name from the index of a sharded checkpoint."""
    path = folder / INDEX
    entries = read_json(path, dict).get("weight_map")
    if not isinstance(entries, dict) or not entries:
        raise CheckpointError(f"{path} has no weight_map from tensors to files")
    # Files beside the index and nowhere else: a folder must not point out of itself.
    strange = {str(name) for name in entries.values() if Path(str(name)).name != name}
    if strange:
        raise CheckpointError(f"{path} names what is no file beside it: {listed(sorted(map(repr, strange)))}")
    return entries


def stored_tensors(files: list[Path]) -> dict[str, StoredTensor]:
    """Return the tensors of all weight files by their stored names.

    Raises
    ------
    CheckpointError
        A file is damaged, a tensor is in two files, or the index and the files disagree.
    """
    tensors: dict[str, StoredTensor] = {}
    faults = []
    for path in files:
        header = read_header(path)
        faults += [f"{name!r} is in {tensors[name].path.name} and {path.name}" for name in header if name in tensors]
        tensors |= header
    if files[0].name != SINGLE:
        # What no file holds is left to the contract, which knows whether it is needed.
        weight_map = _weight_map(files[0].parent)
        faults += [
            f"{name!r} is in {tensor.path.name}, by {INDEX} in {weight_map.get(name, 'no file')}"
            for name, tensor in tensors.items()
            if weight_map.get(name) != tensor.path.name
        ]
    if faults:
        raise CheckpointError(f"the weight files in {files[0].parent} disagree: {listed(faults)}")
    return tensors


def sha256_of(files: list[Path]) -> str:
    """Return the SHA-256, in hexadecimal, of the files' bytes one after the other."""
    digest = hashlib.sha256()
    for path in files:
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


class Tensors(Mapping[str, np.ndarray]):
    """BERT's name -> float32 array; each look-up reads that tensor from its file, and keeps nothing.

    Parameters
    ----------
    stored : dict
        BERT's name -> `StoredTensor`, as `edgebert.checkpoint.names.match` returns it.
    unused : dict of str to int
        Of some tensors: how many rows at their beginning no token uses, and nobody is to see.
    zeros : dict of str to tuple
        Tensors that this model does not have and others of its kind do -> their shapes.
    made : dict of str to ndarray
        Tensors that stand in no weight file.

    Raises
    ------
    CheckpointError
        On look-up: the file cannot be read any more, or the tensor has NaN or infinite values.
    """

    def __init__(
        self,
        stored: Mapping[str, StoredTensor],
        unused: Mapping[str, int] | None = None,
        zeros: Mapping[str, tuple[int, ...]] | None = None,
        made: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self._stored, self._unused, self._zeros = dict(stored), dict(unused or {}), dict(zeros or {})
        self._made = dict(made or {})

    def __getitem__(self, name: str) -> np.ndarray:
        if name in self._made:
            return self._made[name]
        if name in self._zeros:
            return np.zeros(self._zeros[name], np.float32)
        values = read_tensor(self._stored[name])[self._unused.get(name, 0) :]
        if not np.isfinite(values).all():
            nan, infinite = np.isnan(values).sum(), np.isinf(values).sum()
            raise CheckpointError(
                f"{name} in {self._stored[name].path} has {nan} NaN and {infinite} infinite values"
                f" of {values.size}, expected finite weights: the training diverged or the file is damaged"
            )
        return values

    def __contains__(self, name: object) -> bool:
        return name in self._stored or name in self._zeros or name in self._made  # Mapping's own would read the tensor

    def __iter__(self) -> Iterator[str]:
        return iter([*self._stored, *self._zeros, *self._made])

    def __len__(self) -> int:
        return len(self._stored) + len(self._zeros) + len(self._made)
