"""A model as a C library maps it: the PLAN and all that it points to, in one file."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from edgebert.config import ACTIVATIONS as FORMS
from edgebert.description import Description
from edgebert.destination import open_destination
from edgebert.engine.memory import row_bytes, scratch_bytes
from edgebert.engine.model_plan import ModelPlan
from edgebert.export.records import (
    ACTIVATIONS,
    DENSE,
    FUNCTIONS,
    HEADER,
    HEADS,
    MAGIC,
    POOLINGS,
    WORKSPACE,
    interface,
)
from edgebert.heads import HEADS as HEAD_CLASSES
from edgebert.heads.classification import FUNCTIONS as FUNCTION_OF_PROBLEM
from edgebert.heads.dense import columns_of
from edgebert.heads.head import Head
from edgebert.heads.next_sentence import NEXT_SENTENCE_LABELS
from edgebert.kernels.plan import PLAN, addresses
from edgebert.kernels.simd.families import FAMILIES

__all__ = ["write_image"]

_ALIGNMENT = 64


class _Image:
    """Arrays one after the other; what points to one holds its place in the file until the file is mapped."""

    def __init__(self) -> None:
        self.size = HEADER.itemsize
        self._arrays: list[tuple[int, np.ndarray]] = []
        self.relocations: list[int] = []

    def place(self, array: np.ndarray) -> int:
        """Append an array, or a record whose addresses are places already; return its place."""
        array = np.ascontiguousarray(array)
        begin = -(-self.size // _ALIGNMENT) * _ALIGNMENT
        self._arrays.append((begin, array))
        self.size = begin + array.nbytes
        if array.dtype.names:
            for i, record in enumerate(array.reshape(-1)):
                for name in addresses(array.dtype):
                    if record[name]:
                        assert array.dtype.fields is not None
                        self.relocations.append(begin + i * array.itemsize + array.dtype.fields[name][1])
        return begin

    def pieces(self) -> list[bytes | memoryview]:
        """Return what follows the header, with what fills the gaps."""
        result: list[bytes | memoryview] = []
        position = HEADER.itemsize
        for begin, array in self._arrays:
            result += [bytes(begin - position), array.reshape(-1).view(np.uint8).data]
            position = begin + array.nbytes
        return result


def write_image(description: Description, path: Path) -> None:
    """Write a model for the C library, whole or not at all; it serves every target.

    Raises
    ------
    OutputError
    """
    image = _Image()
    config = description.config
    header = np.zeros(1, HEADER)
    head = header[0]
    model = ModelPlan(config, description.tensors, image.place)
    plan = model.record[0]
    workspace = np.array([(_offset(name), size) for name, size in row_bytes(model).items()], WORKSPACE)
    scratches = [
        scratch_bytes(family, int(plan["head_dim"]), config.max_position_embeddings) for family in FAMILIES.values()
    ]
    head["scratch_bytes"], head["stages"] = max(scratches), len(model.stage_names)
    head["workspace"], head["workspace_count"] = image.place(workspace), len(workspace)
    for name in ("vocab_size", "type_vocab_size", "max_position_embeddings"):
        head[name] = getattr(config, name)
    head["max_length"] = description.max_length
    head["padding"] = -1 if config.padding is None else config.padding
    pipeline = description.pipeline
    if pipeline.pooling in POOLINGS and not pipeline.dense and not pipeline.truncate_dim:
        head["pooling"], head["normalize"] = POOLINGS[pipeline.pooling], pipeline.normalize
    _place_head(image, description, head)
    head["plan"] = image.place(model.record)
    head["relocation_count"] = len(image.relocations)
    head["relocations"] = image.place(np.array(image.relocations, np.int64))
    head["magic"], head["interface"] = np.frombuffer(MAGIC, np.int64)[0], interface()
    head["size"] = image.size
    pieces = image.pieces()
    checksum = 0
    for piece in pieces:
        checksum = zlib.crc32(piece, checksum)
    head["checksum"] = checksum
    with open_destination(str(path)) as file:
        file.write(header.tobytes())
        for piece in pieces:
            file.write(piece)


def _offset(field: str) -> int:
    assert PLAN.fields is not None
    return int(PLAN.fields[field][1])


def _place_head(image: _Image, description: Description, head: np.void) -> None:
    """Place the layers and labels of the head that a C program can ask, if there is one."""
    config = description.config
    of_text = ("sequence_classification", "next_sentence")
    name = next((name for name in (*of_text, "token_classification") if name in description.heads), None)
    if name is None:
        return
    kind: type[Head] = HEAD_CLASSES[name]
    head["head"] = HEADS["text" if name in of_text else "tokens"]
    function = FUNCTION_OF_PROBLEM[description.problem_type] if name == "sequence_classification" else "softmax"
    head["function"] = FUNCTIONS[function]
    labels = NEXT_SENTENCE_LABELS if name == "next_sentence" else description.labels
    head["labels"] = image.place(np.frombuffer(b"".join(label.encode() + b"\0" for label in labels), np.uint8))
    head["label_count"] = len(labels)
    chain = kind.chain(config)
    layers = np.zeros(len(chain), DENSE)
    for layer, (layer_name, activation) in zip(layers, chain, strict=True):
        columns = columns_of(description.tensors[f"{layer_name}.weight"])
        bias = description.tensors[f"{layer_name}.bias"]
        layer["K"], layer["N"] = columns.shape
        layer["outputs"] = len(bias)
        layer["weight"], layer["bias"] = image.place(columns), image.place(bias)
        form = FORMS.get(activation, activation)
        layer["activation"] = ACTIVATIONS[f"gelu_{form}" if activation in FORMS and "gelu" in activation else form]
    head["widest"] = layers["N"].max()
    head["dense"], head["dense_count"] = image.place(layers), len(layers)
