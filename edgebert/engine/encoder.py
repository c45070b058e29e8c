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
from edgebert.engine.linear import linear_record
from edgebert.engine.memory import SLACK_ROWS, aligned_empty, scratch_bytes
from edgebert.engine.team import ThreadTeam
from edgebert.kernels.plan import (
    ACTIVATION_CODES,
    EMBED_STAGES,
    LANES,
    LAYER,
    NORM,
    PLAN,
    PROJECTED_EMBED_STAGES,
    STAGE_BYTES,
    STAGES,
    TIME_OFFSET,
    padded,
    whole_vectors,
)
from edgebert.kernels.simd.families import FAMILIES, Family
from edgebert.positions import bias_of_distances

__all__ = ["Encoder"]


def _yield_address() -> int:
    """Return the address of the C function that offers the processor to other threads."""
    if sys.platform == "win32":
        function = ctypes.windll.kernel32.SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return ctypes.cast(function, ctypes.c_void_p).value or 0


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
        records = (
            self._stages.reshape(len(self._stage_names), -1)[:, TIME_OFFSET : TIME_OFFSET + 16].copy().view(np.int64)
        )
        ends = records[:, 0] + 1e-9 * records[:, 1]
        names = self._stage_names
        return list(zip(names, np.diff(ends, prepend=begin).tolist(), strict=True))

    def _describe_model(self, tensors: Mapping[str, np.ndarray]) -> None:
        config, plan = self.config, self._plan[0]
        self._most_groups = 1
        self._head_dim = whole_vectors(config.head_dim)
        self._context_stride = padded(config.num_attention_heads * self._head_dim)
        self._hidden_stride = padded(config.hidden_size)
        self._embedding_stride = padded(config.embedding_width)
        self._intermediate_stride = padded(config.intermediate_size)
        plan["hidden_size"], plan["hidden_stride"] = config.hidden_size, self._hidden_stride
        plan["activation"] = ACTIVATION_CODES[config.gelu]
        plan["context_stride"] = self._context_stride
        plan["num_attention_heads"], plan["head_dim"] = config.num_attention_heads, self._head_dim
        plan["num_hidden_layers"] = config.num_hidden_layers
        plan["layer_norm_eps"] = config.layer_norm_eps
        plan["softmax_scale"] = math.log2(math.e) / math.sqrt(config.head_dim)
        plan["embedding_size"], plan["embedding_stride"] = config.embedding_width, self._embedding_stride
        scale = tensors["embeddings.word_embeddings.scale"]
        plan["word_weight"] = self._address(tensors["embeddings.word_embeddings.weight"])
        plan["word_scale"], plan["word_groups"] = self._address(scale), scale.shape[1] if scale.ndim == 2 else 0
        for name in ("position_embeddings", "token_type_embeddings"):
            plan[name] = self._address(tensors[f"embeddings.{name}.weight"].astype(np.float32))
        plan["embeddings_norm"] = self._norm(tensors, "embeddings.LayerNorm")
        before: tuple[str, ...] = EMBED_STAGES
        if config.projects_embeddings:
            before = PROJECTED_EMBED_STAGES
            plan["embeddings_project"] = self._linear(tensors, "embeddings_project")
            plan["projected_norm"] = self._norm(tensors, "embeddings_project", ("smoothing",))
        self._stage_names = [*before, *STAGES * config.num_hidden_layers]
        self._describe_distances(tensors)
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
        inputs = max(self._context_stride, self._hidden_stride, self._embedding_stride)
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
        self._stages = aligned_empty(len(self._stage_names) * (1 + self._team.size) * STAGE_BYTES, np.uint8)
        plan["stages"] = self._address(self._stages)
        plan["yield_processor"] = _yield_address()

    def _reserve(self, count: int, dtype: type) -> int:
        return self._address(aligned_empty(count, dtype))

    def _address(self, array: np.ndarray) -> int:
        """Return an array's address, and keep the array for as long as the plan lives."""
        assert array.flags.c_contiguous
        self._keep.append(array)
        return array.ctypes.data

    def _describe_distances(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Lay out what the distance of two tokens adds to the binary logarithm of their weight, if anything."""
        if not self.config.relative_attention_num_buckets:
            return
        weight, longest = tensors["encoder.relative_attention_bias.weight"], self.config.max_position_embeddings
        bias = bias_of_distances(weight * np.float32(math.log2(math.e)), longest)
        plan = self._plan[0]
        plan["position_bias"] = self._address(np.pad(bias, [(0, 0), (0, LANES)]))
        plan["position_bias_row"], plan["position_bias_centre"] = bias.shape[1] + LANES, longest - 1

    def _norm(
        self,
        tensors: Mapping[str, np.ndarray],
        name: str,
        parts: tuple[str, ...] = ("weight", "bias", "smoothing"),
    ) -> int:
        record = np.zeros(1, NORM)
        for part in parts:
            record[part] = self._address(tensors[f"{name}.{part}"])
        return self._address(record)

    def _linear(self, tensors: Mapping[str, np.ndarray], name: str) -> int:
        record = linear_record(tensors, name, self._keep)
        self._most_groups = max(self._most_groups, int(record["groups"][0]))
        return self._address(record)
