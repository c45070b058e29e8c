"""The numeric law: scales, ranges, panels."""

from __future__ import annotations

import numpy as np
import pytest

from edgebert.kernels import reference
from edgebert.kernels.plan import INT16_STEPS
from edgebert.quantize.law import (
    channel_scale,
    exceeds_limit,
    meeting,
    pack_panels,
    quantize_embeddings,
    quantize_embeddings_int4,
    unpack_panels,
)
from edgebert.quantize.rounding import inputs_of, round_weight
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


def four_bits(packed, scale):
    """Return the values that four bits stand for, by their definition: the first 32 of a group in the upper half."""
    rows, groups = scale.shape
    whole = packed.astype(int).reshape(rows, groups, 32)
    levels = np.concatenate([whole >> 4, (whole & 15) - 8], axis=2)
    assert levels.min() >= -8
    assert levels.max() <= 7
    return (levels * scale[..., None]).reshape(rows, -1)


def test_four_bits_hold_what_they_can():
    """The value of the largest size gets the level that has no positive counterpart, whatever its sign."""
    rows = np.random.default_rng(0).integers(-7, 8, (6, 128)).astype(np.float32)
    rows[:, [3, 70]] = 8
    rows[1::2] *= np.float32(-0.3)
    rows[4, :64] = 0
    packed, scale = quantize_embeddings_int4(rows)
    assert (packed.dtype, packed.shape, scale.shape) == (np.int8, (6, 64), (6, 2))
    np.testing.assert_allclose(four_bits(packed, scale), rows, rtol=1e-6)


def test_four_bits_lose_as_little_as_any_scale_near_the_largest_value_would():
    """Against every scale that gives the largest value 6.5 to 9.5 levels in steps of a quarter; beyond -8 is cut."""
    rng = np.random.default_rng(1)
    rows = (rng.standard_t(3, size=(40, 64))).astype(np.float32)
    rows[0, :2] = 9, -9  # both ends cannot have their level
    largest = rows[np.arange(40), np.abs(rows).argmax(axis=1)].astype(float)
    errors = []
    for levels in np.arange(6.5, 9.51, 0.25):
        scale = -largest / levels
        kept = np.clip(np.rint(rows / scale[:, None]), -8, 7) * scale[:, None]
        errors.append(np.square(kept - rows).sum(axis=1))
    found = np.square(four_bits(*quantize_embeddings_int4(rows)) - rows).sum(axis=1)
    np.testing.assert_allclose(found, np.min(errors, axis=0), rtol=1e-3)
    assert len(set(np.argmin(errors, axis=0))) > 5


def test_four_bits_are_read_as_they_are_written():
    rows = np.random.default_rng(2).normal(size=(9, 192)).astype(np.float32)
    packed, scale = quantize_embeddings_int4(rows)
    name = "embeddings.word_embeddings"
    found = reference.embed_words({f"{name}.weight": packed, f"{name}.scale": scale}, name, np.array([3, 0, 8, 3]))
    np.testing.assert_allclose(found, four_bits(packed, scale)[[3, 0, 8, 3]], rtol=1e-6)


@pytest.mark.parametrize("int16_steps", INT16_STEPS)
def test_a_channel_of_zeros_has_scale_one(int16_steps):
    weight = np.zeros((16, 64), np.float32)
    assert (channel_scale(weight, 127) == 1).all()
    q, scale = round_weight(weight, inputs_of(np.ones((3, 64), np.float32)), 64, int16_steps)
    assert not q.any()
    assert (scale == 1).all()


