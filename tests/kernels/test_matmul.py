"""The linear layers: sums exact for any shape and any input, the float epilogue as the law states it."""

import math
from fractions import Fraction

import numpy as np
import pytest

from edgebert.architecture import Attention, Linear, Norm, Rotary
from edgebert.kernels import reference
from edgebert.kernels.plan import INT16_STEPS
from edgebert.positions import angles_of, split_heads
from edgebert.quantize.law import exceeds_limit, meeting, pack_panels, unpack_panels
from tests.kernels.calls import (
    activate,
    assert_equal,
    expand,
    matmul,
    matmul_part,
    pack,
    quantize_rows,
    unsigned,
)
from tests.kernels.calls_of_heads import project_heads

ROWS = (*range(1, 18), 63, 64, 65, 128, 130)
COLUMNS = (16, 32, 48, 64, 80, 384)
INPUTS = (64, 128, 320, 384)
PARTS = (1, 2, 3, 5, 7)


def lawful(weight, int16_steps):
    """Shorten the later ones of the weights that meet where their products could exceed 16 bits; int8 (K, N)."""
    result, columns = weight.astype(int), meeting(len(weight), int16_steps)
    for place in range(1, columns.shape[1]):
        before, own = columns[:, :place], columns[:, place]
        highest = 128 - np.maximum(result[before], 0).sum(axis=1)
        lowest = -128 - np.minimum(result[before], 0).sum(axis=1)
        result[own] = np.clip(result[own], lowest, highest)
    result = result.astype(np.int8)
    assert not exceeds_limit(result.T, int16_steps)
    return result


def integers(rng, M, N, K, int16_steps=1):
    """Draw activations, zero points and weights from their whole range."""
    q = rng.integers(0, 256, (M, K), np.uint8)
    zero = rng.integers(0, 256, (M, 1)).astype(np.float32)
    return q, zero, lawful(rng.integers(-127, 128, (K, N), np.int8), int16_steps)


def exact(q, zero, weight):
    """Multiply in integers (float64 holds them all); they are below 2**24."""
    return ((q.astype(np.float64) - zero) @ weight.astype(np.float64)).astype(np.float32)


def bare(library, q, zero, panels, **how):
    """Multiply with scales of one and no bias: what comes out are the integers."""
    M, N = len(q), panels.shape[0] * 16
    ones = np.ones(max(M, N), np.float32)
    return matmul(library, q, ones[:M, None], zero, panels, ones[None, :N], np.zeros(N, np.float32), **how)


@pytest.mark.parametrize("int16_steps", INT16_STEPS)
@pytest.mark.parametrize("K", INPUTS)
@pytest.mark.parametrize("N", COLUMNS)
def test_integers_are_exact(library, N, K, int16_steps):
    q, zero, weight = integers(np.random.default_rng(N * K), max(ROWS), N, K, int16_steps)
    expected, panels = exact(q, zero, weight), pack(weight)
    for M in ROWS:
        assert_equal(bare(library, q[:M], zero[:M], panels, int16_steps=int16_steps), expected[:M])


