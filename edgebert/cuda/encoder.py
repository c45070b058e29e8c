"""An encoder on a GPU: weights and a workspace in its memory, the forward pass as a graph of launches."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.config import BertConfig
from edgebert.cuda.device import Device
from edgebert.cuda.layout import Tile, batch_words, constants, describe_batch, in_fragments
from edgebert.cuda.program import load_program
from edgebert.cuda.shape import MOST_HEAD_DIM, SYMBOL, Shape, blocks_of, expand_tile, heads_tile, project_tile
from edgebert.cuda.target import Target, target_of
from edgebert.engine.turn import Turn
from edgebert.errors import EdgebertError, SettingError
from edgebert.kernels.plan import group_of_count, padded, whole_vectors
from edgebert.positions import bias_of_distances

__all__ = ["CudaEncoder", "shape_of"]

_LOG2_E = math.log2(math.e)
_ROWS = 128
"""Rows of the largest tile of a product."""
_SLACK = 32
"""Keys are read 32 at a time: the last of them may lie beyond the last token."""
_BIAS_SLACK = 16
"""Queries of a tile may lie beyond their sequence, and so may their distances."""


class _Linear(NamedTuple):
    """A linear layer on the GPU: its sizes, and the addresses of its parts."""

    K: int
    group: int
    groups: int
    weight: int
    constants: int
    width: int

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What kernels take after the rows that they multiply."""
        sizes = map(ctypes.c_int32, (self.K, self.group, self.groups))
        return (*sizes, self.weight, self.constants, ctypes.c_int32(self.width))


class _Norm(NamedTuple):
    """Addresses of a LayerNorm's parts."""

    weight: int
    bias: int
    smoothing: int


class _Layer(NamedTuple):
    query_key_value: _Linear
    attention_output: _Linear
    attention_norm: _Norm
    intermediate: _Linear
    factor: int
    output: _Linear
    output_norm: _Norm


def _group(tensors: Mapping[str, np.ndarray], name: str) -> int:
    _, steps, _, inputs = tensors[f"{name}.weight"].shape
    return group_of_count(steps * inputs, len(tensors[f"{name}.scale"]))


def shape_of(config: BertConfig, tensors: Mapping[str, np.ndarray]) -> Shape:
    """Return what of a model its kernels are made for.

    Raises
    ------
    SettingError
        When its heads are wider than the kernels can have them.
    """
    head_dim = whole_vectors(config.head_dim)
    if head_dim > MOST_HEAD_DIM:
        raise SettingError(
            f"this model has heads of {head_dim} values, a GPU computes at most {MOST_HEAD_DIM}: use cpu"
        )
    strides = {padded(config.num_attention_heads * head_dim)}
    if config.projects_embeddings:
        strides.add(padded(config.hidden_size))
    outputs = (f"encoder.layer.{i}.output.dense" for i in range(config.num_hidden_layers))
    return Shape(
        embedding_stride=padded(config.embedding_width),
        hidden_stride=padded(config.hidden_size),
        head_dim=head_dim,
        int4=tensors["embeddings.word_embeddings.scale"].ndim == 2,
        biased=bool(config.relative_attention_num_buckets),
        longest=config.max_position_embeddings,
        form=config.activation,
        inner_groups=tuple(sorted({_group(tensors, name) for name in outputs})),
        quantized_strides=tuple(sorted(strides)),
    )


