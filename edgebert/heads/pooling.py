"""From the hidden states of a text's tokens to one vector."""

from __future__ import annotations

import numpy as np

__all__ = ["POOLINGS", "pool", "unit"]

POOLINGS = ("mean", "cls", "max")


def pool(hidden: np.ndarray, pooling: str) -> np.ndarray:
    """Pool one text.

    Parameters
    ----------
    hidden : ndarray [shape=(T, H), dtype=float32]
        T at least 1.
    pooling : str
        ``"mean"`` of the tokens (arXiv 1908.10084, section 3), the first one's (``"cls"``), or their ``"max"``.

    Returns
    -------
    ndarray [shape=(H,), dtype=float32]
    """
    if pooling == "cls":
        return hidden[0]
    if pooling == "max":
        return hidden.max(axis=0)
    return hidden.mean(axis=0)


def unit(vector: np.ndarray) -> np.ndarray:
    """Bring a vector to length one; zero stays zero."""
    length = np.sqrt(np.square(vector, dtype=np.float64).sum())
    return (vector / max(length, 1e-12)).astype(np.float32)
