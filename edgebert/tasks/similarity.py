"""How close texts are to each other: the cosines of their vectors."""

from __future__ import annotations

import numpy as np

from edgebert.exact import multiply

__all__ = ["cosines"]


def cosines(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the cosines of vectors of length one, float32 (n, H), to others, (m, H): float32 (n, m).

    The same bits on every computer, and whatever other vectors are compared with them.
    """
    return multiply(vectors, others.T).clip(-1, 1)
