"""Error-compensating rounding of a weight: GPTQ (arXiv 2210.17323, section 3), within what 16 bits hold."""

from __future__ import annotations

import numpy as np

from edgebert.quantize.law import LEVELS, MEETING_LIMIT, channel_scale, meeting

__all__ = ["round_weight"]

_BLOCK = 128  # holds whole groups of columns that meet
_DAMPING = 0.01
_LEVELS_STEP = 4


def round_weight(weight: np.ndarray, inputs: np.ndarray, group: int, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Quantize the weight of a linear layer so that its outputs for some inputs change least.

    Columns that meet (`edgebert.quantize.law`) are rounded together, one after the other, those with the largest inputs
    first; the error of each column is made up for, as far as that is possible, by those that are still to come.

    Parameters
    ----------
    weight : ndarray [shape=(N, K), dtype=float32]
    inputs : ndarray [shape=(tokens, K), dtype=float32]
        What the layer reads when the calibration text passes through the model.
    group : int
        Columns that share a scale.
    depth : int
        Steps of K that are added in 16 bits.

    Returns
    -------
    q : ndarray [shape=(N, K), dtype=int8]
        In -127..127, those that meet within their limit.
    scale : ndarray [shape=(G, N), dtype=float32]
    """
    hessian = (inputs.T @ inputs).astype(np.float64)
    energy = np.diagonal(hessian).copy()
    bounds = range(0, weight.shape[1], group)
    scale = np.stack([_choose_scale(weight[:, k : k + group], energy[k : k + group], depth) for k in bounds])
    order = meeting(weight.shape[1], depth)
    met = order.shape[1]
    order = order[np.argsort(-energy[order].sum(axis=1), kind="stable")].reshape(-1)
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
            first = k - k % met
            q[k] = _round_next(q[first:k], rest[k : first + met] / scales[k])
            errors[k - begin] = (rest[k] - q[k] * scales[k]) / upper[k, k]
            rest[k + 1 : end] -= upper[k, k + 1 : end, None] * errors[k - begin]
        rest[end:] -= upper[begin:end, end:].T @ errors
    result = np.empty(weight.shape, np.int8)
    result[:, order] = q.T
    return result, scale


def _round_next(before: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Round the next of the columns that meet, leaving the others their part of the limit.

    Parameters
    ----------
    before : ndarray [shape=(columns before it, N), dtype=float64]
        What these have become.
    wanted : ndarray [shape=(it and the columns after it, N), dtype=float64]
        What they would be without a limit.

    Returns
    -------
    ndarray [shape=(N,), dtype=float64]
    """
    above = MEETING_LIMIT - np.maximum(before, 0).sum(axis=0)
    below = MEETING_LIMIT + np.minimum(before, 0).sum(axis=0)
    value = _shorten(np.maximum(wanted, 0), above, 0)[0] - _shorten(np.maximum(-wanted, 0), below, 0)[0]
    return np.clip(np.rint(value), -np.minimum(below, LEVELS), np.minimum(above, LEVELS))


def _shorten(values: np.ndarray, limit: np.ndarray | int, axis: int) -> np.ndarray:
    """Take off those values that are above zero, each the same, what their sum along `axis` exceeds a limit by.

    Small ones reach zero and give no more, so that the sum may stay above the limit: whoever rounds sees to it.
    """
    excess = np.maximum(values.sum(axis=axis, keepdims=True) - limit, 0)
    return np.maximum(values - excess / np.maximum(np.count_nonzero(values, axis=axis, keepdims=True), 1), 0)


def _choose_scale(weight: np.ndarray, energy: np.ndarray, depth: int) -> np.ndarray:
    """Choose the scale of each channel: fine levels, but few weights that must be shortened.

    Parameters
    ----------
    weight : ndarray [shape=(N, K), dtype=float32]
    energy : ndarray [shape=(K,), dtype=float64]
        Sum of the squares of each input.
    depth : int

    Returns
    -------
    ndarray [shape=(N,), dtype=float32]
    """
    best = np.full(len(weight), np.inf)
    chosen = np.ones(len(weight), np.float32)
    columns = meeting(weight.shape[1], depth)
    importance = energy[columns].reshape(-1).astype(np.float32)
    weights = weight[:, columns]
    # With the first number of levels no weights can exceed the limit.
    for levels in range(MEETING_LIMIT // (2 * depth) - 1, LEVELS + 1, _LEVELS_STEP):
        scale = channel_scale(weight, levels)
        met = weights / scale[:, None, None]
        kept = _shorten(np.maximum(met, 0), MEETING_LIMIT, 2) - _shorten(np.maximum(-met, 0), MEETING_LIMIT, 2)
        error = np.square((np.rint(kept) - met) * scale[:, None, None]).reshape(weight.shape) @ importance
        better = error < best
        best, chosen = np.where(better, error, best), np.where(better, scale, chosen)
    return chosen
