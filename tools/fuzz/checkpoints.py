"""Changed model folders, converted; what is written has to load."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import edgebert
from tests.golden import GOLDEN
from tools.fuzz.artifacts import ask
from tools.fuzz.damage import change_bytes, change_json, change_values, json_text

__all__ = ["draw", "prepare"]

_MODELS = ("encoder", "classifier", "gliner/span", *(f"families/{name}" for name in (
    "bert-pretraining", "bert-token", "electra-masked", "mpnet-question", "roberta-classifier", "camembert-masked",
    "distilbert-classifier",
)))  # fmt: skip
_KNOWN = ("inputs.json", "outputs.npz", "tokenized.json", "expected.json")
"""Files of golden models that tell what they answer."""
_CALIBRATE, _EVALUATE = ["the film was good", "Tom saw 3 red films"], ["a bad film, it was not good"]
_WEIGHTS = "model.safetensors"
_models: list[dict[str, bytes]] = []
_folder = Path()


def prepare(folder: Path) -> None:
    """Read the folders that are changed."""
    global _folder
    _folder = folder
    for name in _MODELS:
        files = {path.name: path.read_bytes() for path in (GOLDEN / name).iterdir() if path.name not in _KNOWN}
        _models.append(files)
    _models.append({**_models[0], **_sentence_files()})
    _convert(_models[0])  # which loads the kernels


def _sentence_files() -> dict[str, bytes]:
    """Return what makes an encoder one of sentence-transformers."""
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")])
    ]
    files = {
        "modules.json": modules,
        "1_Pooling/config.json": {"word_embedding_dimension": 48, "pooling_mode_mean_tokens": True},
        "sentence_bert_config.json": {"max_seq_length": 40, "do_lower_case": True},
        "config_sentence_transformers.json": {"prompts": {"query": "query: "}, "default_prompt_name": "query"},
    }
    return {name: json.dumps(value).encode() for name, value in files.items()}


def draw(rng: random.Random) -> tuple[str, Callable[[], object]]:
    """Change a folder; the case is to convert it, and to ask what was made of it."""
    number = rng.randrange(len(_models))
    files = dict(_models[number])
    name = rng.choice([*files, _WEIGHTS, _WEIGHTS, "config.json", "tokenizer.json"])
    if name not in files:
        name = _WEIGHTS
    how = "left out"
    if name == _WEIGHTS and rng.randrange(3):
        how, files[name] = "values", _changed_weights(files[name], rng)
    elif name.endswith(".json") and rng.randrange(8):
        how, files[name] = "json", _changed_json(files[name], rng)
    elif rng.randrange(5):
        how, files[name] = "bytes", change_bytes(files[name], rng)
    else:
        del files[name]
    source = (*_MODELS, "sentence-transformers")[number]
    return f"{name} of {source}: {how}", lambda: _convert(files)


def _convert(files: dict[str, bytes]) -> object:
    folder, output = _folder / f"model-{os.getpid()}", _folder / f"converted-{os.getpid()}.edgebert"
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    try:
        edgebert.convert(folder, output, calibrate=_CALIBRATE, evaluate=_EVALUATE, force=True)
        return ask(output)
    finally:  # which leaves it mapped where it is
        shutil.rmtree(folder)
        output.unlink(missing_ok=True)


def _changed_json(data: bytes, rng: random.Random) -> bytes:
    value = json.loads(data)
    for _ in range(rng.choice((1, 1, 1, 3))):
        value = change_json(value, rng)
    return json_text(value).encode()


def _changed_weights(data: bytes, rng: random.Random) -> bytes:
    """Change the entries of a safetensors file, or the values of its tensors."""
    (length,) = struct.unpack("<Q", data[:8])
    header: Any = json.loads(data[8 : 8 + length])
    values = bytearray(data[8 + length :])
    if rng.randrange(5):
        names = [name for name, entry in header.items() if entry.get("dtype") == "F32"]
        for name in rng.sample(names, min(len(names), rng.choice((1, 1, 3, len(names))))):
            begin, end = header[name]["data_offsets"]
            array = np.frombuffer(bytes(values[begin:end]), np.float32)
            with np.errstate(all="ignore"):
                array = change_values(array, rng)
            if rng.randrange(10):  # what is not finite is refused at once
                array = np.nan_to_num(array, posinf=3e38, neginf=-3e38)
            values[begin:end] = array.tobytes()
        head = data[8 : 8 + length]
    else:
        head = json_text(change_json(header, rng)).encode()
    return struct.pack("<Q", len(head)) + head + bytes(values)
