"""Error-compensating rounding of a weight: GPTQ (arXiv 2210.17323, section 3), under the rule of fours."""

from __future__ import annotations

import numpy as np

from edgebert.quantize.law import LEVELS, SUM_LIMIT, channel_scale, fours

__all__ = ["round_weight"]

_BLOCK = 128
_DAMPING = 0.01
_FIRST_LEVELS, _LEVELS_STEP = SUM_LIMIT // 4 - 1, 4
"""Levels tried for a channel's largest weight: up to the first, no weights can break the rule."""


def round_weight(weight: np.ndarray, inputs: np.ndarray, group: int) -> tuple[np.ndarray, np.ndarray]:
    """Quantize the weight of a linear layer so that its outputs for some inputs change least.

    Fours of columns are rounded one after the other, those with the largest inputs first, and so the columns of a four;
    the error of each column is made up for, as far as that is possible, by those that are still to come.

    Parameters
    ----------
    weight : ndarray [shape=(N, K), dtype=float32]
    inputs : ndarray [shape=(tokens, K), dtype=float32]
        What the layer reads when the calibration text passes through the model.
    group : int
        Columns that share a scale.

    Returns
    -------
    q : ndarray [shape=(N, K), dtype=int8]
        In -127..127, each four within its limit.
    scale : ndarray [shape=(G, N), dtype=float32]
    """
    hessian = (inputs.T @ inputs).astype(np.float64)
    energy = np.diagonal(hessian).copy()
    bounds = range(0, weight.shape[1], group)
    scale = np.stack([_choose_scale(weight[:, k : k + group], energy[k : k + group]) for k in bounds])
    order = fours(weight.shape[1])
    order = order[np.argsort(-energy[order].sum(axis=1), kind="stable")]
    order = np.take_along_axis(order, np.argsort(-energy[order], axis=1, kind="stable"), axis=1).reshape(-1)
    hessian = hessian[np.ix_(order, order)]
    # Inputs that the text never uses, and more columns than tokens, would leave it singular.
    hessian[np.diag_indices_from(hessian)] += _DAMPING * max(float(energy.mean()), 1e-12)
    upper = np.linalg.cholesky(np.linalg.inv(hessian)).T
    rest = weight.T[order].astype(np.float64)  # (K, N): a column of the weight lies in one piece
    scales = scale[order // group].astype(np.float64)
    q = np.empty(rest.shape)
    for begin in range(0, len(rest), _BLOCK):
        end = min(begin + _BLOCK, len(rest))
        errors = np.empty((end - begin, len(weight)))
        for k in range(begin, end):
            first = k - k % 4
            q[k] = _round_next(q[first:k], rest[k : first + 4] / scales[k])
            errors[k - begin] = (rest[k] - q[k] * scales[k]) / upper[k, k]
            rest[k + 1 : end] -= upper[k, k + 1 : end, None] * errors[k - begin]
        rest[end:] -= upper[begin:end, end:].T @ errors
    result = np.empty(weight.shape, np.int8)
    result[:, order] = q.T
    return result, scale


def _round_next(before: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Round the next column of a four, leaving the others their part of what the rule allows.

    Parameters
    ----------
    before : ndarray [shape=(0 to 3, N), dtype=float64]
        What the columns before it have become.
    wanted : ndarray [shape=(4 to 1, N), dtype=float64]
        What it and those after it would be without the rule.

    Returns
    -------
    ndarray [shape=(N,), dtype=float64]
    """
    above = SUM_LIMIT - np.maximum(before, 0).sum(axis=0)
    below = SUM_LIMIT + np.minimum(before, 0).sum(axis=0)
    value = _shorten(np.maximum(wanted, 0), above, 0)[0] - _shorten(np.maximum(-wanted, 0), below, 0)[0]
    return np.clip(np.rint(value), -np.minimum(below, LEVELS), np.minimum(above, LEVELS))


def _shorten(values: np.ndarray, limit: np.ndarray | int, axis: int) -> np.ndarray:
    """Take about as much off the values above zero, each the same, as their sum along `axis` exceeds a limit.

    Values below that amount become zero, and leave the sum above the limit: enough to compare scales by, and to find
    a start for what rounding clips.
    """
    excess = np.maximum(values.sum(axis=axis, keepdims=True) - limit, 0)
    return np.maximum(values - excess / np.maximum(np.count_nonzero(values, axis=axis, keepdims=True), 1), 0)


def _choose_scale(weight: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Choose the scale of each channel: fine levels, but few weights that must be shortened.

    Parameters
    ----------
    weight : ndarray [shape=(N, K), dtype=float32]
    energy : ndarray [shape=(K,), dtype=float64]
        Sum of the squares of each input.

    Returns
    -------
    ndarray [shape=(N,), dtype=float32]
    """
    best = np.full(len(weight), np.inf)
    chosen = np.ones(len(weight), np.float32)
    columns = fours(weight.shape[1])
    importance = energy[columns].reshape(-1).astype(np.float32)
    weights = weight[:, columns]
    for levels in range(_FIRST_LEVELS, LEVELS + 1, _LEVELS_STEP):
        scale = channel_scale(weight, levels)
        met = weights / scale[:, None, None]
        kept = _shorten(np.maximum(met, 0), SUM_LIMIT, 2) - _shorten(np.maximum(-met, 0), SUM_LIMIT, 2)
        error = np.square((np.rint(kept) - met) * scale[:, None, None]).reshape(weight.shape) @ importance
        better = error < best
        best, chosen = np.where(better, error, best), np.where(better, scale, chosen)
    return chosen
