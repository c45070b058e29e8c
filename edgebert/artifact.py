"""The .edgebert file: a safetensors file with int8 weights, and in its metadata all else that a model is.

The header is padded so that the data begins at a multiple of 64 bytes, and tensors of whole cache lines
come first: every weight that a kernel reads is aligned in the mapped file. The safetensors package, which reads
these files, writes neither padding nor a chosen order, hence the writer here.
"""

from __future__ import annotations

import json
import math
import os
import struct
import weakref
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.errors import ArtifactError
from edgebert.json_text import parse_json
from edgebert.output import open_output

__all__ = ["FORMAT_VERSION", "Artifact", "damaged", "read_artifact", "write_artifact"]

FORMAT_VERSION = 4
_ALIGNMENT = 64
_LARGEST_HEADER = 16_000_000
"""Bytes, a hundred times what a model has: read as JSON, a header takes some twenty times its size."""
_MOST_PRINTED = 1000
_DTYPES = {"F32": np.float32, "F16": np.float16, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8}
_FIELDS = {"dtype", "shape", "data_offsets"}
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}


def write_artifact(
    path: str | os.PathLike[str],
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
    check: Callable[[Path], object] = lambda path: None,  # noqa: ARG005 (nothing is checked)
) -> None:
    """Write an .edgebert file, whole or not at all.

    Parameters
    ----------
    path : path
    tensors : name -> ndarray [dtype=float32, float16, int32, int16, int8 or uint8]
    metadata : name -> what JSON can hold; strings are stored as they are
    check : callable
        Is given the finished file under another name, before it gets its own; what it raises keeps that from happening.

    Raises
    ------
    OutputError
    """
    order = sorted(tensors, key=lambda name: tensors[name].nbytes % _ALIGNMENT != 0)
    arrays = [np.ascontiguousarray(tensors[name]) for name in order]
    offset, header = 0, {}
    for name, array in zip(order, arrays, strict=True):
        header[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    texts = {
        "format": "edgebert",
        "format_version": str(FORMAT_VERSION),
        **{key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()},
    }
    texts["crc32"] = _checksum(_head_checksum(texts, header), arrays)
    head = json.dumps({"__metadata__": texts, **header}, ensure_ascii=False, separators=(",", ":")).encode()
    head += b" " * (-(8 + len(head)) % _ALIGNMENT)
    with open_output(os.path.abspath(path)) as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for array in arrays:
            file.write(array.reshape(-1).view(np.uint8).data)
        if file.path is not None:
            check(file.path)


def _head_checksum(texts: Mapping[str, str], header: Mapping[str, Any]) -> int:
    """Return the CRC-32 of a file's metadata and header."""
    return zlib.crc32(json.dumps([texts, header]).encode())


def _checksum(head: int, arrays: Iterable[np.ndarray]) -> str:
    """Return the CRC-32 of everything in a file: metadata and header, whose own is given, and data."""
    checksum = head
    for array in arrays:
        checksum = zlib.crc32(array.reshape(-1).view(np.uint8).data, checksum)
    return f"{checksum:08x}"


class _OpenFile:
    """A file that is looked at later, whatever has its name then.

    Parameters
    ----------
    descriptor : int
        A copy of it is kept.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)
        status = os.fstat(descriptor)
        self._file = (status.st_dev, status.st_ino)
        self.opened = (status.st_size, status.st_mtime_ns)
        weakref.finalize(self, _close, self._descriptor, self._file)

    def look(self) -> tuple[int, int] | None:
        """Return what tells that somebody has written to the file: its size [bytes], and when it was written [ns].

        None where the program has closed all its files, as daemons do, and it cannot be told any more.
        """
        status = _status(self._descriptor, self._file)
        return status and (status.st_size, status.st_mtime_ns)


def _status(descriptor: int, file: tuple[int, int]) -> os.stat_result | None:
    """Return the state of an open file, if the descriptor is still this file's."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status if (status.st_dev, status.st_ino) == file else None


def _close(descriptor: int, file: tuple[int, int]) -> None:
    if _status(descriptor, file):
        os.close(descriptor)


class Artifact:
    """An open .edgebert file.

    Attributes
    ----------
    path : Path
    size : int
        Bytes.
    tensors : dict of str to ndarray
        Read-only views of the mapped file.
    metadata : dict of str to str
    checksum : str
        The CRC-32 of all that is in it, in hexadecimal.
    """

    def __init__(
        self,
        path: Path,
        size: int,
        tensors: dict[str, np.ndarray],
        metadata: dict[str, str],
        checksum: str,
        file: _OpenFile,
        is_whole: Callable[[], bool],
    ) -> None:
        self.path, self.size, self.tensors, self.metadata, self.checksum = path, size, tensors, metadata, checksum
        self._file, self._last_seen, self._is_whole = file, file.opened, is_whole

    def check_unchanged(self) -> None:
        """Check that what is mapped is still what was read: nobody has written to the file, or cut it short.

        It takes a microsecond. A file that was only touched is read once more.

        Raises
        ------
        ArtifactError
        """
        seen = self._file.look()
        if seen is None or seen == self._last_seen:
            return
        if seen[0] != self.size or not self._is_whole():
            raise ArtifactError(
                f"{self.path} was written over while it was in use; load the model again, and replace files by"
                " renaming: write the new one beside the old one, then move it there"
            )
        self._last_seen = seen

    def json(self, key: str) -> Any:
        """Return a metadata entry that was stored as JSON."""
        try:
            return parse_json(self.metadata[key], finite=True)
        except (KeyError, ValueError) as error:
            raise damaged(self.path, f"its metadata has no readable {key!r}") from error


def damaged(path: Path, fault: str) -> ArtifactError:
    """Make the error for a file that is not as it was written."""
    # What a file says is printed, but not obeyed by a terminal, nor at any length.
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in fault[:_MOST_PRINTED])
    cut = "..." if len(fault) > _MOST_PRINTED else ""
    return ArtifactError(f"{path} is damaged: {shown}{cut}; convert the model again or copy the file anew")


