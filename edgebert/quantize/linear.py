"""Quantize one linear layer for its inputs, and the small float tables beside."""

from __future__ import annotations

import dataclasses

import numpy as np

from edgebert.engine.backend import open_linear
from edgebert.errors import CheckpointError
from edgebert.exact import multiply, total
from edgebert.kernels import reference
from edgebert.kernels.plan import finer_groups, padded
from edgebert.quantize.law import exceeds_limit, pack_panels
from edgebert.quantize.rounding import Inputs, inputs_of, round_weight

__all__ = ["Report", "energies", "extended", "half", "half_or_whole", "quantize_linear"]

LARGEST_ERROR = 7e-5
"""What a linear layer may lose, as a share of its outputs' energy, in a form that is faster than others."""

_OUTPUTS, _ROWS = 1 << 13, 256
_PIECE = 512
"""Outputs that are quantized at a time."""
_SURELY = 1 + 1e-9
"""By what part of an error exceeds its limit, the whole does, however it is added."""
_HALF_LARGEST = float(np.finfo(np.float16).max)


@dataclasses.dataclass
class Report:
    """What became of each linear layer.

    Attributes
    ----------
    errors : dict of str to float
        Error of its outputs for the calibration text, as a share of their energy.
    finer : dict of str to int
        How many inputs share a scale, of the layers that needed finer groups than usual.
    int16_steps : dict of str to int
        Over how many steps of four inputs its products may be added in 16 bits (`edgebert.quantize.law`).
    """

    errors: dict[str, float] = dataclasses.field(default_factory=dict)
    finer: dict[str, int] = dataclasses.field(default_factory=dict)
    int16_steps: dict[str, int] = dataclasses.field(default_factory=dict)