@pytest.mark.parametrize(
    ("met", "exceeds"),
    [
        ((64, 64), False),
        ((127, 1), False),
        ((127, -127), False),
        ((65, 64), True),
        ((127, 2), True),
        ((-65, -64), True),
        ((32, 32, 32, 32), False),
        ((127, 1, 0, 0), False),
        ((127, -127, 1, -1), False),
        ((33, 32, 32, 32), True),
        ((127, -127, 2, 0), True),
        ((-65, 0, 0, -64), True),
    ],
)
def test_the_limit_is_that_of_sixteen_bits(met, exceeds):
    """Weights that meet exceed it exactly when 255 times those of one sign is more than 16 bits hold."""
    q = np.zeros((3, 16), np.int8)
    q[1, [10, 11] if len(met) == 2 else [10, 11, 14, 15]] = met
    assert exceeds_limit(q, len(met) // 2) is exceeds
    sums = [255 * sum(max(w, 0) for w in met), 255 * sum(min(w, 0) for w in met)]
    assert exceeds is not (sums[0] <= 32767 and sums[1] >= -32768)


@pytest.mark.parametrize("int16_steps", INT16_STEPS)
def test_every_input_meets_others_once(int16_steps):
    """By the kernels' own layout: bytes 2i and 2i + 1 of a column's four, in each of `int16_steps` steps."""
    columns = meeting(64, int16_steps)
    assert sorted(columns.reshape(-1)) == list(range(64))
    for met in columns:
        assert {k // 4 // int16_steps for k in met} == {met[0] // 4 // int16_steps}
        assert {k % 4 // 2 for k in met} == {met[0] % 4 // 2}


def test_inputs_that_do_not_meet_may_have_all_levels():
    q = np.zeros((1, 16), np.int8)
    q[0, [0, 2, 8, 10]] = 127
    assert not exceeds_limit(q, 2)


def test_panels_round_trip_and_lie_as_the_kernels_read_them():
    weight = np.random.default_rng(2).integers(-63, 64, (48, 32)).astype(np.int8)
    panels = pack_panels(weight)
    assert panels.shape == (3, 8, 16, 4)
    assert panels[1, 2, 5, 3] == weight[16 + 5, 2 * 4 + 3]
    np.testing.assert_array_equal(unpack_panels(panels), weight)


def _values(q, scale, group):
    """Return the weights that the integers stand for."""
    return q * np.repeat(scale.T, group, axis=1)[:, : q.shape[1]]


def _output_error(weight, found, inputs):
    return np.square(inputs @ (found - weight).T).sum()


@pytest.mark.parametrize("int16_steps", INT16_STEPS)
@pytest.mark.parametrize("group", [64, 192])
def test_compensated_rounding_beats_plain_rounding_on_the_outputs(group, int16_steps):
    rng = np.random.default_rng(3)
    weight = rng.normal(size=(32, 192)).astype(np.float32)
    inputs = (rng.normal(size=(400, 8)) @ rng.normal(size=(8, 192)) + 0.1 * rng.normal(size=(400, 192))).astype(
        np.float32
    )
    q, scale = round_weight(weight, inputs_of(inputs), group, int16_steps)
    assert (q.dtype, scale.shape) == (np.int8, (192 // group, 32))
    assert not exceeds_limit(q, int16_steps)
    scales = np.repeat(scale.T, group, axis=1)
    plain = np.clip(np.rint(weight / scales), -127, 127) * scales
    assert _output_error(weight, _values(q, scale, group), inputs) < 0.3 * _output_error(weight, plain, inputs)


@pytest.mark.parametrize("int16_steps", INT16_STEPS)
def test_large_neighbours_are_shortened_and_made_up_for(int16_steps):
    """Inputs that meet cannot all keep all levels when they are the largest of their channel."""
    rng = np.random.default_rng(6)
    weight = rng.normal(size=(16, 64)).astype(np.float32)
    weight[:, :2] = 3 * np.abs(weight).max()
    inputs = rng.normal(size=(300, 64)).astype(np.float32)
    q, scale = round_weight(weight, inputs_of(inputs), 64, int16_steps)
    assert not exceeds_limit(q, int16_steps)
    assert (np.abs(q[:, 2:].astype(int)).max(axis=1) >= 8).all(), "the others keep their levels"
    assert _output_error(weight, _values(q, scale, 64), inputs) < 1e-3 * np.square(inputs @ weight.T).sum()


@pytest.mark.parametrize("int16_steps", INT16_STEPS)
@pytest.mark.parametrize("tokens", [0, 1, 5])
def test_rounding_with_fewer_tokens_than_columns(tokens, int16_steps):
    rng = np.random.default_rng(4)
    weight = rng.normal(size=(16, 64)).astype(np.float32)
    inputs = inputs_of(rng.normal(size=(tokens, 64)).astype(np.float32))
    q, scale = round_weight(weight, inputs, 64, int16_steps)
    # Little is known of the inputs: whatever is done must still be close to the weight.
    assert np.abs(_values(q, scale, 64) - weight).mean() < 2 * scale.mean()


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
