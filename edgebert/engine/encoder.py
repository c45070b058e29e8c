"""An encoder ready to run: the weights' addresses, a workspace for one batch, a team of threads."""

from __future__ import annotations

import ctypes
import functools
import math
import sys
from collections.abc import Mapping

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.config import BertConfig
from edgebert.engine.library import KernelLibrary
from edgebert.engine.team import ThreadTeam
from edgebert.kernels.plan import (
    ACTIVATION_CODES,
    LAYER,
    LINEAR,
    NORM,
    PLAN,
    STAGE_BYTES,
    STAGES_PER_LAYER,
    padded,
)

__all__ = ["Encoder", "aligned_empty"]

_CACHE_LINE = 64
_SLACK_ROWS = 16
"""Attention reads keys in blocks of 16 rows: the last block may reach beyond the last token."""


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
        self._reserve_workspace()

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

    def _describe_model(self, tensors: Mapping[str, np.ndarray]) -> None:
        config, plan = self.config, self._plan[0]
        self._head_dim = padded(config.head_dim)
        self._hidden_stride = padded(config.hidden_size)
        self._intermediate_stride = padded(config.intermediate_size)
        plan["hidden_size"], plan["hidden_stride"] = config.hidden_size, self._hidden_stride
        plan["intermediate_stride"] = self._intermediate_stride
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
            layer["query_key_value"] = self._linear(tensors, f"{prefix}.attention.self.query_key_value", "none")
            layer["attention_output"] = self._linear(tensors, f"{prefix}.attention.output.dense", "none")
            layer["attention_norm"] = self._norm(tensors, f"{prefix}.attention.output.LayerNorm")
            layer["intermediate"] = self._linear(tensors, f"{prefix}.intermediate.dense", config.gelu)
            layer["output"] = self._linear(tensors, f"{prefix}.output.dense", "none")
            layer["output_norm"] = self._norm(tensors, f"{prefix}.output.LayerNorm")
        plan["layers"] = self._address(layers)

    def _reserve_workspace(self) -> None:
        plan, rows = self._plan[0], self.token_budget + _SLACK_ROWS
        width = self.config.num_attention_heads * self._head_dim
        longest = padded(self.config.max_position_embeddings)
        self._hidden = aligned_empty(rows * self._hidden_stride, np.float32).reshape(rows, self._hidden_stride)
        plan["hidden"] = self._address(self._hidden)
        plan["wide"] = self._reserve(rows * max(3 * width, self._intermediate_stride), np.float32)
        plan["narrow"] = self._reserve(rows * max(width, self._hidden_stride), np.float32)
        plan["quantized"] = self._reserve(rows * max(width, self._hidden_stride, self._intermediate_stride), np.uint8)
        plan["row_scale"] = self._reserve(rows, np.float32)
        plan["row_zero"] = self._reserve(rows, np.int32)
        # Attention: the transposed keys, up to 16 rows of scores, and a vector for each of those rows.
        scratch = 4 * (self._head_dim * longest + 16 * longest + 16 * 16)
        plan["scratch_bytes"] = scratch
        plan["scratch"] = self._reserve(scratch * self._team.size, np.uint8)
        plan["threads"] = self._team.size
        stages = 1 + STAGES_PER_LAYER * self.config.num_hidden_layers
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

    def _linear(self, tensors: Mapping[str, np.ndarray], name: str, activation: str) -> int:
        record = np.zeros(1, LINEAR)
        outer, steps, columns, depth = tensors[f"{name}.weight"].shape
        record["N"], record["K"] = outer * columns, steps * depth
        record["activation"] = ACTIVATION_CODES[activation]
        for part in ("weight", "scale", "column_sums", "bias"):
            record[part] = self._address(tensors[f"{name}.{part}"])
        return self._address(record)
