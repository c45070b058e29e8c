"""A model as a C library maps it: one file of a header and arrays (`edgebert.export.records.HEADER`)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edgebert.artifact import damaged
from edgebert.config import ACTIVATIONS as FORMS
from edgebert.engine.model_plan import ModelPlan
from edgebert.errors import SettingError
from edgebert.export.records import (
    ACTIVATIONS,
    ALIGNMENT,
    FUNCTIONS,
    HEADER,
    HEADS,
    LIMITS,
    MAGIC,
    MOST_OUTPUTS,
    POOLINGS,
    SCALES,
    interface,
)
from edgebert.families import encoder_of
from edgebert.heads import HEADS as HEAD_CLASSES
from edgebert.heads.dense import columns_of
from edgebert.kernels.plan import DISTANCES, LINEAR, NORM, PLAN, addresses, padded
from edgebert.model_file import ModelFile
from edgebert.output import open_output

__all__ = ["seal", "write_image"]


_COUNTED = {
    "linear": ("linear", "reader"),
    "norm": ("norm", "branch_norm", "query_norm", "key_norm"),
    **{name: (name,) for name in ("distances", "undo", "factor", "angles", "bias")},
}
"""Kind of a part, which the header counts -> the fields of a STEP that lead to such parts."""


class _Parts:
    """The arrays and records of a model, by numbers in the place of addresses."""

    def __init__(self, model: ModelFile) -> None:
        self._arrays: list[np.ndarray] = []
        self.plan = ModelPlan(encoder_of(model.info.config), model.tensors, self._place).record[0]
        self.steps = self._at(self.plan["steps"]).copy()
        self._numbers = {kind: self._parts_of(fields) for kind, fields in _COUNTED.items()}

    def _place(self, array: np.ndarray) -> int:
        """Keep an array, or a record that points to others; return its number, from 1."""
        self._arrays.append(array)
        return len(self._arrays)

    def _at(self, number: int) -> np.ndarray:
        return self._arrays[int(number) - 1]

    def _parts_of(self, fields: Sequence[str]) -> list[int]:
        """Return the parts that some fields of the steps lead to, in order, and let the steps count them from 1."""
        numbers = sorted({int(number) for name in fields for number in self.steps[name] if number})
        for name in fields:
            self.steps[name] = [numbers.index(number) + 1 if number else 0 for number in self.steps[name]]
        return numbers

    @property
    def counts(self) -> dict[str, int]:
        """The fields of the header that say how many parts there are."""
        counts = {f"{kind}_count": len(numbers) for kind, numbers in self._numbers.items()}
        return counts | {"step_count": len(self.steps)}

    @property
    def most_outputs(self) -> int:
        """Outputs of the widest linear layer."""
        return max(int(self._at(number)[0]["N"]) for number in self._numbers["linear"])

    def arrays(self) -> Iterator[np.ndarray]:
        """Yield the arrays of the file in the order that `edgebert.export.records.HEADER` tells."""
        yield self.steps
        for record in (self._at(number)[0] for number in self._numbers["linear"]):
            yield np.array([record[name] for name in ("N", "K", "groups", "depth")], np.int64)
            yield from (self._at(record[name]) for name in addresses(LINEAR))
        for record in (self._at(number)[0] for number in self._numbers["norm"]):
            yield np.array([record["size"], record["rms"]], np.int64)
            yield np.array([record["eps"]], np.float32)
            for array in (self._at(record[name]) for name in addresses(NORM)):
                yield np.pad(array, (0, padded(int(record["size"])) - len(array)))  # a head's is shorter
        for record in (self._at(number)[0] for number in self._numbers["distances"]):
            yield from (self._at(record[name]) for name in addresses(DISTANCES))
        for field in ("undo", "factor", "angles", "bias"):
            yield from map(self._at, self._numbers[field])
        yield from (self._at(self.plan[name]) for name in addresses(PLAN) if self.plan[name] and name != "steps")


def write_image(model: ModelFile, path: Path) -> None:
    """Write a model for the C library, whole or not at all; it serves every target.

    Raises
    ------
    ArtifactError
        When it holds values that are no numbers.
    SettingError
        When a C program could not have it: a label holds a zero byte, or a size is beyond what it takes.
    OutputError
    """
    config, pipeline = model.info.config, model.info.pipeline
    parts = _Parts(model)
    fields = {name: parts.plan[name] for name in PLAN.names or () if name in (HEADER.names or ())} | parts.counts
    for name in ("hidden_size", "vocab_size", "type_vocab_size", "max_position_embeddings"):
        fields[name] = getattr(config, name)
    if config.refused_id is not None:
        raise SettingError(
            f"{model.path} cannot be exported: it takes no id {config.refused_id}, for masked words, and a C program"
            " could ask it"
        )
    fields["max_length"] = model.info.max_length
    fields["padding"] = -1 if config.padding is None else config.padding
    for name in ("position_embeddings", "token_type_embeddings"):
        fields[f"has_{name}"] = int(parts.plan[name] != 0)
    info = model.info
    of_texts = not (pipeline.dense or pipeline.truncate_dim or info.late_interaction or info.gliner)
    if pipeline.pooling in POOLINGS and of_texts:
        fields["pooling"], fields["normalize"] = POOLINGS[pipeline.pooling], int(pipeline.normalize)
    head_fields, head_arrays = _head(model)
    fields |= head_fields
    arrays = [*parts.arrays(), *head_arrays]
    if not all(np.isfinite(array).all() for array in arrays if array.dtype == np.float32):
        raise damaged(model.path, "it holds values that are no numbers")
    pieces = _aligned(arrays)
    header = np.zeros(1, HEADER)
    limits = {**LIMITS, "softmax_scale": SCALES}
    for name, value in fields.items():
        low, high = limits.get(name, (value, value))
        if not low <= value <= high:
            raise SettingError(f"{model.path} cannot be exported: its {name} is {value}, expected {low} to {high}")
        header[name] = value
    if parts.most_outputs > MOST_OUTPUTS:
        raise SettingError(
            f"{model.path} cannot be exported: a layer has {parts.most_outputs} outputs, expected up to {MOST_OUTPUTS}"
        )
    header["magic"], header["interface"] = np.frombuffer(MAGIC, np.int64), interface()
    header["size"] = header.nbytes + sum(map(len, pieces))
    seal(header, pieces)
    with open_output(str(path)) as file:
        for piece in [header.tobytes(), *pieces]:
            file.write(piece)


def seal(header: np.ndarray, pieces: Sequence[bytes | memoryview]) -> None:
    """Set the checksum in the header of an image, behind which come `pieces`."""
    header["checksum"] = 0
    checksum = 0
    for piece in [header.tobytes(), *pieces]:
        checksum = zlib.crc32(piece, checksum)
    header["checksum"] = checksum


def _aligned(arrays: Sequence[np.ndarray]) -> list[bytes | memoryview]:
    """Return the bytes of arrays, each with what fills the gap before it."""
    pieces: list[bytes | memoryview] = []
    end = HEADER.itemsize
    for array in arrays:
        gap = -end % ALIGNMENT
        pieces += [bytes(gap), np.ascontiguousarray(array).reshape(-1).view(np.uint8).data]
        end += gap + array.nbytes
    return pieces


def _head(model: ModelFile) -> tuple[dict[str, int], list[np.ndarray]]:
    """Return the fields and arrays of the head that a C program can ask, if there is one."""
    config = model.info.config
    exported = [HEAD_CLASSES[name] for name in model.info.heads if HEAD_CLASSES[name].exported]
    if not exported:
        return {}, []
    # A classifier of texts before all others.
    kind = min(exported, key=lambda head: (head.exported != "text", not head.has_labels))
    labels = kind.label_names(model.info.labels)
    if any("\0" in label for label in labels):
        raise SettingError(f"{model.path} cannot be exported: a label has a zero byte, which ends a name in C")
    pooling = config.head_layers.pooling if kind.exported == "text" else ""
    if pooling not in POOLINGS:
        known = " or ".join(filter(None, POOLINGS))
        raise SettingError(f"{model.path} cannot be exported: its head reads the {pooling} of a text, expected {known}")
    arrays: list[np.ndarray] = []
    parts = kind.parts(config)
    for part in parts:
        weight, bias = model.tensors[f"{part.name}.weight"], model.tensors[f"{part.name}.bias"]
        form = FORMS.get(part.activation, part.activation)
        code = ACTIVATIONS[f"gelu_{form}" if part.activation in FORMS and "gelu" in part.activation else form]
        eps = np.array(config.layer_norm_eps if part.K is None else 0, np.float64)
        arrays += [
            np.array([len(bias), code, eps.view(np.int64)]),
            weight if part.K is None else columns_of(weight),
            bias,
        ]
    arrays.append(np.frombuffer(b"".join(label.encode() + b"\0" for label in labels), np.uint8))
    fields = {
        "head": HEADS[kind.exported],
        "function": FUNCTIONS[kind.function(model.info.problem_type)],
        "head_pooling": POOLINGS[pooling],
        "head_layers": len(parts),
        "label_count": len(labels),
        "label_bytes": arrays[-1].size,
    }
    return fields, arrays
