"""Memory that kernels work in: how much of it, and where it begins."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from edgebert.engine.memory import aligned_empty, row_bytes


@pytest.mark.parametrize("count", [1, 15, 16, 1000])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_memory_begins_at_a_cache_line(count, dtype):
    for _ in range(5):
        memory = aligned_empty(count, dtype)
        assert (memory.shape, memory.dtype) == ((count,), dtype)
        assert memory.ctypes.data % 64 == 0


def test_what_a_token_takes_of_the_workspace():
    """Worked out by hand from the comments of PLAN: 3 heads of 16 on 2 keys and values, three widths, five groups."""
    plan = {"num_attention_heads": 3, "num_key_value_heads": 2, "head_dim": 16, "intermediate_stride": 448}
    for widths in ((64, 128, 192), (192, 64, 128), (128, 192, 64)):
        plan |= dict(zip(("context_stride", "hidden_stride", "embedding_stride"), widths, strict=True))
        assert row_bytes(SimpleNamespace(record=[plan], most_groups=5)) == {
            "hidden": 4 * widths[1],
            "narrow": 4 * 192,
            "heads": 112,
            "head_scale": 28,
            "key_offset": 8,
            "quantized": 192,
            "row_scale": 20,
            "row_zero": 20,
            "inner": 448,
            "inner_scale": 20,
            "inner_zero": 20,
        }
