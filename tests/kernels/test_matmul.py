"""The int8 matmul: sums exact for any shape and any input, the float epilogue as the law states it."""

import numpy as np
import pytest

from edgebert.kernels import reference
from edgebert.kernels.simd.families import FAMILIES
from edgebert.quantize.law import pack_panels, unpack_panels
from tests.kernels.calls import activate, assert_equal, matmul, pack

ROWS = (*range(1, 18), 63, 64, 65, 128, 130)
COLUMNS = (16, 32, 48, 64, 80, 384)
DEPTHS = (16, 32, 48, 384, 1536)
PARTS = (1, 2, 3, 5, 7)


def integers(rng, M, N, K):
    """Draw activations, zero points and weights from their whole range."""
    q = rng.integers(0, 256, (M, K), np.uint8)
    zero = rng.integers(0, 256, M, np.int32)
    return q, zero, rng.integers(-64, 64, (K, N), np.int8)


def exact(q, zero, weight):
    """Multiply in integers (float64 holds them all), and round once to float32."""
    return ((q.astype(np.float64) - zero[:, None]) @ weight.astype(np.float64)).astype(np.float32)


def bare(library, q, zero, panels, **how):
    """Multiply with scales of one and no bias: what comes out are the integers."""
    M, N = len(q), panels.shape[0] * 16
    ones = np.ones(max(M, N), np.float32)
    return matmul(library, q, ones[:M], zero, panels, ones[:N], np.zeros(N, np.float32), **how)


@pytest.mark.parametrize("K", DEPTHS)
@pytest.mark.parametrize("N", COLUMNS)
def test_integers_are_exact(library, N, K):
    q, zero, weight = integers(np.random.default_rng(N * K), max(ROWS), N, K)
    expected, panels = exact(q, zero, weight), pack(weight)
    for M in ROWS:
        assert_equal(bare(library, q[:M], zero[:M], panels), expected[:M])


def alternating(period, low, high, K):
    return np.where(np.arange(K) // period % 2, low, high)


def extremes(K):
    """Yield (activations of a row, weights of a column) that would saturate 16 bits if anything could."""
    for w in (63, -63, -64):
        yield np.full(K, 255), np.full(K, w)
    for period in (1, 2, 4):
        yield np.full(K, 255), alternating(period, -64, 63, K)
        yield alternating(period, 255, 0, K), alternating(period, -64, 63, K)
        yield alternating(period, 0, 255, K), np.full(K, -64)


@pytest.mark.parametrize("K", DEPTHS)
def test_no_input_saturates(library, K):
    for activations, weights in extremes(K):
        for M in (1, 5, 9):
            q = np.tile(activations.astype(np.uint8), (M, 1))
            weight = np.tile(weights.astype(np.int8)[:, None], (1, 48))
            for zero in (0, 128, 255):
                zeros = np.full(M, zero, np.int32)
                assert_equal(bare(library, q, zeros, pack(weight)), exact(q, zeros, weight))


def test_random_extremes(library):
    rng = np.random.default_rng(5)
    q = rng.choice(np.array([0, 255], np.uint8), (65, 384))
    weight = rng.choice(np.array([-64, 63], np.int8), (384, 80))
    zero = rng.choice(np.array([0, 255], np.int32), 65)
    assert_equal(bare(library, q, zero, pack(weight)), exact(q, zero, weight))


def test_padding_gives_zero(library):
    q, zero, weight = integers(np.random.default_rng(6), 9, 48, 48)
    weight[:, 40:] = 0
    assert not bare(library, q, zero, pack(weight))[:, 40:].any()


def real(rng, M, N, K):
    """Draw what a layer meets: scales, zero points and a bias of the usual sizes."""
    q, zero, weight = integers(rng, M, N, K)
    row_scale = rng.uniform(0.001, 0.1, M).astype(np.float32)
    scale = rng.uniform(1e-4, 1e-2, N).astype(np.float32)
    return q, row_scale, zero, pack(weight), scale, rng.normal(size=N).astype(np.float32)


@pytest.mark.parametrize(("N", "K"), [(16, 16), (48, 384), (80, 48), (384, 1536)])
def test_epilogue(library, N, K):
    """Within one unit in the last place; without a fused multiply-add the product is rounded on its own first."""
    arguments = real(np.random.default_rng(7), 17, N, K)
    got, expected = matmul(library, *arguments), reference.matmul(*arguments)
    tolerance = np.spacing(np.abs(expected))
    if not FAMILIES[library.family].has_fma:
        bias = arguments[-1].astype(np.float64)
        tolerance = tolerance + np.spacing(np.abs(expected - bias).astype(np.float32))
    assert (np.abs(got.astype(np.float64) - expected) <= tolerance).all()


@pytest.mark.parametrize("form", ["erf", "tanh"])
def test_the_activation_comes_last(library, form):
    arguments = real(np.random.default_rng(8), 9, 80, 48)
    assert_equal(matmul(library, *arguments, activation=form), activate(library, matmul(library, *arguments), form))


@pytest.mark.parametrize("M", [1, 5, 64, 65, 130, 400, 1000])
def test_parts_make_up_the_whole(library, M):
    """Every output is written by one part alone, and with the same bits however many parts there are."""
    arguments = real(np.random.default_rng(M), M, 144, 48)
    whole = matmul(library, *arguments)
    assert not np.isnan(whole).any()
    for parts in PARTS:
        joined = np.full_like(whole, np.nan)
        for part in range(parts):
            own = matmul(library, *arguments, part=part, parts=parts)
            written = ~np.isnan(own)
            assert np.isnan(joined[written]).all(), f"part {part} of {parts} wrote what another has written"
            joined[written] = own[written]
        assert_equal(joined, whole)


def test_columns_beyond_the_outputs_are_left_alone(library):
    arguments = real(np.random.default_rng(9), 70, 80, 48)
    for parts in (1, 3):
        for part in range(parts):
            out = matmul(library, *arguments, part=part, parts=parts, out_stride=112)
            assert np.isnan(out[:, 80:]).all()


def test_a_row_does_not_depend_on_its_neighbours(library):
    q, row_scale, zero, *layer = real(np.random.default_rng(10), 130, 144, 384)
    whole = matmul(library, q, row_scale, zero, *layer)
    for m in (0, 7, 63, 64, 129):
        own = slice(m, m + 1)
        assert_equal(matmul(library, q[own], row_scale[own], zero[own], *layer), whole[own])


def test_panels_are_as_defined():
    """What the converter packs is what this file packs from the definition."""
    weight = np.random.default_rng(11).integers(-64, 64, (80, 48), np.int8)
    assert_equal(pack_panels(weight), pack(weight.T))
    assert_equal(unpack_panels(pack_panels(weight)), weight)