def alternating(period, low, high, K):
    return np.where(np.arange(K) // period % 2, low, high)


def extremes(K, int16_steps):
    """Yield (activations of a row, weights of a column) that would exceed 16 bits if anything could."""
    columns = meeting(K, int16_steps)
    met = columns.shape[1]
    for even in (128 // met, -128 // met):
        yield np.full(K, 255), np.full(K, even)
        for period in (1, 2, 4):
            yield alternating(period, 0, 255, K), np.full(K, even)
    for sign in (1, -1):
        for place in range(met):
            # One weight has all levels, those that it meets have what is left; or nothing; or the opposite.
            for others in ((1,), (0,), (-127, 1, 0)):
                weights = np.zeros(K, int)
                weights[columns] = np.roll([127, *others, 0, 0][:met], place)
                yield np.full(K, 255), sign * weights
                yield np.where(sign * weights > 0, 255, 0), sign * weights


@pytest.mark.parametrize("int16_steps", INT16_STEPS)
@pytest.mark.parametrize("K", INPUTS)
def test_no_input_saturates(library, K, int16_steps):
    for activations, weights in extremes(K, int16_steps):
        for M in (1, 5, 9):
            q = np.tile(activations.astype(np.uint8), (M, 1))
            weight = np.tile(weights.astype(np.int8)[:, None], (1, 48))
            assert not exceeds_limit(weight.T, int16_steps)
            for zero in (0, 128, 255):
                zeros = np.full((M, 1), zero, np.float32)
                assert_equal(bare(library, q, zeros, pack(weight), int16_steps=int16_steps), exact(q, zeros, weight))


@pytest.mark.parametrize("int16_steps", INT16_STEPS)
def test_random_extremes(library, int16_steps):
    rng = np.random.default_rng(5)
    q = rng.choice(np.array([0, 255], np.uint8), (65, 384))
    weight = lawful(rng.choice(np.array([-127, -64, 64, 127], np.int8), (384, 80)), int16_steps)
    zero = rng.choice(np.array([0, 255], np.float32), (65, 1))
    assert_equal(bare(library, q, zero, pack(weight), int16_steps=int16_steps), exact(q, zero, weight))


def test_padding_gives_zero(library):
    q, zero, weight = integers(np.random.default_rng(6), 9, 48, 64)
    weight[:, 40:] = 0
    assert not bare(library, q, zero, pack(weight))[:, 40:].any()


def real(rng, M, N, K, group=None):
    """Draw what a layer of any number of int16 steps meets: scales, zero points and a bias of the usual sizes."""
    q, _, weight = integers(rng, M, N, K, max(INT16_STEPS))
    G = -(-K // (group or K))
    row_scale = rng.uniform(0.001, 0.1, (M, G)).astype(np.float32)
    zero = rng.integers(0, 256, (M, G)).astype(np.float32)
    scale = rng.uniform(1e-4, 1e-2, (G, N)).astype(np.float32)
    return q, row_scale, zero, pack(weight), scale, rng.normal(size=N).astype(np.float32)


@pytest.mark.parametrize("int16_steps", INT16_STEPS)
@pytest.mark.parametrize(("N", "K", "group"), [(16, 64, 64), (48, 384, 384), (80, 320, 192), (384, 1536, 384)])
def test_epilogue(library, N, K, group, int16_steps):
    """The oracle's bits, on processors without a fused multiply-add too."""
    for M in (1, 17, 70):
        operands = real(np.random.default_rng(7), M, N, K, group)
        got, expected = (
            matmul(library, *operands, group=group, int16_steps=int16_steps),
            reference.matmul(*operands, group),
        )
        assert_equal(got, expected)


@pytest.mark.parametrize("int16_steps", INT16_STEPS)
@pytest.mark.parametrize("parts", [1, 2, 7])
@pytest.mark.parametrize("form", ["erf", "tanh"])
@pytest.mark.parametrize(("M", "N", "group"), [(9, 128, 64), (70, 320, 192), (130, 384, 384)])
def test_intermediate_layer_is_its_parts(library, form, M, N, group, parts, int16_steps):
    """Matmul, activation and quantization in one go give the bits that they give one after the other."""
    operands = real(np.random.default_rng(8), M, N, 64)
    factor = np.random.default_rng(1).uniform(0.5, 2, N).astype(np.float32)
    values = activate(library, matmul(library, *operands), form, np.tile(factor, (M, 1)))
    expected = quantize_rows(library, values, group)
    joined = [np.zeros_like(array) for array in expected]
    options = {"factor": factor, "form": form, "int16_steps": int16_steps, "out_group": group, "threads": parts}
    _, tasks = expand(library, *operands, **options)
    for part in range(parts):
        own_arrays, _ = expand(library, *operands, **options, only=(part, tasks))
        for whole, own in zip(joined, own_arrays, strict=True):
            assert not (whole.astype(bool) & own.astype(bool)).any(), "two parts wrote the same place"
            whole += own
    q, scale, zero = joined
    for got, wanted in zip((unsigned(library, q), scale, unsigned(library, zero)), expected, strict=True):
        assert_equal(got, wanted)


@pytest.mark.parametrize("parts", [1, 2, 7])
@pytest.mark.parametrize("form", ["erf", "silu"])
@pytest.mark.parametrize(("M", "size", "group"), [(9, 64, 64), (70, 320, 192), (130, 384, 384)])
def test_a_gated_intermediate_layer_is_its_parts(library, form, M, size, group, parts):
    """Of 32 outputs 16 are activated, and the 16 behind multiply them; then the factors do."""
    operands = real(np.random.default_rng(12), M, 2 * size, 64)
    factor = np.random.default_rng(1).uniform(0.5, 2, size).astype(np.float32)
    both = matmul(library, *operands).reshape(M, -1, 2, 16)
    inner, gate = (np.ascontiguousarray(both[:, :, part]).reshape(M, size) for part in (0, 1))
    values = activate(library, inner, form) * gate * factor
    expected = quantize_rows(library, values, group)
    joined = [np.zeros_like(array) for array in expected]
    options = {"factor": factor, "form": form, "out_group": group, "threads": parts}
    _, tasks = expand(library, *operands, **options)
    for part in range(parts):
        own_arrays, _ = expand(library, *operands, **options, only=(part, tasks))
        for whole, own in zip(joined, own_arrays, strict=True):
            whole += own
    q, scale, zero = joined
    for got, wanted in zip((unsigned(library, q), scale, unsigned(library, zero)), expected, strict=True):
        assert_equal(got, wanted)


@pytest.mark.parametrize(("bias", "factor"), [(5, 1), (5, -1)])
def test_an_intermediate_layer_of_values_of_one_sign(library, bias, factor):
    """The range that they are quantized in begins or ends at zero all the same."""
    q, row_scale, zero, panels, scale, _ = real(np.random.default_rng(8), 5, 64, 64)
    operands = q, row_scale, zero, np.zeros_like(panels), scale, np.linspace(bias, bias + 3, 64).astype(np.float32)
    factors = np.full(64, factor, np.float32)
    values = activate(library, matmul(library, *operands), "erf", np.tile(factors, (5, 1)))
    assert (values * factor > 1).all()
    found, _ = expand(library, *operands, factor=factors, form="erf", out_group=64)
    expected = quantize_rows(library, values, 64)
    for got, wanted in zip((unsigned(library, found[0]), found[1], unsigned(library, found[2])), expected, strict=True):
        assert_equal(got, wanted)


@pytest.mark.parametrize("int16_steps", INT16_STEPS)
@pytest.mark.parametrize("parts", [1, 2, 5])
@pytest.mark.parametrize(("heads", "head_dim"), [(2, 16), (3, 32), (12, 32), (4, 64), (1, 80)])
def test_query_key_value_is_its_parts(library, heads, head_dim, parts, int16_steps):
    """Matmul and quantization of the heads in one go give the oracle's integers and scales."""
    for M in (1, 16, 37, 130):
        operands = real(np.random.default_rng(9), M, 3 * heads * head_dim, 64)
        q, scale, offset = project_heads(library, *operands, heads=heads, int16_steps=int16_steps, threads=parts)
        expected, expected_scale = reference.quantize_heads(matmul(library, *operands), heads)
        offsets = -64 * expected[1].sum(axis=2, dtype=np.float32) * expected_scale[1]
        expected[0] += 64
        got = q.reshape(M, 3, heads, head_dim).transpose(1, 2, 0, 3)
        assert_equal(np.ascontiguousarray(got), expected.view(np.uint8))
        assert_equal(scale.reshape(3, heads, M), expected_scale)
        assert_equal(offset, offsets)


def oracle_of_heads(values, attention):
    """Quantize heads, which may share keys and values: uint8 (M, N), scales (slots, M), offsets (key heads, M)."""
    M, (heads, key_heads, _) = len(values), attention.slots
    split = np.stack(split_heads(values, attention), axis=1)
    q, scale = reference.quantize_heads(split.reshape(M, -1), heads)
    first = np.arange(key_heads) * (heads // key_heads)
    offsets = (-64 * q[1].sum(axis=2, dtype=np.float32) * scale[1])[first]
    q[0] += 64
    joined = np.concatenate([q[0], q[1][first], q[2][first]]).view(np.uint8).transpose(1, 0, 2).reshape(M, -1)
    return np.ascontiguousarray(joined), np.concatenate([scale[0], scale[1][first], scale[2][first]]), offsets


@pytest.mark.parametrize("parts", [1, 2, 5])
@pytest.mark.parametrize(("heads", "key_heads", "head_dim"), [(2, 1, 32), (6, 2, 48)])
def test_heads_that_are_normalised(library, heads, key_heads, head_dim, parts):
    """Within what sums in another order make of the values; those of the heads that are not keep their bits."""
    M = 70
    operands = real(np.random.default_rng(9), M, (heads + 2 * key_heads) * head_dim, 64)
    names = Norm("query", head_dim, 1e-3, rms=True), Norm("key", head_dim, 1e-2, rms=True)
    nothing = Linear("", 0, 0)
    attention = Attention(heads, head_dim, nothing, nothing, key_value_heads=key_heads)
    normalised = attention._replace(query_norm=names[0], key_norm=names[1])
    rng = np.random.default_rng(4)
    tensors = {f"{norm.name}.weight": rng.uniform(0.5, 2, head_dim).astype(np.float32) for norm in names}
    norms = [(tensors[f"{norm.name}.weight"], norm.eps) for norm in names]
    how = {"heads": heads, "key_heads": key_heads, "threads": parts}
    q, scale, offset = project_heads(library, *operands, **how, norms=norms)
    plain = matmul(library, *operands)
    expected = oracle_of_heads(reference.normalise_heads(plain, normalised, tensors), attention)
    np.testing.assert_allclose(q.view(np.int8).astype(int), expected[0].view(np.int8), rtol=0, atol=1)
    assert (q != expected[0]).mean() < 0.002
    np.testing.assert_allclose(scale, expected[1], rtol=1e-5)
    np.testing.assert_allclose(offset, expected[2], rtol=1e-3, atol=0.05 * expected[1].max() * 64)
    untouched = project_heads(library, *operands, **how)
    for got, wanted in zip(untouched, oracle_of_heads(plain, attention), strict=True):
        assert_equal(got, wanted)
    values = slice((heads + key_heads) * head_dim, None)
    assert_equal(q[:, values], untouched[0][:, values])


@pytest.mark.parametrize("parts", [1, 2, 5])
@pytest.mark.parametrize(("heads", "head_dim"), [(2, 32), (3, 64), (1, 96)])
def test_queries_and_keys_are_turned_by_their_positions(library, heads, head_dim, parts):
    """The oracle's integers and scales; values are as they were."""
    M = 70
    operands = real(np.random.default_rng(9), M, 3 * heads * head_dim, 64)
    attention = Attention(heads, head_dim, Linear("", 0, 0), Linear("", 0, 0), rotary=Rotary(1000.0))
    positions = np.random.default_rng(3).integers(0, 90, M).astype(np.int32)
    how = {"positions": positions, "angles": angles_of(attention, 90)}
    q, scale, offset = project_heads(library, *operands, heads=heads, threads=parts, **how)
    plain = matmul(library, *operands)
    turned = reference.rotate_heads(plain, attention, positions)
    assert_equal(turned[:, -heads * head_dim :], plain[:, -heads * head_dim :])
    for got, wanted in zip((q, scale, offset), oracle_of_heads(turned, attention), strict=True):
        assert_equal(got, wanted)


@pytest.mark.parametrize("least", [0, 1e-38, 1e-30])
def test_heads_of_next_to_nothing(library, least):
    """Values that have no scale, being zero or too small for one, are zeros of the oracle's scale."""
    heads, head_dim = 2, 16
    q, row_scale, zero, panels, scale, _ = real(np.random.default_rng(9), 5, 3 * heads * head_dim, 64)
    bias = np.full(3 * heads * head_dim, least, np.float32)
    operands = q, row_scale, zero, np.zeros_like(panels), scale, bias
    got, found, offset = project_heads(library, *operands, heads=heads)
    expected, expected_scale = reference.quantize_heads(np.tile(bias, (5, 1)), heads)
    offsets = -64 * expected[1].sum(axis=2, dtype=np.float32) * expected_scale[1]
    expected[0] += 64
    got = got.reshape(5, 3, heads, head_dim).transpose(1, 2, 0, 3)
    assert_equal(np.ascontiguousarray(got), expected.view(np.uint8))
    assert_equal(found.reshape(3, heads, 5), expected_scale)
    assert np.isfinite(found).all()
    assert_equal(offset, offsets)


@pytest.mark.parametrize("int16_steps", INT16_STEPS)
@pytest.mark.parametrize("M", [1, 5, 64, 65, 130, 400, 1000])
def test_parts_make_up_the_whole(library, M, int16_steps):
    """Every output is written by one part alone, and with the same bits however many parts there are."""
    arguments = real(np.random.default_rng(M), M, 144, 64)
    whole = matmul(library, *arguments, int16_steps=int16_steps)
    assert not np.isnan(whole).any()
    for parts in PARTS:
        joined = np.full_like(whole, np.nan)
        _, tasks = matmul_part(library, *arguments, int16_steps=int16_steps, threads=parts)
        for part in range(parts):
            own, _ = matmul_part(library, *arguments, int16_steps=int16_steps, threads=parts, only=(part, tasks))
            written = ~np.isnan(own)
            assert np.isnan(joined[written]).all(), f"part {part} of {parts} wrote what another has written"
            joined[written] = own[written]
        assert_equal(joined, whole)


def test_a_row_does_not_depend_on_its_neighbours(library):
    q, row_scale, zero, *layer = real(np.random.default_rng(10), 130, 144, 384)
    whole = matmul(library, q, row_scale, zero, *layer)
    for m in (0, 7, 63, 64, 129):
        own = slice(m, m + 1)
        assert_equal(matmul(library, q[own], row_scale[own], zero[own], *layer), whole[own])


def test_panels_are_as_defined():
    """What the converter packs is what this file packs from the definition."""
    weight = np.random.default_rng(11).integers(-127, 128, (80, 48), np.int8)
    assert_equal(pack_panels(weight), pack(weight.T))
    assert_equal(unpack_panels(pack_panels(weight)), weight)


def rounded_once(a, b, c):
    """Return a * b + c of finite float32, exact, then rounded to float32 (ties to even)."""
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    exponent = max(math.frexp(float(exact))[1] - 24, -149)
    size = math.ldexp(round(abs(exact) / Fraction(2) ** exponent), exponent)
    return np.float32(-size if exact < 0 else size)


# Addends with an even and an odd last bit; the last ones make sums that a float32 has fewer bits for.
ADDENDS = [1.0, 1 + 2**-23, 2 - 2**-23, -1.0, -1 - 2**-23, *np.array([0, 1, 2, 3, -1, 2**23 - 1, 2**23]) * 2.0**-149]


@pytest.mark.parametrize("c", [np.float32(c) for c in ADDENDS])
def test_the_scale_and_what_came_before_are_one_operation_of_one_rounding(library, c):
    """Products of half a unit of the addend's last place, and next to it by less than float64 can tell."""
    half = max(float(np.spacing(abs(c))), 2.0**-149) / 2
    near = [1.0, *(1 + sign * 2.0**-s for s in (5, 12, 22, 23) for sign in (1, -1))]
    # Powers that a float32 can hold, where half a unit is none.
    row = np.array([x * 2.0**-60 for x in near], np.float32)
    column = np.array([sign * x * half * 2.0**60 for sign in (1, -1, 3) for x in near], np.float32)
    column = np.pad(column, (0, -len(column) % 16))
    q, weight = np.zeros((len(row), 64), np.uint8), np.zeros((64, len(column)), np.int8)
    q[:, 0], weight[0] = 1, 1
    zero = np.zeros((len(row), 1), np.float32)
    bias = np.full(len(column), c)
    actual = matmul(library, q, row[:, None], zero, pack(weight), column[None], bias)
    assert_equal(actual, np.array([[rounded_once(a, b, c) for b in column] for a in row]))
