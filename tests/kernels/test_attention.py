"""Attention: within the sequence, the whole sequence, and nothing but the sequence."""

import math

import numpy as np
import pytest

from edgebert.kernels import reference
from edgebert.kernels.plan import CODE_ATTEND, LONGEST_TEXT
from tests.kernels.calls import assert_equal, take
from tests.kernels.calls_of_heads import attend, disentangled, heads_of
from tests.selection import AVAILABLE, of_families

LENGTHS = (1, 2, 15, 16, 17, 31, 33, 128, 512)
HEAD_DIMS = (16, 32, 48, 64)
TOLERANCE = 3e-4
"""Absolute, for values of the size of 1: a numerator rounds to another of 16383 levels here and there."""


def draw(lengths, heads, head_dim, seed=0):
    """Draw (query_key_value, cu_seqlens)."""
    cu_seqlens = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    rng = np.random.default_rng(seed)
    return rng.normal(size=(cu_seqlens[-1], 3 * heads * head_dim)).astype(np.float32), cu_seqlens


def alone(length):
    """Return the boundaries of a single sequence."""
    return np.array([0, length], np.int32)


@pytest.mark.parametrize("head_dim", HEAD_DIMS)
@pytest.mark.parametrize("length", LENGTHS)
def test_one_sequence(library, length, head_dim):
    rows, cu_seqlens = draw([length], 2, head_dim)
    scale = 1 / math.sqrt(head_dim)
    got, expected = (
        attend(library, rows, cu_seqlens, heads_of(2, scale)),
        reference.attend(rows, cu_seqlens, heads_of(2, scale)),
    )
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)


def test_a_sequence_that_needs_more_scratch_than_any_linear_layer(library):
    """Beyond some thousand tokens attention decides how much memory a thread has for itself."""
    rows, cu_seqlens = draw([1500], 1, 16)
    got, expected = (
        attend(library, rows, cu_seqlens, heads_of(1, 0.25)),
        reference.attend(rows, cu_seqlens, heads_of(1, 0.25)),
    )
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_many_sequences(library, head_dim):
    """Empty ones too; heads of a number that no tile divides."""
    rows, cu_seqlens = draw([5, 0, 33, 1, 16, 40, 2, 0], 3, head_dim)
    scale = 1 / math.sqrt(head_dim)
    got, expected = (
        attend(library, rows, cu_seqlens, heads_of(3, scale)),
        reference.attend(rows, cu_seqlens, heads_of(3, scale)),
    )
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)


KINDS_OF_KEYS = [{}, {"window": 20}, {"biased": True}, {"scored": True}]


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("kind", KINDS_OF_KEYS, ids=str)
def test_tokens_that_attend_and_are_not_attended_to(library, parts, kind):
    """The others are as if these were not there; and they see what the others see."""
    counts, lengths = np.array([4, 33, 1, 17, 40], np.int32), [9, 33, 6, 32, 41]
    biased, scored = kind.get("biased"), kind.get("scored")
    attention, tensors = (
        disentangled(2, 32, 32, 64) if scored else (heads_of(2, 0.2, window=kind.get("window", 0)), None)
    )
    rows, cu_seqlens = draw(lengths, 2, 32)
    bias = np.random.default_rng(2).normal(size=(2, 2 * 64 - 1)).astype(np.float32) if biased else None
    of_distance = reference.heads_of_distances(attention, tensors) if scored else None
    got = attend(library, rows, cu_seqlens, attention, parts, bias, tensors, counts)
    expected = reference.attend(rows, cu_seqlens, attention, bias, of_distance, counts)
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)
    for begin, length, count in zip(cu_seqlens, lengths, counts, strict=False):
        first = slice(begin, begin + count)
        assert_equal(got[first], attend(library, rows[first], alone(count), attention, 1, bias, tensors))
        # What nobody attends to changes nobody else.
        own, changed = slice(begin, begin + length), rows[begin : begin + length].copy()
        changed[count:, 64:] = 100
        ends = alone(length)
        assert_equal(attend(library, changed, ends, attention, 1, bias, tensors, counts[counts == count]), got[own])


