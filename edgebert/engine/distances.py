"""What stands for distances, as the kernels read it (`edgebert.kernels.distances`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from edgebert.architecture import Attention, Disentangled
from edgebert.kernels.constants import QUERY_ZERO
from edgebert.kernels.plan import (
    DISTANCES,
    K_MULTIPLE,
    LANES,
    PANEL_COLUMNS,
    PANEL_K,
    head_width,
    padded,
    whole_vectors,
)
from edgebert.positions import rows_of_distances

__all__ = ["distances_record"]


def distances_record(
    positions: Disentangled,
    attention: Attention,
    tensors: Mapping[str, np.ndarray],
    longest: int,
    place: Callable[[np.ndarray], int],
) -> np.ndarray:
    """Return a DISTANCES, a row for each distance in texts of up to `longest` tokens, and place what it points to.

    Returns
    -------
    ndarray [shape=(1,), dtype=DISTANCES]
    """
    heads, width = attention.heads, head_width(attention)
    centre = longest - 1
    row = whole_vectors(2 * longest + 2 * LANES)
    rows = rows_of_distances(positions, np.arange(row) - centre)
    query, key = (
        tensors[f"{name}.weight"].reshape(-1, heads, width)[rows].transpose(1, 0, 2)
        for name in (positions.queries, positions.keys)
    )
    query_scale, key_scale = (tensors[f"{name}.scale"][:, rows] for name in (positions.queries, positions.keys))
    zeros = -QUERY_ZERO * key.sum(axis=2, dtype=np.float32) * key_scale
    binary = query_scale * np.float32(math.log2(math.e) * attention.score_scale)
    deep = np.pad(key, [(0, 0), (0, 0), (0, padded(width) - width)])
    panels = deep.reshape(heads, row // PANEL_COLUMNS, PANEL_COLUMNS, -1, PANEL_K).transpose(0, 1, 3, 2, 4)
    unsigned = (query + np.int8(QUERY_ZERO)).view(np.uint8).reshape(-1)
    record = np.zeros(1, DISTANCES)
    record["row"], record["centre"] = row, centre
    record["keys"] = place(np.ascontiguousarray(panels))
    record["queries"] = place(np.pad(unsigned, (0, K_MULTIPLE)))
    record["scales"] = place(np.ascontiguousarray(np.stack([key_scale, zeros, binary], axis=1)))
    return record