class CudaEncoder:
    """One model's forward pass on a GPU.

    Parameters
    ----------
    config : BertConfig
    tensors : mapping of str to ndarray
        As in an .edgebert file.
    token_budget : int
        Most tokens of a batch; the memory for it is allocated now.
    driver : module
        `cuda.bindings.driver`, or what stands in for it.
    target : Target, optional
        What kernels are compiled for; the GPU's own by default.

    Raises
    ------
    EdgebertError
        When the driver or the compiler fails, or memory does not suffice.
    """

    def __init__(
        self,
        config: BertConfig,
        tensors: Mapping[str, np.ndarray],
        token_budget: int,
        driver: Any,
        target: Target | None = None,
    ) -> None:
        self.config, self.token_budget = config, token_budget
        self._turn, self._process = Turn("a model's forward pass"), os.getpid()
        self._shape = shape_of(config, tensors)
        self.device = device = Device(driver)
        self._target = target or target_of(device.capability)
        try:
            device.load(load_program(self._shape, device.capability))
            for name, (threads, shared_bytes) in blocks_of(self._shape, self._target).items():
                device.prepare(SYMBOL.format(name), threads, shared_bytes)
            self._upload(tensors)
            self._reserve()
            device.begin_graph()
            self._forward()
            self._graph = device.end_graph()
        except BaseException:
            device.close()
            raise

    def encode(self, batch: PackedBatch) -> np.ndarray:
        """Run a batch whose ids have been checked.

        Parameters
        ----------
        batch : PackedBatch
            At most `token_budget` tokens.

        Returns
        -------
        ndarray [shape=(T, hidden_size), dtype=float32]
            The last hidden states; the caller's own.
        """
        tokens = len(batch.input_ids)
        if tokens == 0:
            return np.empty((0, self.config.hidden_size), np.float32)
        if os.getpid() != self._process:
            raise EdgebertError("a model on a GPU cannot be used by a forked process: load it there, or spawn")
        return self._turn.take(lambda: self._encode(batch, tokens))

    def _encode(self, batch: PackedBatch, tokens: int) -> np.ndarray:
        device = self.device
        device.enter()
        device.copy_in(self._batch, self._words, 4 * describe_batch(batch, self._words))
        device.run_graph(self._graph)
        device.copy_out(self._result, self._hidden, 4 * tokens * self._shape.hidden_stride)
        device.wait()
        return self._result[:tokens, : self.config.hidden_size].copy()

    def close(self) -> None:
        """Give the GPU's memory back; the encoder is of no use any more."""
        if os.getpid() == self._process:
            self._turn.take(self.device.close)

    def __del__(self) -> None:
        if hasattr(self, "_graph"):
            self.close()

    def _upload(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Copy the model to the GPU, as its kernels read it."""
        config, target, upload = self.config, self._target, self.device.upload
        project, heads = project_tile(target), heads_tile(target, self._shape.head_dim)
        self._most_groups = 1

        def linear(name: str, tile: Tile) -> _Linear:
            weight = tensors[f"{name}.weight"]
            scale = tensors[f"{name}.scale"]
            K, groups = weight.shape[1] * weight.shape[3], len(scale)
            self._most_groups = max(self._most_groups, groups)
            together = constants(scale, tensors[f"{name}.column_sums"], tensors[f"{name}.bias"], tile.columns)
            fragments = upload(in_fragments(weight, tile.columns))
            return _Linear(K, _group(tensors, name), groups, fragments, upload(together), together.shape[1])

        def norm(name: str, *, smoothing_only: bool = False) -> _Norm:
            weight, bias = (0 if smoothing_only else upload(tensors[f"{name}.{part}"]) for part in ("weight", "bias"))
            return _Norm(weight, bias, upload(tensors[f"{name}.smoothing"]))

        words = "embeddings.word_embeddings"
        self._words_at = upload(tensors[f"{words}.weight"]), upload(tensors[f"{words}.scale"].astype(np.float32))
        self._positions, self._token_types = (
            upload(tensors[f"embeddings.{name}.weight"].astype(np.float32))
            for name in ("position_embeddings", "token_type_embeddings")
        )
        self._embeddings_norm = norm("embeddings.LayerNorm")
        self._embeddings_project = None
        if config.projects_embeddings:
            self._embeddings_project = linear("embeddings_project", project)
            self._projected_norm = norm("embeddings_project", smoothing_only=True)
        self._layers = []
        for i in range(config.num_hidden_layers):
            prefix = f"encoder.layer.{i}"
            output = f"{prefix}.output.dense"
            expand = expand_tile(target, _group(tensors, output))
            factor = tensors[f"{prefix}.intermediate.factor"]
            self._layers.append(
                _Layer(
                    linear(f"{prefix}.attention.self.query_key_value", heads),
                    linear(f"{prefix}.attention.output.dense", project),
                    norm(f"{prefix}.attention.output.LayerNorm"),
                    linear(f"{prefix}.intermediate.dense", expand),
                    upload(np.pad(factor, (0, -len(factor) % expand.columns))),
                    linear(output, project),
                    norm(f"{prefix}.output.LayerNorm"),
                )
            )
        self._bias, self._bias_row, self._bias_centre = 0, 0, 0
        if config.relative_attention_num_buckets:
            longest = config.max_position_embeddings
            bias = bias_of_distances(tensors["encoder.relative_attention_bias.weight"] * np.float32(_LOG2_E), longest)
            bias = np.pad(bias, [(0, 0), (_BIAS_SLACK, _BIAS_SLACK)])
            self._bias, self._bias_row, self._bias_centre = upload(bias), bias.shape[1], longest - 1 + _BIAS_SLACK

    def _reserve(self) -> None:
        """Allocate what a batch is computed in."""
        config, shape, allocate = self.config, self._shape, self.device.allocate
        rows = self._rows = -(-(self.token_budget + _SLACK) // _ROWS) * _ROWS
        heads = config.num_attention_heads
        self._context_stride = padded(heads * shape.head_dim)
        self._inner_stride = padded(config.intermediate_size)
        wide = max(shape.hidden_stride, shape.embedding_stride)
        self._words = self.device.pinned((batch_words(self.token_budget),), np.int32)
        self._result = self.device.pinned((self.token_budget, shape.hidden_stride), np.float32)
        self._batch = allocate(self._words.nbytes)
        self._hidden = allocate(4 * rows * shape.hidden_stride)
        self._narrow = allocate(4 * rows * wide)
        self._context = allocate(4 * rows * self._context_stride)
        self._pairs = allocate(2 * heads * rows * shape.head_dim)
        self._transposed = allocate(heads * rows * shape.head_dim)
        self._head_scale = allocate(4 * 3 * heads * rows)
        self._quantized = allocate(rows * max(wide, self._context_stride))
        self._ranges = allocate(4 * 2 * rows * self._most_groups)
        self._inner = allocate(rows * self._inner_stride)
        self._inner_ranges = allocate(4 * 2 * rows * self._most_groups)

    def _launch(self, name: str, *arguments: Any) -> None:
        self.device.launch(SYMBOL.format(name), self._batch, *arguments)

    def _forward(self) -> None:
        """Embed; then in each layer project, attend, add and normalise, feed forward, add and normalise."""
        shape, first = self._shape, self._layers[0].query_key_value
        stream = self._embeddings_norm
        if self._embeddings_project is None:
            self._embed(self._hidden, first)
        else:
            self._embed(self._narrow, self._embeddings_project)
            self._project(self._embeddings_project, self._quantized, self._ranges, self._hidden)
            self._quantize_rows(self._hidden, shape.hidden_stride, first)
            stream = self._projected_norm
        for i, layer in enumerate(self._layers):
            self._project_heads(layer.query_key_value)
            self._attend()
            self._quantize_rows(self._context, self._context_stride, layer.attention_output)
            self._project(layer.attention_output, self._quantized, self._ranges, self._narrow)
            self._add_and_norm(stream, layer.attention_norm, layer.intermediate)
            self._expand(layer)
            self._project(layer.output, self._inner, self._inner_ranges, self._narrow)
            # The last layer's output has no reader; it is quantized like the others, for its own.
            following = self._layers[min(i + 1, len(self._layers) - 1)]
            self._add_and_norm(layer.attention_norm, layer.output_norm, following.query_key_value)
            stream = layer.output_norm

    def _norm(self, norm: _Norm, size: int) -> tuple[Any, ...]:
        return ctypes.c_int32(size), norm.weight, norm.bias, ctypes.c_float(self.config.layer_norm_eps)

    def _quantized_for(self, reader: _Linear) -> tuple[Any, ...]:
        return ctypes.c_int32(reader.group), ctypes.c_int32(reader.groups), self._quantized, self._ranges

    def _embed(self, out: int, reader: _Linear) -> None:
        norm = self._norm(self._embeddings_norm, self.config.embedding_width)
        tables = (*self._words_at, self._positions, self._token_types)
        self._launch("embed", *tables, *norm, out, *self._quantized_for(reader))

    def _project(self, linear: _Linear, x: int, ranges: int, out: int) -> None:
        stride = ctypes.c_int32(self._shape.hidden_stride)
        self._launch("project", x, ranges, *linear.arguments, stride, out, stride)

    def _project_heads(self, linear: _Linear) -> None:
        heads, rows = ctypes.c_int32(self.config.num_attention_heads), ctypes.c_int32(self._rows)
        out = (self._pairs, self._transposed, self._head_scale, rows)
        self._launch("project_heads", self._quantized, self._ranges, *linear.arguments, heads, *out)

    def _attend(self) -> None:
        rows, heads = ctypes.c_int32(self._rows), ctypes.c_int32(self.config.num_attention_heads)
        scale = ctypes.c_float(_LOG2_E / math.sqrt(self.config.head_dim))
        bias = (self._bias or self._head_scale, ctypes.c_int32(self._bias_row), ctypes.c_int32(self._bias_centre))
        out = (self._context, ctypes.c_int32(self._context_stride))
        self._launch("attend", self._pairs, self._transposed, self._head_scale, rows, heads, scale, *bias, *out)

    def _quantize_rows(self, x: int, stride: int, reader: _Linear) -> None:
        self._launch(f"quantize_rows_{stride}", x, *self._quantized_for(reader))

    def _add_and_norm(self, before: _Norm, after: _Norm, reader: _Linear) -> None:
        norm = self._norm(after, self.config.hidden_size)
        self._launch("add_and_norm", self._hidden, before.smoothing, self._narrow, *norm, *self._quantized_for(reader))

    def _expand(self, layer: _Layer) -> None:
        linear, output = layer.intermediate, layer.output
        self._launch(
            f"expand_{output.group}",
            *(self._quantized, self._ranges, *linear.arguments, ctypes.c_int32(self._inner_stride)),
            *(layer.factor, ctypes.c_int32(output.groups), self._inner, self._inner_ranges),
        )