@pytest.mark.parametrize("parts", [1, 2, 4])
@pytest.mark.parametrize("lengths", [(5, 33, 1, 16, 128, 2, 17), (128,), (3, 40), (1,)])
def test_bits_depend_on_neither_neighbours_nor_threads(library, lengths, parts):
    """Few sequences are cut into ranges of queries, so that all threads have some."""
    rows, cu_seqlens = draw(lengths, 3, 48)
    together = attend(library, rows, cu_seqlens, heads_of(3, 0.1), parts)
    for begin, length in zip(cu_seqlens, lengths, strict=False):
        own = slice(begin, begin + length)
        assert_equal(together[own], attend(library, rows[own], alone(length), heads_of(3, 0.1)))


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("lengths", [(1,), (15,), (16, 17, 40), (128, 2)])
def test_distances_add_to_the_scores(library, lengths, parts):
    rows, cu_seqlens = draw(lengths, 3, 32)
    bias = np.random.default_rng(1).normal(size=(3, 2 * 128 - 1)).astype(np.float32) * 3
    scale = 1 / math.sqrt(32)
    got = attend(library, rows, cu_seqlens, heads_of(3, scale), parts, bias)
    np.testing.assert_allclose(
        got, reference.attend(rows, cu_seqlens, heads_of(3, scale), bias), rtol=0, atol=TOLERANCE
    )
    for begin, length in zip(cu_seqlens, lengths, strict=False):
        own = slice(begin, begin + length)
        assert_equal(got[own], attend(library, rows[own], alone(length), heads_of(3, scale), 1, bias))


@pytest.mark.parametrize("parts", [1, 2, 5])
@pytest.mark.parametrize(("head_dim", "buckets", "largest"), [(16, 32, 300), (48, 7, 0), (64, 200, 0)])
def test_queries_and_keys_score_distances(library, head_dim, buckets, largest, parts):
    """Distances that share rows, and those beyond which all are one; texts up to the longest, in no whole panels."""
    lengths = (1, 2, 15, 16, 17, 90, 199)
    rows, cu_seqlens = draw(lengths, 3, head_dim)
    attention, tensors = disentangled(3, head_dim, buckets, largest)
    got = attend(library, rows, cu_seqlens, attention._replace(head_dim=head_dim), parts, tensors=tensors)
    exact = attention._replace(head_dim=head_dim)
    of_distance = reference.heads_of_distances(exact, tensors)
    expected = reference.attend(rows, cu_seqlens, exact, None, of_distance)
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)
    without = reference.attend(rows, cu_seqlens, exact)
    assert np.abs(expected - without).max() > 0.3
    for begin, length in zip(cu_seqlens, lengths, strict=False):
        own = slice(begin, begin + length)
        assert_equal(got[own], attend(library, rows[own], alone(length), exact, tensors=tensors))


@pytest.mark.parametrize("parts", [1, 2, 5])
@pytest.mark.parametrize("window", [1, 7, 16, 64, 300])
def test_a_window(library, window, parts):
    """Short texts, and one that is cut into several blocks of queries; the last sees all."""
    lengths = (1, 9, 40, 700, 20)
    rows, cu_seqlens = draw(lengths, 2, 32)
    got = attend(library, rows, cu_seqlens, heads_of(2, 0.2, window=window), parts)
    expected = reference.attend(rows, cu_seqlens, heads_of(2, 0.2, window=window))
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)
    for begin, length in zip(cu_seqlens, lengths, strict=False):
        own = slice(begin, begin + length)
        assert_equal(got[own], attend(library, rows[own], alone(length), heads_of(2, 0.2, window=window)))


