"""An encoder ready to run: the weights' addresses, a workspace for one batch, a team of threads."""

from __future__ import annotations

import ctypes
import functools
import math
import sys
import time
from collections.abc import Mapping

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.config import BertConfig
from edgebert.engine.library import KernelLibrary
from edgebert.engine.team import ThreadTeam
from edgebert.kernels.plan import (
    ACTIVATION_CODES,
    BLOCK_ROWS,
    GROUP_LARGEST,
    LAYER,
    LINEAR,
    NORM,
    PLAN,
    STAGE_BYTES,
    STAGES,
    TIME_OFFSET,
    group_of_count,
    padded,
    whole_vectors,
)
from edgebert.kernels.simd.families import FAMILIES, LANES, Family

__all__ = ["SLACK_ROWS", "Encoder", "aligned_empty", "scratch_bytes"]

_CACHE_LINE = 64
SLACK_ROWS = 16
"""Keys and matrix tiles are read in blocks of 16 rows: the last block may reach beyond the last token."""


def _yield_address() -> int:
    """Return the address of the C function that offers the processor to other threads."""
    if sys.platform == "win32":
        function = ctypes.windll.kernel32.SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def aligned_empty(count: int, dtype: type) -> np.ndarray:
    """Return uninitialised memory that begins at a cache line."""
    size = count * np.dtype(dtype).itemsize
    raw = np.empty(size + _CACHE_LINE, np.uint8)
    offset = -raw.ctypes.data % _CACHE_LINE
    return raw[offset : offset + size].view(dtype)


