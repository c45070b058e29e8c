"""An encoder ready to run: the weights' addresses, a workspace for one batch, a team of threads."""

from __future__ import annotations

import ctypes
import functools
import sys
import time
from collections.abc import Mapping

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.config import BertConfig
from edgebert.engine.library import KernelLibrary
from edgebert.engine.memory import SLACK_ROWS, aligned_empty, keeper, row_bytes
from edgebert.engine.model_plan import ModelPlan
from edgebert.engine.team import ThreadTeam
from edgebert.families import encoder_of
from edgebert.kernels.plan import STAGE_BYTES, TIME_OFFSET

__all__ = ["CompiledEncoder"]

_NO_EPOCH = -1


def _yield_address() -> int:
    """Return the address of the C function that offers the processor to other threads."""
    if sys.platform == "win32":
        function = ctypes.windll.kernel32.SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return ctypes.cast(function, ctypes.c_void_p).value or 0


class CompiledEncoder:
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
        self._keep: list[object] = [tensors, library]
        self._address = keeper(self._keep)
        model = ModelPlan(encoder_of(config), tensors, self._address)
        self._plan, self._stage_names = model.record, model.stage_names
        self._plan_address = self._plan.ctypes.data
        self._keep.append(self._plan)
        self._reserve_workspace(model)

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
        return self._team.turn.take(lambda: self._encode(batch, tokens))

    def _encode(self, batch: PackedBatch, tokens: int) -> np.ndarray:
        plan, team = self._plan[0], self._team
        if team.unfinished:
            # The first thread's part, in no epoch: it ends the one that is on, and waits until the others have left.
            self._library.encode(self._plan_address, _NO_EPOCH, 0)
            team.unfinished = False
        plan["tokens"], plan["sequences"] = tokens, len(batch.cu_seqlens) - 1
        plan["longest"] = np.diff(batch.cu_seqlens).max(initial=0)
        for name in ("input_ids", "token_type_ids", "position_ids", "cu_seqlens"):
            plan[name] = getattr(batch, name).ctypes.data
        plan["key_counts"] = 0 if batch.key_counts is None else batch.key_counts.ctypes.data
        plan["epoch"], plan["active"] = team.addresses
        self._stages[:] = 0
        job = functools.partial(self._library.encode, self._plan_address, int(team.epoch[0]))
        team.run(job, needs=(self._keep, team.epoch, batch))
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

    @property
    def memory(self) -> tuple[int, int]:
        """What a forward pass takes for each token, the caller's hidden states included, and besides [bytes]."""
        plan = self._plan[0]
        fixed = int(plan["scratch_bytes"]) * self._team.size + self._stages.nbytes
        return self._row_bytes + 4 * self.config.hidden_size, fixed + SLACK_ROWS * self._row_bytes

    def _reserve_workspace(self, model: ModelPlan) -> None:
        config, plan, rows = self.config, self._plan[0], self.token_budget + SLACK_ROWS
        plan["rows"] = rows
        sizes = row_bytes(model)
        self._row_bytes = sum(sizes.values())
        for name, size in sizes.items():
            array = aligned_empty(rows * size, np.uint8)
            plan[name] = self._address(array)
            if name == "hidden":
                self._hidden = array.view(np.float32).reshape(rows, -1)
        scratch = self._library.scratch_bytes(int(plan["head_dim"]), config.max_position_embeddings)
        plan["scratch_bytes"] = scratch
        plan["scratch"] = self._address(aligned_empty(scratch * self._team.size, np.uint8))
        plan["threads"] = self._team.size
        self._stages = aligned_empty(len(model.stage_names) * (1 + self._team.size) * STAGE_BYTES, np.uint8)
        plan["stages"] = self._address(self._stages)
        plan["yield_processor"] = _yield_address()