def test_beyond_a_window_nothing_is_seen(library):
    """Keys and values beyond are huge, and change no bit but by the largest value, which all sums are scaled by."""
    window, at = 20, 300
    rows, cu_seqlens = draw([600], 1, 32)
    rows[0, 64:] = 50  # the largest value, seen by the first tokens alone
    expected = attend(library, rows, cu_seqlens, heads_of(1, 0.2, window=window))[at]
    for side in (slice(1, at - window), slice(at + window + 1, None)):
        changed = rows.copy()
        changed[side, 32:64] *= 1000
        changed[side, 64:] += 7
        assert_equal(attend(library, changed, cu_seqlens, heads_of(1, 0.2, window=window))[at], expected)
    for seen in (at - window, at + window):
        changed = rows.copy()
        changed[seen, 64:] += 7
        assert not np.array_equal(attend(library, changed, cu_seqlens, heads_of(1, 0.2, window=window))[at], expected)


def test_a_window_and_distances(library):
    rows, cu_seqlens = draw([60, 3], 3, 16)
    bias = np.random.default_rng(1).normal(size=(3, 2 * 128 - 1)).astype(np.float32) * 3
    got = attend(library, rows, cu_seqlens, heads_of(3, 0.25, window=5), 2, bias)
    np.testing.assert_allclose(
        got, reference.attend(rows, cu_seqlens, heads_of(3, 0.25, window=5), bias), rtol=0, atol=TOLERANCE
    )


@pytest.mark.parametrize("parts", [1, 2, 5])
@pytest.mark.parametrize("window", [0, 7, 40])
@pytest.mark.parametrize(("heads", "key_heads"), [(2, 2), (6, 2), (4, 1)])
def test_heads_that_share_a_key_and_do_not_look_ahead(library, heads, key_heads, window, parts):
    lengths = (1, 17, 40, 600)
    cu_seqlens = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    rows = np.random.default_rng(heads).normal(size=(sum(lengths), (heads + 2 * key_heads) * 32)).astype(np.float32)
    attention = heads_of(heads, 0.2, window=window, causal=True, key_value_heads=key_heads)
    got = attend(library, rows, cu_seqlens, attention, parts)
    np.testing.assert_allclose(got, reference.attend(rows, cu_seqlens, attention), rtol=0, atol=TOLERANCE)
    for begin, length in zip(cu_seqlens, lengths, strict=False):
        own = slice(begin, begin + length)
        assert_equal(got[own], attend(library, rows[own], alone(length), attention))


def test_nothing_behind_a_token_is_seen(library):
    """The last tokens are others, of the same size: the first ones' bits are as they were."""
    rows, cu_seqlens = draw([90], 2, 32)
    attention = heads_of(2, 0.2, causal=True)
    changed = rows.copy()
    changed[50:] = -changed[50:]
    before, behind = (attend(library, each, cu_seqlens, attention) for each in (rows, changed))
    assert_equal(before[:50], behind[:50])
    assert not np.array_equal(before[50:], behind[50:])


def test_a_distance_that_is_forbidden(library):
    """Each token looks at the one before alone; the first, which has none, at all alike."""
    rows, cu_seqlens = draw([20], 1, 16)
    rows[:, :16] = 0
    bias = np.full((1, 2 * 32 - 1), -200, np.float32)
    bias[0, 31 - 1] = 0
    got, values = attend(library, rows, cu_seqlens, heads_of(1, 1.0), 1, bias), rows[:, 32:]
    np.testing.assert_allclose(got[1:], values[:-1], rtol=0, atol=0.03)
    np.testing.assert_allclose(got[0], values.mean(axis=0), rtol=0, atol=0.03)


@pytest.mark.parametrize("length", [1, 15, 16, 17, 33])
def test_what_lies_around_a_sequence_does_not_leak(library, length):
    """Its neighbours are huge; behind the last row lie bytes and scales that are no numbers."""
    rows, _ = draw([length], 2, 32)
    expected = attend(library, rows, alone(length), heads_of(2, 0.2))
    for garbage in (1e30, -1e30, 0):
        around = np.full((20, rows.shape[1]), garbage, np.float32)
        cu_seqlens = np.array([0, 20, 20 + length, 40 + length], np.int32)
        got = attend(library, np.concatenate([around, rows, around]), cu_seqlens, heads_of(2, 0.2))
        assert_equal(got[20 : 20 + length], expected)


