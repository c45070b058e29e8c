"""The numeric law: scales, ranges, panels."""

from __future__ import annotations

import numpy as np
import pytest

from edgebert.quantize.law import (
    WEIGHT_LEVELS,
    channel_scale,
    pack_panels,
    quantize_embeddings,
    unpack_panels,
)
from edgebert.quantize.rounding import round_weight
from edgebert.quantize.smoothing import smoothing


def test_embeddings_are_within_half_a_step():
    rows = np.random.default_rng(0).normal(size=(9, 48)).astype(np.float32)
    rows[3] = 0
    q, scale = quantize_embeddings(rows)
    assert q.dtype == np.int8
    assert scale[3] == 1
    assert not q[3].any()
    assert np.abs(q).max() == 127
    assert (np.abs(q * scale[:, None] - rows) <= scale[:, None] * 0.5001).all()


def test_a_channel_of_zeros_has_scale_one():
    weight = np.zeros((16, 32), np.float32)
    assert (channel_scale(weight, WEIGHT_LEVELS) == 1).all()
    q, scale = round_weight(weight, np.ones((3, 32), np.float32))
    assert not q.any()
    assert (scale == 1).all()


def test_panels_round_trip_and_lie_as_the_kernels_read_them():
    weight = np.random.default_rng(2).integers(-63, 64, (48, 32)).astype(np.int8)
    panels = pack_panels(weight)
    assert panels.shape == (3, 8, 16, 4)
    assert panels[1, 2, 5, 3] == weight[16 + 5, 2 * 4 + 3]
    np.testing.assert_array_equal(unpack_panels(panels), weight)


def _output_error(weight, q, scale, inputs):
    return np.square(inputs @ (q * scale[:, None] - weight).T).sum()


def test_compensated_rounding_beats_plain_rounding_on_the_outputs():
    rng = np.random.default_rng(3)
    weight = rng.normal(size=(32, 64)).astype(np.float32)
    inputs = (rng.normal(size=(200, 8)) @ rng.normal(size=(8, 64)) + 0.1 * rng.normal(size=(200, 64))).astype(
        np.float32
    )
    q, scale = round_weight(weight, inputs)
    assert q.dtype == np.int8
    assert np.abs(q.astype(int)).max() <= WEIGHT_LEVELS
    plain = np.clip(np.rint(weight / scale[:, None]), -WEIGHT_LEVELS, WEIGHT_LEVELS)
    assert _output_error(weight, q, scale, inputs) < 0.3 * _output_error(weight, plain, scale, inputs)


@pytest.mark.parametrize("tokens", [0, 1, 5])
def test_rounding_with_fewer_tokens_than_columns(tokens):
    rng = np.random.default_rng(4)
    weight = rng.normal(size=(16, 48)).astype(np.float32)
    q, scale = round_weight(weight, rng.normal(size=(tokens, 48)).astype(np.float32))
    # Little is known of the inputs: whatever is done must still be close to the weight.
    assert np.abs(q * scale[:, None] - weight).mean() < 2 * scale.mean()


def test_smoothing_evens_out_the_inputs_and_changes_no_product():
    rng = np.random.default_rng(5)
    inputs = rng.normal(size=(50, 32)).astype(np.float32)
    inputs[:, 7] *= 20
    inputs[:, 9] = 0
    weight = rng.normal(size=(16, 32)).astype(np.float32)
    divisor = smoothing(inputs, weight)
    assert divisor[9] == 1
    assert ((divisor >= 1 / 32.001) & (divisor <= 32.001)).all()
    np.testing.assert_allclose((inputs / divisor) @ (weight * divisor).T, inputs @ weight.T, rtol=1e-4, atol=1e-4)

    def spread(x):
        largest = np.delete(np.abs(x).max(axis=0), 9)
        return largest.max() / largest.min()

    assert spread(inputs / divisor) < 0.4 * spread(inputs)