def read_artifact(path: str | os.PathLike[str]) -> Artifact:
    """Map an .edgebert file and check its header, its extents, its checksum.

    Raises
    ------
    ArtifactError
        When it is missing, is no .edgebert file, is damaged, or is of a newer format.
    """
    path = Path(path)
    try:
        if path.is_dir():
            remedy = f"edgebert convert {path} OUTPUT.edgebert"
            raise ArtifactError(f"{path} is a folder, expected an .edgebert file; make one with: {remedy}")
        with open(path, "rb") as stream:
            file, mapped = _OpenFile(stream.fileno()), np.memmap(stream, np.uint8, "r")
    except FileNotFoundError as error:
        raise ArtifactError(f"there is no file {path}; make one with: edgebert convert SOURCE {path}") from error
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:  # an empty file cannot be mapped
        raise ArtifactError(f"{path} is empty, expected an .edgebert file") from error
    header = _header(path, mapped)
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or metadata.get("format") != "edgebert":
        raise ArtifactError(
            f"{path} is a safetensors file but no .edgebert file; convert its model with: edgebert convert"
        )
    if not all(isinstance(value, str) for value in metadata.values()):
        raise damaged(path, "its metadata has values that are no strings")
    version = metadata.get("format_version", "")
    if version != str(FORMAT_VERSION):
        newer = version.isdecimal() and len(version) < 10 and int(version) > FORMAT_VERSION
        raise ArtifactError(
            f"{path} has format version {version[:20]!a}, this edgebert reads {FORMAT_VERSION};"
            f" {'upgrade edgebert' if newer else 'convert the model again'}"
        )
    data = mapped[8 + int(mapped[:8].view("<u8")[0]) :]
    tensors = _tensors(path, header, data)
    checksum = metadata.pop("crc32", "")
    head = _head_checksum(metadata, header)

    def is_whole() -> bool:
        return checksum == _checksum(head, [data])

    if not is_whole():
        raise damaged(path, "its checksum is wrong")
    return Artifact(path, mapped.size, tensors, metadata, checksum, file, is_whole)


def _header(path: Path, mapped: np.ndarray) -> dict[str, Any]:
    length = int(mapped[:8].view("<u8")[0]) if mapped.size >= 8 else _LARGEST_HEADER + 1
    if length > _LARGEST_HEADER or length < 2 or mapped[8:9].tobytes() != b"{":
        raise ArtifactError(f"{path} is no .edgebert file: it does not begin like a safetensors file")
    if 8 + length > mapped.size:
        raise damaged(path, f"it ends after {mapped.size} bytes, within its header of {length}")
    try:
        header = parse_json(mapped[8 : 8 + length].tobytes(), finite=True)
    except ValueError as error:
        raise damaged(path, f"its header is not readable JSON: {error}") from error
    if not isinstance(header, dict):
        raise damaged(path, "its header is not a JSON object")
    return header


def _tensors(path: Path, header: dict[str, Any], data: np.ndarray) -> dict[str, np.ndarray]:
    """Cut the mapped data into its tensors, which must lie end to end and fill it."""
    tensors: dict[str, np.ndarray] = {}
    position = 0
    try:
        for name, entry in header.items():
            if not isinstance(entry, dict) or entry.keys() != _FIELDS:
                raise ValueError(name)
            dtype = np.dtype(_DTYPES[entry["dtype"]])
            shape = tuple(entry["shape"])
            begin, end = entry["data_offsets"]
            whole = all(type(each) is int and 0 <= each < 2**63 for each in (*shape, begin, end))
            if not whole or begin != position or end - begin != math.prod(shape) * dtype.itemsize:
                raise ValueError(name)
            position = end
            if end <= data.size:
                tensors[name] = data[begin:end].view(dtype).reshape(shape)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"its header describes tensors that do not fit ({error})") from error
    if position != data.size:
        raise damaged(path, f"it holds {data.size} bytes of weights, expected {position}")
    return tensors