def test_equal_scores_give_the_mean_of_the_values(library):
    """Of the values as they are quantized, to a 254th of the largest of a token and head."""
    rows, cu_seqlens = draw([33], 2, 16)
    rows[:, :32] = 0
    got = attend(library, rows, cu_seqlens, heads_of(2, 0.25))
    np.testing.assert_allclose(got, np.tile(rows[:, 64:].mean(axis=0), (33, 1)), rtol=0, atol=3e-3)


def test_many_small_weights_beside_a_large_one(library):
    """One key has half of the weight, 511 share the other half: seven or eight bits would lose them."""
    rows, cu_seqlens = draw([512], 1, 16)
    rows[:, :32] = 0
    rows[:, 0] = 1
    rows[0, 16] = np.log(511)
    rows[:, 32:] = 1
    rows[0, 32:] = -1
    np.testing.assert_allclose(attend(library, rows, cu_seqlens, heads_of(1, 1.0)), 0, atol=0.01)


@pytest.mark.parametrize("factor", [1e2, 1e4, 1e10])
def test_large_scores_pick_one_value(library, factor):
    """Scores of up to 1e20: the highest is taken off before the exponential, so nothing overflows."""
    rows, cu_seqlens = draw([40], 2, 32)
    rows[:, :128] *= np.float32(factor)
    got = attend(library, rows, cu_seqlens, heads_of(2, 1.0))
    query, key, value = reference.quantize_heads(rows, 2)[0].astype(np.float64)
    scales = reference.quantize_heads(rows, 2)[1]
    best = ((query @ key.transpose(0, 2, 1)) * scales[1][:, None]).argmax(axis=2)
    value = value * scales[2][..., None]
    picked = np.stack([value[head][best[head]] for head in range(2)]).transpose(1, 0, 2).reshape(40, 64)
    np.testing.assert_allclose(got, picked, rtol=0, atol=TOLERANCE)


def test_scale_is_that_of_the_scores(library):
    rows, cu_seqlens = draw([20], 1, 16)
    scaled = rows.copy()
    scaled[:, :16] *= np.float32(0.25)
    assert_equal(
        attend(library, rows, cu_seqlens, heads_of(1, 0.25)), attend(library, scaled, cu_seqlens, heads_of(1, 1.0))
    )


def test_no_sequences(library):
    rows, cu_seqlens = draw([], 2, 16)
    assert attend(library, rows, cu_seqlens, heads_of(2, 0.25)).shape == (0, 32)


@pytest.mark.parametrize("family", of_families(AVAILABLE))
@pytest.mark.parametrize(("length", "holds"), [(LONGEST_TEXT, True), (LONGEST_TEXT + 8, False)])
def test_the_longest_text_is_the_longest_whose_sums_int32_holds(library_of, family, length, holds):
    """All keys weigh the same and all values are the largest: nothing adds up to more. The next length overflows."""
    library, head_dim, row = library_of(family), 16, length + 16
    rows = np.full((row, 3 * head_dim), 127, np.uint8)  # beyond the text lies what must not show
    rows[:length, :head_dim] = 64  # queries of zero
    scales, offset = np.ones((3, row), np.float32), np.zeros((1, row), np.float32)
    scratch = np.empty(library.scratch_bytes(head_dim, length), np.uint8)
    out = np.full((length, head_dim), np.nan, np.float32)
    arrays = {"heads": rows, "head_scale": scales, "key_offset": offset, "cu_seqlens": alone(length)}
    places = {name: array.ctypes.data for name, array in {**arrays, "narrow": out, "scratch": scratch}.items()}
    sizes = {"rows": row, "sequences": 1, "num_attention_heads": 1, "head_dim": head_dim, "context_stride": head_dim}
    sizes |= {"num_key_value_heads": 1, "before": length, "behind": length, "longest": length}
    # A few queries are enough: the first thread's of very many, each with four tasks.
    threads = length // 64
    take(library, CODE_ATTEND, threads=threads, only=(0, 4 * threads), softmax_scale=1.0, **places, **sizes)
    computed = out[~np.isnan(out[:, 0])]
    assert 0 < len(computed) < 1000
    assert bool((np.abs(computed - 127) < TOLERANCE * 127).all()) is holds
