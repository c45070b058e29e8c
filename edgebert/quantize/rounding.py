"""Error-compensating rounding of a weight: GPTQ (arXiv 2210.17323, section 3), under the rule of pairs."""

from __future__ import annotations

import numpy as np

from edgebert.quantize.law import LEVELS, PAIR_LIMIT, channel_scale

__all__ = ["round_weight"]

_BLOCK = 128
_DAMPING = 0.01
_FIRST_LEVELS, _LEVELS_STEP = PAIR_LIMIT // 2 - 1, 4
"""Levels tried for a channel's largest weight: up to the first, no pair of weights can break the rule."""


def round_weight(weight: np.ndarray, inputs: np.ndarray, group: int) -> tuple[np.ndarray, np.ndarray]:
    """Quantize the weight of a linear layer so that its outputs for some inputs change least.

    Pairs of columns are rounded one after the other, those with the largest inputs first; the error of each column is
    made up for, as far as that is possible, by those that are still to come.

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
        In -127..127, each pair within its limit.
    scale : ndarray [shape=(G, N), dtype=float32]
    """
    hessian = (inputs.T @ inputs).astype(np.float64)
    energy = np.diagonal(hessian).copy()
    bounds = range(0, weight.shape[1], group)
    scale = np.stack([_choose_scale(weight[:, k : k + group], energy[k : k + group]) for k in bounds])
    pairs = np.argsort(-energy.reshape(-1, 2).sum(axis=1), kind="stable")
    order = np.stack([2 * pairs, 2 * pairs + 1], axis=1).reshape(-1)
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
            low, high = -LEVELS, LEVELS
            if k % 2:
                low = np.maximum(low, -PAIR_LIMIT - np.minimum(q[k - 1], 0))
                high = np.minimum(high, PAIR_LIMIT - np.maximum(q[k - 1], 0))
            q[k] = np.clip(np.rint(rest[k] / scales[k]), low, high)
            errors[k - begin] = (rest[k] - q[k] * scales[k]) / upper[k, k]
            rest[k + 1 : end] -= upper[k, k + 1 : end, None] * errors[k - begin]
        rest[end:] -= upper[begin:end, end:].T @ errors
    result = np.empty(weight.shape, np.int8)
    result[:, order] = q.T
    return result, scale


def _choose_scale(weight: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Choose the scale of each channel: fine levels, but few pairs that must be shortened.

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
    importance = energy.astype(np.float32)
    for levels in range(_FIRST_LEVELS, LEVELS + 1, _LEVELS_STEP):
        scale = channel_scale(weight, levels)
        q = _within_pairs(np.rint(weight / scale[:, None]))
        error = np.square(q * scale[:, None] - weight) @ importance
        better = error < best
        best, chosen = np.where(better, error, best), np.where(better, scale, chosen)
    return chosen


def _within_pairs(q: np.ndarray) -> np.ndarray:
    """Shorten the larger weight of each pair that breaks the rule of pairs."""
    first, second = q[:, 0::2], q[:, 1::2]
    excess = np.where(first * second > 0, np.maximum(np.abs(first) + np.abs(second) - PAIR_LIMIT, 0), 0)
    larger = np.abs(first) >= np.abs(second)
    result = q.copy()
    result[:, 0::2] -= np.where(larger, excess * np.sign(first), 0)
    result[:, 1::2] -= np.where(larger, 0, excess * np.sign(second))
    return result
