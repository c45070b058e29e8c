"""An encoder on a GPU: weights and a workspace in its memory, the forward pass as a graph of launches."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from edgebert.architecture import Attention, Encoder, Norm
from edgebert.batch import PackedBatch
from edgebert.cuda.device import Device
from edgebert.cuda.layout import Tile, batch_words, constants, describe_batch, in_fragments
from edgebert.cuda.program import load_program
from edgebert.cuda.shape import expand_tile, group_of, heads_tile, project_tile, shape_of
from edgebert.cuda.signatures import attend_kind, kernel_name, launches_of
from edgebert.cuda.target import Target, target_of
from edgebert.engine.turn import Turn
from edgebert.errors import EdgebertError
from edgebert.kernels.plan import padded, word_factor
from edgebert.positions import angles_of, distances_of
from edgebert.steps import (
    AddAndNorm,
    Attend,
    Embed,
    Expand,
    Normalise,
    Place,
    Project,
    ProjectHeads,
    Quantize,
    Step,
    linear_of,
    steps,
)

__all__ = ["CudaEncoder"]

_LOG2_E = math.log2(math.e)
_ROWS = 128
"""Rows of the largest tile of a product, and scales of values that attention reads at a time."""
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


class CudaEncoder:
    """One model's forward pass on a GPU.

    Parameters
    ----------
    encoder : Encoder
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
        encoder: Encoder,
        tensors: Mapping[str, np.ndarray],
        token_budget: int,
        driver: Any,
        target: Target | None = None,
    ) -> None:
        self.token_budget, self._encoder = token_budget, encoder
        self._turn, self._process = Turn("a model's forward pass"), os.getpid()
        self._shape = shape_of(self._encoder, tensors)
        self.device = device = Device(driver)
        self._target = target or target_of(device.capability)
        try:
            launches = launches_of(self._shape, self._target)
            device.load(load_program(self._shape, device.capability))
            for name, launch in launches.items():
                device.prepare(name, launch)
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
            return np.empty((0, self._encoder.hidden_size), np.float32)
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
        return self._result[:tokens, : self._encoder.hidden_size].copy()

    def close(self) -> None:
        """Give the GPU's memory back; the encoder is of no use any more."""
        if os.getpid() == self._process:
            self._turn.take(self.device.close)

    def __del__(self) -> None:
        if hasattr(self, "_graph"):
            self.close()

    def _upload(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Copy the model to the GPU, as its kernels read it."""
        encoder, target, upload = self._encoder, self._target, self.device.upload
        project, heads = project_tile(target), heads_tile(target, self._shape.head_dim)
        self._most_groups = 1

        def linear(name: str, tile: Tile) -> _Linear:
            weight = tensors[f"{name}.weight"]
            scale = tensors[f"{name}.scale"]
            K, groups = weight.shape[1] * weight.shape[3], len(scale)
            self._most_groups = max(self._most_groups, groups)
            together = constants(scale, tensors[f"{name}.column_sums"], tensors[f"{name}.bias"], tile.columns)
            fragments = upload(in_fragments(weight, tile.columns))
            return _Linear(K, group_of(tensors, name), groups, fragments, upload(together), together.shape[1])

        embeddings = encoder.embeddings
        words = embeddings.words.name
        self._words_at = {
            "words": upload(tensors[f"{words}.weight"]),
            "word_scale": upload(tensors[f"{words}.scale"].astype(np.float32)),
            "word_factor": upload(word_factor(tensors, words, embeddings.words.width)),
        }
        self._positions, self._token_types = (
            upload(tensors[f"{table.name}.weight"].astype(np.float32)) if table else 0
            for table in (embeddings.positions, embeddings.token_types)
        )
        linears = {linear.name: project for linear in encoder.linears()}
        factors = {}
        for layer in encoder.layers:
            feed_forward = layer.feed_forward
            group = group_of(tensors, feed_forward.output.name)
            expand = expand_tile(target, group, gated=feed_forward.gated)
            linears[layer.attention.query_key_value.name] = heads
            linears[feed_forward.intermediate.name] = expand
            factors[feed_forward.factor] = expand.columns // (1 + feed_forward.gated)
        self._linears = {name: linear(name, tile) for name, tile in linears.items()}
        self._norms = {
            norm.name: (upload(tensors[f"{norm.name}.weight"]), upload(tensors[f"{norm.name}.bias"]))
            for norm in encoder.norms()
        }
        self._smoothings = {
            part.name: upload(tensors[f"{part.name}.smoothing"])
            for part in (embeddings.project, *encoder.stream_norms())
            if part
        }
        # What is not divided is multiplied by one: the sum has the same bits.
        self._ones = upload(np.ones(self._shape.hidden_stride, np.float32))
        self._factors = {
            name: upload(np.pad(tensors[name], (0, -len(tensors[name]) % columns))) for name, columns in factors.items()
        }
        rotaries = {layer.attention.rotary: layer.attention for layer in encoder.layers}
        self._angles = {rotary: upload(self._angles_of(one)) for rotary, one in rotaries.items() if rotary}
        self._bias, self._bias_row, self._bias_centre = 0, 0, 0
        attention = encoder.layers[0].attention
        bias = distances_of(attention, tensors, encoder.longest)
        if bias is not None:
            bias = np.pad(bias * np.float32(_LOG2_E), [(0, 0), (_BIAS_SLACK, _BIAS_SLACK)])
            self._bias, self._bias_row, self._bias_centre = upload(bias), bias.shape[1], bias.shape[1] // 2

    def _angles_of(self, attention: Attention) -> np.ndarray:
        """Return the angles by which the points of heads turn, each half of a head padded."""
        angles = angles_of(attention, self._encoder.longest)
        return np.pad(angles, [(0, 0), (0, 0), (0, self._shape.head_dim // 2 - angles.shape[2])])

    def _reserve(self) -> None:
        """Allocate what a batch is computed in."""
        layer, shape, allocate = self._encoder.layers[0], self._shape, self.device.allocate
        rows = self._rows = -(-(self.token_budget + _SLACK) // _ROWS) * _ROWS
        heads, key_heads, _ = layer.attention.slots
        self._context_stride = padded(heads * shape.head_dim)
        self._inner_stride = padded(layer.feed_forward.size)
        wide = max(shape.hidden_stride, shape.embedding_stride)
        self._words = self.device.pinned((batch_words(self.token_budget),), np.int32)
        self._result = self.device.pinned((self.token_budget, shape.hidden_stride), np.float32)
        self._batch = allocate(self._words.nbytes)
        self._hidden = allocate(4 * rows * shape.hidden_stride)
        self._narrow = allocate(4 * rows * wide)
        self._context = allocate(4 * rows * self._context_stride)
        self._pairs = allocate((heads + key_heads) * rows * shape.head_dim)
        self._transposed = allocate(key_heads * rows * shape.head_dim)
        self._head_scale = allocate(4 * (heads + 2 * key_heads) * rows)
        self._quantized = allocate(rows * max(wide, self._context_stride))
        self._ranges = allocate(4 * 2 * rows * self._most_groups)
        self._inner = allocate(rows * self._inner_stride)
        self._inner_ranges = allocate(4 * 2 * rows * self._most_groups)

    def _forward(self) -> None:
        """Launch a kernel for every step."""
        take: dict[type[Step], Callable[[Any], None]] = {
            Embed: self._embed,
            Normalise: self._normalise,
            Quantize: self._quantize_rows,
            Project: self._project,
            ProjectHeads: self._project_heads,
            Attend: self._attend,
            AddAndNorm: self._add_and_norm,
            Expand: self._expand,
        }
        for step in steps(self._encoder):
            take[type(step)](step)

    def _rows_of(self, place: Place) -> int:
        """Return the address of float32 rows."""
        return self._hidden if place == Place.RESIDUAL else self._narrow

    def _norm(self, norm: Norm | None) -> dict[str, float]:
        """Return the arguments of a norm, or of none."""
        if norm is None:
            return {"size": 0, "rms": 0, "weight": self._ones, "bias": self._ones, "eps": 0}
        weight, bias = self._norms[norm.name]
        return {"size": norm.size, "rms": norm.rms, "weight": weight, "bias": bias, "eps": norm.eps}

    def _quantized_for(self, step: Embed | Normalise | Quantize | AddAndNorm) -> dict[str, float]:
        """Return the arguments of what writes quantized rows, in no groups where nothing reads them."""
        linear = self._linears[step.quantize_for.name] if step.quantize_for else None
        group, groups = (linear.group, linear.groups) if linear else (0, 0)
        return {"group": group, "groups": groups, "q": self._quantized, "ranges": self._ranges}

    def _product(self, step: Step) -> dict[str, float]:
        """Return the arguments of the quantized rows that a step reads, and of the layer that it multiplies by."""
        inner = step.source == Place.INTERMEDIATE
        x, ranges = (self._inner, self._inner_ranges) if inner else (self._quantized, self._ranges)
        linear = linear_of(step)
        assert linear is not None
        return {"batch": self._batch, "x": x, "ranges": ranges, **self._linears[linear.name]._asdict()}

    def _embed(self, step: Embed) -> None:
        unused = self._words_at["word_factor"]
        self.device.launch(
            "embed",
            batch=self._batch,
            **self._words_at,
            positions=self._positions or unused,
            token_types=self._token_types or unused,
            hidden=self._rows_of(step.target),
            **self._norm(step.norm),
            **self._quantized_for(step),
        )

    def _normalise(self, step: Normalise) -> None:
        self._quantize(step, self._hidden, self._shape.hidden_stride, step.norm)

    def _quantize_rows(self, step: Quantize) -> None:
        if step.source == Place.BRANCH:
            self._quantize(step, self._context, self._context_stride, None)
        else:
            self._quantize(step, self._hidden, self._shape.hidden_stride, None)

    def _quantize(self, step: Normalise | Quantize, x: int, stride: int, norm: Norm | None) -> None:
        name = kernel_name("quantize_rows", stride)
        self.device.launch(name, batch=self._batch, x=x, **self._norm(norm), **self._quantized_for(step))

    def _project(self, step: Project) -> None:
        stride, out = self._shape.hidden_stride, self._rows_of(step.target)
        self.device.launch("project", **self._product(step), N=stride, out=out, out_row=stride)

    def _heads(self, attention: Attention) -> dict[str, int]:
        """Return the arguments of what query, key and value of every head are kept in."""
        return {
            "heads": attention.heads,
            "key_heads": attention.slots[1],
            "pairs": self._pairs,
            "transposed": self._transposed,
            "head_scale": self._head_scale,
            "capacity": self._rows,
        }

    def _project_heads(self, step: ProjectHeads) -> None:
        rotary = step.attention.rotary
        angles = self._angles[rotary] if rotary else self._head_scale  # which is not read
        norms = {
            f"{part}_{name}": self._norm(norm)[name]
            for part, norm in (("query", step.attention.query_norm), ("key", step.attention.key_norm))
            for name in ("size", "weight", "eps")
        }
        heads = self._heads(step.attention)
        self.device.launch("project_heads", **self._product(step), **heads, **norms, angles=angles)

    def _attend(self, step: Attend) -> None:
        self.device.launch(
            kernel_name(attend_kind(step.attention.causal), step.attention.window),
            batch=self._batch,
            **self._heads(step.attention),
            softmax_scale=_LOG2_E * step.attention.score_scale,
            position_bias=self._bias or self._head_scale,
            bias_row=self._bias_row,
            bias_centre=self._bias_centre,
            context=self._context,
            context_row=self._context_stride,
        )

    def _add_and_norm(self, step: AddAndNorm) -> None:
        self.device.launch(
            "add_and_norm" if step.target == Place.RESIDUAL else "add_and_norm_beside",
            batch=self._batch,
            hidden=self._hidden,
            smoothing=self._smoothings[step.undo.name] if step.undo else self._ones,
            narrow=self._narrow,
            **{f"branch_{name}": value for name, value in self._norm(step.branch_norm).items()},
            **self._norm(step.norm),
            **self._quantized_for(step),
        )

    def _expand(self, step: Expand) -> None:
        output = self._linears[step.feed_forward.output.name]
        self.device.launch(
            f"expand_{output.group}",
            **self._product(step),
            N=self._inner_stride,
            factor=self._factors[step.feed_forward.factor],
            out_groups=output.groups,
            pairs=self._inner,
            out_ranges=self._inner_ranges,
        )
