"""Error-compensating rounding of a weight: GPTQ (arXiv 2210.17323, section 3)."""

from __future__ import annotations

import numpy as np

from edgebert.quantize.law import WEIGHT_LEVELS, channel_scale

__all__ = ["round_weight"]

_BLOCK = 128
_DAMPING = 0.01


def round_weight(weight: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantize the weight of a linear layer so that its outputs for some inputs change least.

    Columns are rounded one after the other, those with the largest inputs first; the error of each is made up for,
    as far as that is possible, by the columns that are still to come.

    Parameters
    ----------
    weight : ndarray [shape=(N, K), dtype=float32]
    inputs : ndarray [shape=(tokens, K), dtype=float32]
        What the layer reads when the calibration text passes through the model.

    Returns
    -------
    q : ndarray [shape=(N, K), dtype=int8], in -63..63
    scale : ndarray [shape=(N,), dtype=float32]
    """
    scale = channel_scale(weight, WEIGHT_LEVELS)
    hessian = inputs.T.astype(np.float64) @ inputs
    order = np.argsort(-np.diagonal(hessian), kind="stable")
    hessian = hessian[np.ix_(order, order)]
    # Inputs that the text never uses, and more columns than tokens, would leave it singular.
    hessian[np.diag_indices_from(hessian)] += _DAMPING * max(float(np.diagonal(hessian).mean()), 1e-12)
    upper = np.linalg.cholesky(np.linalg.inv(hessian)).T
    rest = weight.T[order].astype(np.float64)  # (K, N): a column of the weight lies in one piece
    q = np.empty(rest.shape, np.int8)
    for begin in range(0, len(rest), _BLOCK):
        end = min(begin + _BLOCK, len(rest))
        errors = np.empty((end - begin, len(weight)))
        for k in range(begin, end):
            q[k] = np.clip(np.rint(rest[k] / scale), -WEIGHT_LEVELS, WEIGHT_LEVELS)
            errors[k - begin] = (rest[k] - q[k] * scale) / upper[k, k]
            rest[k + 1 : end] -= upper[k, k + 1 : end, None] * errors[k - begin]
        rest[end:] -= upper[begin:end, end:].T @ errors
    result = np.empty(weight.shape, np.int8)
    result[:, order] = q.T
    return result, scale
