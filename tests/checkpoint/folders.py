"""Model folders for the tests: copies of the golden ones, changed in one respect each."""

from __future__ import annotations

import json
import math
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from edgebert.checkpoint import open_checkpoint
from edgebert.errors import CheckpointError
from tests.golden import GOLDEN

MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
DTYPES = {"float32": "F32", "float16": "F16", "uint16": "BF16", "int64": "I64", "float64": "F64"}
"""NumPy's name -> the format's; 16-bit integers stand for bfloat16, which NumPy does not have."""


def copy_model(name: str, folder: Path) -> Path:
    """Copy a golden model, without what is known about it, to a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in MODEL_FILES:
        shutil.copy(GOLDEN / name / file, folder / file)
    return folder


def arrays_of(name: str) -> dict[str, np.ndarray]:
    """Return a golden model's tensors as the safetensors library reads them."""
    return load_file(GOLDEN / name / "model.safetensors")


def canonical_arrays_of(name: str) -> dict[str, np.ndarray]:
    """Return a golden model's tensors by the names without prefix; of an encoder alone no task reads the pooler."""
    arrays = {key.removeprefix("bert."): value for key, value in arrays_of(name).items()}
    return arrays if "classifier.weight" in arrays else {k: v for k, v in arrays.items() if "pooler" not in k}


def write_safetensors(path: Path, arrays: Mapping[str, np.ndarray], metadata: Any = None) -> None:
    """Write a safetensors file, bfloat16 (given as uint16) too, with nothing but the struct module."""
    header, data = laid_out(arrays, DTYPES)
    write_raw(path, header if metadata is None else {"__metadata__": metadata, **header}, data)


def laid_out(arrays: Mapping[str, np.ndarray], dtypes: Mapping[str, str]) -> tuple[dict[str, Any], bytes]:
    """Return the entries of a safetensors header, and the data; `dtypes` is NumPy's name -> the format's."""
    header: dict[str, Any] = {}
    position = 0
    for name, array in arrays.items():
        header[name] = {
            "dtype": dtypes[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [position, position + array.nbytes],
        }
        position += array.nbytes
    return header, b"".join(array.tobytes() for array in arrays.values())


def write_raw(path: Path, header: Any, data: bytes) -> None:
    """Write a file in the form of safetensors, whatever its header says."""
    text = json.dumps(header).encode()
    text += b" " * (math.ceil(len(text) / 8) * 8 - len(text))
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def change_json(path: Path, **changes: Any) -> None:
    """Set values of a JSON file; a value of ``...`` removes its key."""
    values = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    values |= changes
    kept = {key: value for key, value in values.items() if value is not ...}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(kept), encoding="utf-8")


def refusal(call: Callable[..., Any], *arguments: Any, kind: type[CheckpointError] = CheckpointError) -> str:
    """Return the message that a call fails with: exactly that kind of error, in one line."""
    with pytest.raises(CheckpointError) as error:
        call(*arguments)
    message = str(error.value)
    assert type(error.value) is kind, message
    assert message
    assert "\n" not in message
    return message


def open_refusal(folder: Path, kind: type[CheckpointError] = CheckpointError) -> str:
    """Return the message with which a folder is refused."""
    return refusal(open_checkpoint, folder, kind=kind)