def quantize_linear(
    name: str,
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    N: int,
    report: Report,
    product: np.ndarray | None = None,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Quantize a linear layer for its inputs, in the fastest form that does not lose too much.

    Parameters
    ----------
    name : str
    x : ndarray [shape=(T, K or more), dtype=float32]
    weight : ndarray [shape=(any up to N, K), dtype=float32]
    bias : ndarray [shape=(the same,), dtype=float32]
    N : int
        Outputs that it is extended to, with zeros.
    report : Report
        Gets its line.
    product : ndarray [shape=(T, N), dtype=float32], optional
        x times the weight, where it is known.

    Returns
    -------
    tensors : dict of str to ndarray
        As in `edgebert.layout`.
    y : ndarray [shape=(T, N), dtype=float32]
        What it makes of x.
    """
    K = padded(weight.shape[1])
    weight, bias, rows = extended(weight, (N, K)), extended(bias, (N,)), extended(x, (len(x), K))
    blocks = [slice(begin, begin + _OUTPUTS) for begin in range(0, N, _OUTPUTS)]
    exact = np.concatenate([multiply(rows, weight[own].T) for own in blocks], axis=1) if product is None else product
    if not all(np.isfinite(each).all() for each in (rows, weight, exact)):
        raise CheckpointError(
            f"{name} has inputs or outputs that are no finite numbers where the calibration text passes through: the"
            " weights of this layer, or of one before it, are damaged or too large"
        )
    energy = max(_sum(energies(exact)), 1e-30)
    trial = _Trial(name, rows, weight, bias, exact)
    usual, *finer = finer_groups(K)
    of_group = 0
    for group, int16_steps in [(usual, 2), (usual, 1), *((group, 1) for group in finer)]:
        if group != of_group:
            # What the layer will read: the values that the integers stand for.
            inputs = inputs_of(reference.dequantize_rows(*reference.quantize_rows(rows, group), group))
            of_group = group
        last = int16_steps == 1 and group == [usual, *finer][-1]
        parts = trial.quantize(inputs, group, int16_steps, np.inf if last else LARGEST_ERROR * energy)
        if parts is None:
            continue
        panels, scale, sums, y, lost = (
            np.concatenate(each, axis) for each, axis in zip(parts, (0, 1, 1, 1, 0), strict=True)
        )
        error = _sum(lost) / energy
        if error <= LARGEST_ERROR:
            break
    report.errors[name], report.int16_steps[name] = error, int16_steps
    if group != usual:
        report.finer[name] = group
    return _tensors(name, panels, scale, sums, bias, int16_steps), y


class _Trial:
    """A linear layer that is quantized in one form after the other.

    Outputs do not depend on each other: some at a time are quantized, until it is clear that a form loses too much.
    """

    def __init__(self, name: str, x: np.ndarray, weight: np.ndarray, bias: np.ndarray, product: np.ndarray) -> None:
        self._name, self._x, self._weight, self._bias, self._product = name, x, weight, bias, product

    def quantize(
        self, inputs: Inputs, group: int, int16_steps: int, most: float
    ) -> list[tuple[np.ndarray, ...]] | None:
        """Return panels, scales, column sums, outputs and their errors, some outputs at a time; None above an error."""
        lost, parts = 0.0, []
        for begin in range(0, len(self._weight), _PIECE):
            parts.append(self._outputs(slice(begin, begin + _PIECE), inputs, group, int16_steps))
            lost += float(parts[-1][-1].sum())
            if lost > most * _SURELY:
                return None
        return list(zip(*parts, strict=True))

    def _outputs(self, own: slice, inputs: Inputs, group: int, int16_steps: int) -> tuple[np.ndarray, ...]:
        weight, bias, K = self._weight[own], self._bias[own], self._weight.shape[1]
        q, scale = round_weight(weight, inputs, group, int16_steps)
        assert not exceeds_limit(q, int16_steps)
        # The limit on weights that meet keeps them within 16 bits.
        sums = np.stack([q[:, k : k + group].sum(axis=1, dtype=np.int16) for k in range(0, K, group)])
        panels = pack_panels(q)
        y = open_linear(_tensors(self._name, panels, scale, sums, bias, int16_steps), self._name, len(q))(self._x)
        return panels, scale, sums, y, energies(y, self._product[:, own] + bias)


def _tensors(
    name: str, panels: np.ndarray, scale: np.ndarray, sums: np.ndarray, bias: np.ndarray, int16_steps: int
) -> dict[str, np.ndarray]:
    """Return the tensors of a linear layer by their names."""
    tensors = {
        "weight": panels,
        "scale": scale,
        "column_sums": sums,
        "bias": bias,
        "depth": np.array([int16_steps], np.uint8),
    }
    return {f"{name}.{part}": array for part, array in tensors.items()}


def energies(y: np.ndarray, wanted: np.ndarray | None = None) -> np.ndarray:
    """Return the sum of the squares of each column of float32 (T, N), or of its difference to another, float64 (N,)."""
    parts = [np.zeros(y.shape[1])]
    for i in range(0, len(y), _ROWS):  # which stay in the cache
        rows = y[i : i + _ROWS] if wanted is None else y[i : i + _ROWS] - wanted[i : i + _ROWS]
        parts.append(total(np.square(rows, dtype=np.float64), 0))
    return total(np.array(parts[1:] or parts), 0)


def _sum(each: np.ndarray) -> float:
    """Add the energies of all outputs."""
    return sum(float(total(each[begin : begin + _OUTPUTS])) for begin in range(0, len(each), _OUTPUTS))


def half(name: str, array: np.ndarray) -> np.ndarray:
    """Round to float16, which small tables lose nothing by; refuse what it cannot hold.

    Raises
    ------
    CheckpointError
    """
    largest = float(np.abs(array).max())
    if largest > _HALF_LARGEST:
        raise CheckpointError(
            f"{name} has a value of {largest:g}, expected at most {_HALF_LARGEST:g}; its weights are damaged"
        )
    return array.astype(np.float16)


def half_or_whole(weight: np.ndarray) -> np.ndarray:
    """Round a layer's weight (N, K) to float16, unless an output would lose more than float16's eleven digits by it.

    A value of float16's usual range loses at most a share of 2**-11. Very small ones (below 6e-5) lose more, and very
    large ones do not fit: where that costs a row more than the same share of its length, float32 is kept.
    """
    with np.errstate(over="ignore"):
        rounded = weight.astype(np.float16)
    lost = np.square(weight - rounded.astype(np.float64)).sum(axis=1)
    return rounded if (lost <= 2.0**-22 * np.square(weight, dtype=np.float64).sum(axis=1)).all() else weight


def extended(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Extend an array with zeros to a shape."""
    widths = [(0, size - old) for size, old in zip(shape, array.shape, strict=True)]
    return np.pad(array, widths)
