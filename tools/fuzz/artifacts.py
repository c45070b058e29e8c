"""Changed .edgebert files, most of them with a right checksum, loaded and asked everything."""

from __future__ import annotations

import json
import os
import random
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import edgebert
from edgebert.artifact import read_artifact
from edgebert.cli.receipt import receipt_rows
from edgebert.layout import TOKENIZER, pack_tokenizer, unpack_tokenizer
from edgebert.model_file import ModelFile
from tests.checkpoint.folders import laid_out
from tests.export.tiny import TINY, convert_tiny, write_tiny
from tests.golden import GOLDEN
from tools.fuzz.damage import change_bytes, change_json, change_values, json_text

__all__ = ["MODELS", "File", "ask", "draw", "prepare"]

_BEHIND = "sparse/max", "late_interaction/fixed", "gliner/span", "gliner/token"
MODELS = ("encoder", "classifier", *_BEHIND, *(f"families/{name}" for name in (
    "bert-pretraining", "bert-question", "bert-token", "electra-masked", "mpnet-classifier", "roberta-masked",
    "distilbert-question", "xlm-roberta-token",
)), *TINY)  # fmt: skip
_TEXTS = ["", "the film was good", "Tom saw 3 red " + "films " * 70 + "\u4e2d\u6587 \u0301e", " \t "]
_PARTS: tuple[tuple[str, Any], ...] = (
    *((name, None) for name in ("post_processor", "normalizer", "pre_tokenizer", "decoder")),
    ("normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
    ("normalizer", {"type": "Replace", "pattern": {"String": ""}, "content": "ab"}),
    ("normalizer", {"type": "Replace", "pattern": {"Regex": "."}, "content": ""}),
    ("pre_tokenizer", {"type": "FixedLength", "length": 0}),
    ("pre_tokenizer", {"type": "Split", "pattern": {"Regex": "(a*)*b"}, "behavior": "Removed", "invert": False}),
    ("model", {"type": "Unigram", "unk_id": None, "vocab": [["zz", 0.0]]}),
    ("model", {"type": "WordLevel", "vocab": {"film": 2**32 - 1, "[UNK]": 0}, "unk_token": "[UNK]"}),
    ("model", {"type": "BPE", "vocab": {"a": 2**31, "b": 1, "ab": 2}, "merges": [["a", "b"]]}),
)
"""Parts of tokenizers that are legal, or nearly."""
_BOMB = 1 << 30  # bytes
_folder = Path()


class File(NamedTuple):
    """A whole file: its bytes, its metadata without the checksum, its tensors."""

    data: bytes
    texts: dict[str, str]
    arrays: dict[str, np.ndarray]


_files: list[File] = []


def prepare(folder: Path) -> None:
    """Convert the models whose files are changed."""
    global _folder
    _folder = folder
    _files.clear()  # of another kind's run
    for name in MODELS:
        path = folder / f"{len(_files)}.edgebert"
        convert_tiny(write_tiny(name, folder / name) if name in TINY else GOLDEN / name, path)
        artifact = read_artifact(path)
        _files.append(File(path.read_bytes(), artifact.metadata, artifact.tensors))
    ask(path)  # which loads the kernels


def draw(rng: random.Random) -> tuple[str, Callable[[], object]]:
    """Change a file; the case is to load it and to ask it everything."""
    number = rng.randrange(len(_files))
    how = rng.choice((_bytes, _header, _metadata, _metadata, _values, _values, _tensors, _tokenizer, _tokenizer))
    data = how(_files[number], rng)
    path = _folder / f"changed-{os.getpid()}.edgebert"

    def case() -> object:
        path.write_bytes(data)
        try:
            return ask(path)
        finally:  # which leaves it mapped where it is
            path.unlink(missing_ok=True)

    return f"{how.__name__[1:]} of {MODELS[number]}", case


def ask(path: Path) -> list[Any]:
    """Load a model, and return all that can be had of it."""
    file = ModelFile(path)
    info = file.facts
    answers: list[Any] = [info]
    with suppress(AttributeError, KeyError, TypeError, ValueError):  # `edgebert info` says that it is none
        receipt_rows(info["receipt"])
    model = edgebert.load(path, threads=1)
    if "gliner" in info:
        labels = {"labels": ["person", "film"], "threshold": 0.3, "on_coverage": _heard}
        answers += [model.tag(_TEXTS, nested=nested, multi_label=nested, **labels) for nested in (False, True)]
    elif "late_interaction" in info:
        answers += [model.embed_tokens(_TEXTS[1:], query=query, on_coverage=_heard) for query in (False, True)]
        answers.append(model.rank("a film", _TEXTS[1:]))
    else:
        answers.append(model.embed(_TEXTS[1:], on_coverage=_heard))
    answers.append(model.hidden_states([[1, 2, 3]]))
    heads = info["heads"]
    if "sequence_classification" in heads:
        answers.append(model.classify(_TEXTS, top_k=None, on_coverage=_heard))
        answers.append(model.classify([("a film", _TEXTS[2])], on_coverage=_heard))
    if "next_sentence" in heads:
        answers.append(model.next_sentence([("a film", "it was good")], on_coverage=_heard))
    if "token_classification" in heads:
        answers.append(model.tag(_TEXTS, on_coverage=_heard))
    if "masked_lm" in heads and model.mask_token:
        answers.append(model.fill_mask([f"the {model.mask_token} was good"], targets=None, on_coverage=_heard))
        answers.append(model.score(_TEXTS[:2], on_coverage=_heard))
    if "masked_lm" in heads:
        answers += [model.embed_sparse(_TEXTS, query=query, on_coverage=_heard) for query in (False, True)]
    if "question_answering" in heads:
        answers.append(model.answer("what was good?", _TEXTS[2], top_k=3, on_coverage=_heard))
    return answers


def _heard(index: int, coverage: object) -> None:
    """Be told how much was seen."""


def _parts(file: bytes) -> tuple[dict[str, str], dict[str, Any], bytes]:
    """Return the metadata, the entries of the tensors, and the data."""
    (length,) = struct.unpack("<Q", file[:8])
    header = json.loads(file[8 : 8 + length])
    return header.pop("__metadata__"), header, file[8 + length :]


def _whole(texts: Any, header: Any, data: bytes) -> bytes:
    """Put a file together, with a right checksum if it can have one."""
    whole = {"__metadata__": texts, **header} if isinstance(header, dict) else header
    text = json_text(whole)
    try:
        read = json.loads(text)
        metadata = read.pop("__metadata__")
        metadata.pop("crc32", None)
        checksum = zlib.crc32(data, zlib.crc32(json.dumps([metadata, read]).encode()))
        head = json_text({"__metadata__": {**metadata, "crc32": f"{checksum:08x}"}, **read}).encode()
    except (AttributeError, KeyError, TypeError, RecursionError):
        head = text.encode()
    head += b" " * (-(8 + len(head)) % 64)
    return struct.pack("<Q", len(head)) + head + data


def _bytes(file: File, rng: random.Random) -> bytes:
    return change_bytes(file.data, rng)


def _header(file: File, rng: random.Random) -> bytes:
    texts, header, data = _parts(file.data)
    return _whole(texts, change_json(header, rng), data if rng.randrange(4) else change_bytes(data, rng))


def _metadata(file: File, rng: random.Random) -> bytes:
    texts, header, data = _parts(file.data)
    for _ in range(rng.choice((1, 1, 2))):
        key = rng.choice(list(texts))
        try:
            inner = json.loads(texts[key])
        except (TypeError, ValueError, RecursionError):
            inner = None
        if isinstance(inner, (dict, list)) and rng.randrange(4):
            texts[key] = json_text(change_json(inner, rng))
        else:
            texts = change_json(texts, rng)
    return _whole(texts, header, data)


def _of_arrays(texts: dict[str, str], arrays: dict[str, np.ndarray]) -> bytes:
    """Put a file together from tensors."""
    names = {"float32": "F32", "float16": "F16", "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8"}
    return _whole(texts, *laid_out(arrays, names))


def _values(file: File, rng: random.Random) -> bytes:
    texts, arrays = dict(file.texts), dict(file.arrays)
    for _ in range(rng.choice((1, 1, 3, len(arrays)))):
        name = rng.choice(list(arrays))
        arrays[name] = change_values(arrays[name], rng)
    return _of_arrays(texts, arrays)


def _tensors(file: File, rng: random.Random) -> bytes:
    texts, arrays = dict(file.texts), dict(file.arrays)
    name, other = rng.choice(list(arrays)), rng.choice(list(arrays))
    array, kind = arrays[name], rng.randrange(7)
    if kind == 0:
        del arrays[name]
    elif kind == 1:
        arrays[name] = arrays[other]
    elif kind == 2:
        arrays[name] = array.reshape(-1)
    elif kind == 3:
        arrays[name] = array[: rng.randrange(len(array) + 1)]
    elif kind == 4:
        arrays[name] = np.concatenate([array] * rng.randrange(1, 4))
    elif kind == 5:
        arrays[name] = array.view(np.int8 if array.dtype.itemsize == 1 else f"i{array.dtype.itemsize}")
    else:
        arrays[str(change_json([name], rng))] = array
    return _of_arrays(texts, {str(name): array for name, array in arrays.items() if array.dtype != np.int64})


def _tokenizer(file: File, rng: random.Random) -> bytes:
    texts, arrays = dict(file.texts), dict(file.arrays)
    file = json.loads(unpack_tokenizer(arrays[TOKENIZER]))
    packed, kind = arrays[TOKENIZER].tobytes(), rng.randrange(12)
    if kind == 0:
        packed = change_bytes(packed, rng)
    elif kind == 1 and not rng.randrange(50):  # a bomb takes half a second to make
        packer = zlib.compressobj(1)
        packed = b"".join([packer.compress(bytes(_BOMB // 64)) for _ in range(rng.choice((1, 64)))]) + packer.flush()
    elif kind < 4:
        file["padding"] = {
            "strategy": rng.choice(("BatchLongest", {"Fixed": rng.choice((5, 100, 2**31))})),
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": rng.choice((0, 9, 2**32 - 1)),
            "pad_type_id": rng.choice((0, 7)),
            "pad_token": "[PAD]",
        }
        truncation = {"direction": "Right", "max_length": rng.choice((0, 1, 3)), "strategy": "LongestFirst"}
        file["truncation"] = {**truncation, "stride": rng.choice((0, 5))}
    elif kind == 4:
        name, part = rng.choice(_PARTS)
        file[name] = part
    else:
        for _ in range(rng.choice((1, 1, 3))):
            file = change_json(file, rng)
    if kind > 1:
        packed = pack_tokenizer(json_text(file)).tobytes()
    return _of_arrays(texts, {**arrays, TOKENIZER: np.frombuffer(packed, np.uint8)})