def scratch_bytes(family: Family, head_dim: int, longest: int) -> int:
    """Return the bytes that a thread needs for itself.

    Parameters
    ----------
    family : Family
    head_dim : int
        Padded.
    longest : int
        Most tokens of a sequence.
    """
    rows, keys, depth = family.tile_rows, whole_vectors(longest), padded(longest)
    tile = 4 * LANES * rows * family.tile_panels
    # A block of float32 outputs, whole heads; and twice 16 vectors to reduce together.
    block = tile + 4 * BLOCK_ROWS * (GROUP_LARGEST + head_dim) + 2 * 4 * LANES * LANES
    # Keys, values, and three float32 of each key.
    panels = keys * padded(head_dim) + depth * head_dim + 3 * 4 * keys
    # Rows of scores, both halves of the numerators, both sums and the factor of each row.
    attention = panels + rows * (4 * keys + 2 * depth + 2 * 4 * head_dim + 4)
    return -(-max(block, attention) // _CACHE_LINE) * _CACHE_LINE


class Encoder:
    """One model's forward pass on compiled kernels.

    Parameters
    ----------
    config : BertConfig
    tensors : mapping of str to ndarray
        As in an .edgebert file; they are read where they lie.
    library : KernelLibrary
    threads : int
    token_budget : int
        Most tokens of a batch. The workspace for it is reserved now; its pages are taken as batches use them.
    """

    def __init__(
        self,
        config: BertConfig,
        tensors: Mapping[str, np.ndarray],
        library: KernelLibrary,
        threads: int,
        token_budget: int,
    ) -> None:
        self.config, self.token_budget = config, token_budget
        self._library = library
        self._team = ThreadTeam(threads)
        self._plan = np.zeros(1, PLAN)
        self._keep: list[object] = [tensors, library, self._plan]
        self._describe_model(tensors)
        self._reserve_workspace(FAMILIES[library.family])

    @property
    def threads(self) -> int:
        """Threads that a forward pass runs on."""
        return self._team.size

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
        plan = self._plan[0]
        with self._team.lock:
            plan["tokens"], plan["sequences"] = tokens, len(batch.cu_seqlens) - 1
            for name in ("input_ids", "token_type_ids", "position_ids", "cu_seqlens"):
                plan[name] = getattr(batch, name).ctypes.data
            plan["epoch"], plan["active"] = self._team.epoch.ctypes.data, self._team.active.ctypes.data
            self._stages[:] = 0
            job = functools.partial(self._library.encode, self._plan.ctypes.data, int(self._team.epoch[0]))
            self._team.run(job, needs=(self._keep, self._team.epoch, batch))
            return self._hidden[:tokens, : self.config.hidden_size].copy()

    def profile(self, batch: PackedBatch) -> list[tuple[str, float]]:
        """Run a batch and return what each stage of the forward pass took, in seconds, in order.

        Every stage ends when all its threads have finished. Where a system has no ``clock_gettime``, raises OSError.
        """
        plan = self._plan[0]
        try:
            plan["clock"] = ctypes.cast(ctypes.CDLL(None).clock_gettime, ctypes.c_void_p).value or 0
        except (AttributeError, TypeError) as error:
            raise OSError("this system has no clock_gettime, which a profile needs") from error
        try:
            begin = time.clock_gettime(time.CLOCK_MONOTONIC)
            self.encode(batch)
        finally:
            plan["clock"] = 0
        records = self._stages.reshape(-1, STAGE_BYTES)[:, TIME_OFFSET : TIME_OFFSET + 16].copy().view(np.int64)
        ends = records[:, 0] + 1e-9 * records[:, 1]
        names = ["embed", *STAGES * self.config.num_hidden_layers]
        return list(zip(names, np.diff(ends, prepend=begin).tolist(), strict=True))

    def _describe_model(self, tensors: Mapping[str, np.ndarray]) -> None:
        config, plan = self.config, self._plan[0]
        self._most_groups = 1
        self._head_dim = whole_vectors(config.head_dim)
        self._context_stride = padded(config.num_attention_heads * self._head_dim)
        self._hidden_stride = padded(config.hidden_size)
        self._intermediate_stride = padded(config.intermediate_size)
        plan["hidden_size"], plan["hidden_stride"] = config.hidden_size, self._hidden_stride
        plan["activation"] = ACTIVATION_CODES[config.gelu]
        plan["context_stride"] = self._context_stride
        plan["num_attention_heads"], plan["head_dim"] = config.num_attention_heads, self._head_dim
        plan["num_hidden_layers"] = config.num_hidden_layers
        plan["layer_norm_eps"] = config.layer_norm_eps
        plan["softmax_scale"] = math.log2(math.e) / math.sqrt(config.head_dim)
        plan["word_weight"] = self._address(tensors["embeddings.word_embeddings.weight"])
        plan["word_scale"] = self._address(tensors["embeddings.word_embeddings.scale"])
        for name in ("position_embeddings", "token_type_embeddings"):
            plan[name] = self._address(tensors[f"embeddings.{name}.weight"].astype(np.float32))
        plan["embeddings_norm"] = self._norm(tensors, "embeddings.LayerNorm")
        layers = np.zeros(config.num_hidden_layers, LAYER)
        for i, layer in enumerate(layers):
            prefix = f"encoder.layer.{i}"
            layer["query_key_value"] = self._linear(tensors, f"{prefix}.attention.self.query_key_value")
            layer["attention_output"] = self._linear(tensors, f"{prefix}.attention.output.dense")
            layer["attention_norm"] = self._norm(tensors, f"{prefix}.attention.output.LayerNorm")
            layer["intermediate"] = self._linear(tensors, f"{prefix}.intermediate.dense")
            layer["intermediate_factor"] = self._address(tensors[f"{prefix}.intermediate.factor"])
            layer["output"] = self._linear(tensors, f"{prefix}.output.dense")
            layer["output_norm"] = self._norm(tensors, f"{prefix}.output.LayerNorm")
        plan["layers"] = self._address(layers)

    def _reserve_workspace(self, family: Family) -> None:
        config, plan, rows = self.config, self._plan[0], self.token_budget + SLACK_ROWS
        width = config.num_attention_heads * self._head_dim
        inputs = max(self._context_stride, self._hidden_stride)
        plan["rows"] = rows
        self._hidden = aligned_empty(rows * self._hidden_stride, np.float32).reshape(rows, self._hidden_stride)
        plan["hidden"] = self._address(self._hidden)
        plan["narrow"] = self._reserve(rows * inputs, np.float32)
        plan["heads"] = self._reserve(rows * 3 * width, np.uint8)
        plan["head_scale"] = self._reserve(rows * 3 * config.num_attention_heads, np.float32)
        plan["key_offset"] = self._reserve(rows * config.num_attention_heads, np.float32)
        plan["quantized"] = self._reserve(rows * inputs, np.uint8)
        plan["row_scale"] = self._reserve(rows * self._most_groups, np.float32)
        plan["row_zero"] = self._reserve(rows * self._most_groups, np.float32)
        plan["inner"] = self._reserve(rows * self._intermediate_stride, np.uint8)
        plan["inner_scale"] = self._reserve(rows * self._most_groups, np.float32)
        plan["inner_zero"] = self._reserve(rows * self._most_groups, np.float32)
        scratch = scratch_bytes(family, self._head_dim, config.max_position_embeddings)
        plan["scratch_bytes"] = scratch
        plan["scratch"] = self._reserve(scratch * self._team.size, np.uint8)
        plan["threads"] = self._team.size
        stages = 1 + len(STAGES) * self.config.num_hidden_layers
        self._stages = aligned_empty(stages * STAGE_BYTES, np.uint8)
        plan["stages"] = self._address(self._stages)
        plan["yield_processor"] = _yield_address()

    def _reserve(self, count: int, dtype: type) -> int:
        return self._address(aligned_empty(count, dtype))

    def _address(self, array: np.ndarray) -> int:
        """Return an array's address, and keep the array for as long as the plan lives."""
        assert array.flags.c_contiguous
        self._keep.append(array)
        return array.ctypes.data

    def _norm(self, tensors: Mapping[str, np.ndarray], name: str) -> int:
        record = np.zeros(1, NORM)
        for part in ("weight", "bias", "smoothing"):
            record[part] = self._address(tensors[f"{name}.{part}"])
        return self._address(record)

    def _linear(self, tensors: Mapping[str, np.ndarray], name: str) -> int:
        record = np.zeros(1, LINEAR)
        outer, steps, columns, depth = tensors[f"{name}.weight"].shape
        record["N"], record["K"] = outer * columns, steps * depth
        groups = len(tensors[f"{name}.scale"])
        record["group"], record["groups"] = group_of_count(steps * depth, groups), groups
        self._most_groups = max(self._most_groups, groups)
        for part in ("weight", "scale", "bias"):
            record[part] = self._address(tensors[f"{name}.{part}"])
        record["column_sums"] = self._address(tensors[f"{name}.column_sums"].astype(np.float32))
        return self._address(record)
