"""Error-compensating rounding of a weight: GPTQ (arXiv 2210.17323, section 3), within what 16 bits hold."""

from __future__ import annotations

import dataclasses

import numpy as np

from edgebert.exact import inverse_factor, matmul, mean, products, total
from edgebert.kernels.constants import SATURATION_LIMIT, WEIGHT_LEVELS
from edgebert.quantize.law import channel_scale, meeting

__all__ = ["Inputs", "inputs_of", "round_weight"]

_BLOCK = 128  # holds whole groups of columns that meet
_DAMPING = 0.01
_LEVELS_STEP = 4
_SCALE_ROWS = 128  # of one group, which stay in the cache


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What a linear layer reads, as far as the rounding of its weight has to know it.

    Attributes
    ----------
    sums : ndarray [shape=(K, K), dtype=float64]
        Of the products of each two inputs, over the tokens: GPTQ's Hessian.
    """

    sums: np.ndarray
    _factors: dict[int, tuple[np.ndarray, np.ndarray]] = dataclasses.field(default_factory=dict)

    @property
    def energy(self) -> np.ndarray:
        """Sum of the squares of each input, float64 (K,)."""
        return np.diagonal(self.sums)

    def factor(self, int16_steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the order that inputs are rounded in, int64 (K,), and GPTQ's Cholesky factor, float64 (K, K), in it.

        Those that meet stand together, the largest first. It is computed once, for all outputs.
        """
        if int16_steps not in self._factors:
            order = meeting(len(self.sums), int16_steps)
            order = order[np.argsort(-total(self.energy[order]), kind="stable")].reshape(-1)
            sums = self.sums[np.ix_(order, order)]
            # Inputs that the text never uses, and more columns than tokens, would leave it singular.
            sums[np.diag_indices_from(sums)] += _DAMPING * max(float(mean(np.diagonal(sums))), 1e-12)
            self._factors[int16_steps] = order, inverse_factor(sums)
        return self._factors[int16_steps]


def inputs_of(x: np.ndarray) -> Inputs:
    """Describe what a layer reads when the calibration text passes through the model: float32 (tokens, K)."""
    return Inputs(products(x))


def round_weight(weight: np.ndarray, inputs: Inputs, group: int, int16_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Quantize the weight of a linear layer so that its outputs for some inputs change least.

    Columns that meet (`edgebert.quantize.law`) are rounded together, one after the other, those with the largest inputs
    first; the error of each column is made up for, as far as that is possible, by those that are still to come.

    Parameters
    ----------
    weight : ndarray [shape=(N, K), dtype=float32]
    inputs : Inputs
    group : int
        Columns that share a scale.
    int16_steps : int
        Steps of K that are added in 16 bits.

    Returns
    -------
    q : ndarray [shape=(N, K), dtype=int8]
        In -127..127, those that meet within their limit.
    scale : ndarray [shape=(G, N), dtype=float32]
    """
    bounds, energy = range(0, weight.shape[1], group), inputs.energy
    scale = np.stack([_choose_scale(weight[:, k : k + group], energy[k : k + group], int16_steps) for k in bounds])
    order, upper = inputs.factor(int16_steps)
    met = 2 * int16_steps
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
        if end < len(rest):
            rest[end:] -= matmul(upper[begin:end, end:].T, errors)
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
    above = SATURATION_LIMIT - np.maximum(before, 0).sum(axis=0)
    below = SATURATION_LIMIT + np.minimum(before, 0).sum(axis=0)
    value = _shorten(np.maximum(wanted, 0), above)[0] - _shorten(np.maximum(-wanted, 0), below)[0]
    return np.clip(np.rint(value), -np.minimum(below, WEIGHT_LEVELS), np.minimum(above, WEIGHT_LEVELS))


def _shorten(values: np.ndarray, limit: np.ndarray | int) -> np.ndarray:
    """Take off those values that are above zero, each the same, what their sum along the first axis exceeds a limit by.

    Small ones reach zero and give no more, so that the sum may stay above the limit: whoever rounds sees to it.
    """
    excess = total(values, 0) - limit
    above = excess > 0  # few
    if not above.any():
        return values
    long = values[:, above]
    result = values.copy()
    result[:, above] = np.maximum(long - excess[above] / np.count_nonzero(long, axis=0), 0)
    return result


def _choose_scale(weight: np.ndarray, energy: np.ndarray, int16_steps: int) -> np.ndarray:
    """Choose the scale of each channel: fine levels, but few weights that must be shortened.

    Parameters
    ----------
    weight : ndarray [shape=(N, K), dtype=float32]
    energy : ndarray [shape=(K,), dtype=float64]
        Sum of the squares of each input.
    int16_steps : int

    Returns
    -------
    ndarray [shape=(N,), dtype=float32]
    """
    columns = np.ascontiguousarray(meeting(weight.shape[1], int16_steps).T)  # those that meet along the first axis
    importance = energy[columns].astype(np.float32)[:, None, :]
    rows = range(0, len(weight), _SCALE_ROWS)
    return np.concatenate([_scales(weight[i : i + _SCALE_ROWS], columns, importance, int16_steps) for i in rows])


def _scales(weight: np.ndarray, columns: np.ndarray, importance: np.ndarray, int16_steps: int) -> np.ndarray:
    best = np.full(len(weight), np.inf)
    chosen = np.ones(len(weight), np.float32)
    weights = np.ascontiguousarray(weight[:, columns].transpose(1, 0, 2))
    # With the first number of levels no weights can exceed the limit.
    for levels in range(SATURATION_LIMIT // (2 * int16_steps) - 1, WEIGHT_LEVELS + 1, _LEVELS_STEP):
        scale = channel_scale(weight, levels)
        met = weights / scale[:, None]
        kept = _shorten(np.maximum(met, 0), SATURATION_LIMIT) - _shorten(np.maximum(-met, 0), SATURATION_LIMIT)
        np.rint(kept, out=kept)
        kept -= met
        kept *= scale[:, None]
        kept *= kept
        kept *= importance
        error = total(total(kept, 0))
        better = error < best
        best, chosen = np.where(better, error, best), np.where(better, scale, chosen)
    return chosen
