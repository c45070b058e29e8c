"""Kernels that go row by row against the NumPy reference, as `tests.cuda.cases`."""

from __future__ import annotations

import numpy as np
import pytest

from edgebert.architecture import Embeddings, Norm, Table
from edgebert.batch import pack
from edgebert.kernels import reference
from tests.cuda.gpu import CAPACITY, SHAPE, kernels, read, upload_batch


def norm_of(device, weight=None, bias=None, rms=False):
    """Return the arguments of a norm of 48 values, or of none."""
    if weight is None:
        return {"size": 0, "rms": 0, "weight": (at := device.allocate(64)), "bias": at, "eps": 0}
    return {"size": 48, "rms": rms, "weight": device.upload(weight), "bias": device.upload(bias), "eps": 1e-6}


def normalised(x, weight, bias, rms):
    """Normalise 48 values of each row; the rest is zero."""
    norm, tensors = Norm("n", 48, 1e-6, rms=rms), {"n.weight": weight, "n.bias": bias}
    return reference.normalise(norm, tensors, x)


def test_quantize_rows():
    with kernels(SHAPE) as (device, _):
        rng = np.random.default_rng(0)
        batch, tokens = upload_batch(device, [37])
        for group in (64, 128):
            x = (rng.normal(size=(CAPACITY, 128)) * 10).astype(np.float32)
            x[3], x[4] = 0, np.abs(x[4])
            q, ranges = device.allocate(x.size), device.allocate(4 * CAPACITY * 4)
            out = {"group": group, "groups": 128 // group, "q": q, "ranges": ranges}
            device.launch("quantize_rows_128", batch=batch, x=device.upload(x), **norm_of(device), **out)
            expected, scale, zero = reference.quantize_rows(x[:tokens], group)
            np.testing.assert_array_equal(read(device, q, x.shape, np.uint8)[:tokens], expected)
            got = read(device, ranges, (CAPACITY, 128 // group, 2), np.float32)
            np.testing.assert_array_equal(got[:tokens, :, 1], zero)
            np.testing.assert_array_equal(got[:tokens, :, 0], scale)
            assert not read(device, q, x.shape, np.uint8)[tokens:].any()


def test_arguments_have_to_be_the_kernels():
    with kernels(SHAPE) as (device, _):
        norm = ("size", "rms", "weight", "bias", "eps")
        right = dict.fromkeys(("batch", "x", *norm, "group", "groups", "q", "ranges"), 0)
        for wrong in ({**right, "N": 1}, {name: 0 for name in right if name != "q"}):
            with pytest.raises(TypeError, match=r"quantize_rows_64 got .*, expected \['batch', 'bias'"):
                device.launch("quantize_rows_64", **wrong)


def test_embed_without_norm_or_reader():
    """The stream begins as it is, and what reads it is normalised beside it, without a mean."""
    with kernels(SHAPE) as (device, _):
        rng = np.random.default_rng(8)
        batch, tokens = upload_batch(device, [5, 4])
        words, scale = rng.integers(-127, 128, (2, 64)).astype(np.int8), rng.uniform(0.01, 0.1, 2).astype(np.float32)
        rest = rng.normal(size=(2, 8, 64)).astype(np.float32)
        factor = np.ldexp(np.float32(1), rng.integers(-9, 10, 64))
        weight, bias = rng.normal(size=64).astype(np.float32), np.zeros(64, np.float32)
        for array in (words, rest, weight):
            array[..., 48:] = 0
        hidden, q, ranges = (device.allocate(CAPACITY * size) for size in (4 * 64, 64, 8))
        device.launch(
            "embed",
            batch=batch,
            words=device.upload(words),
            word_scale=device.upload(scale),
            word_factor=device.upload(factor),
            positions=device.upload(rest[0]),
            token_types=device.upload(rest[1]),
            **norm_of(device),
            hidden=hidden,
            group=0,
            groups=0,
            q=q,
            ranges=ranges,
        )
        x = read(device, hidden, (CAPACITY, 64), np.float32)
        positions = pack([[1] * 5, [1] * 4]).position_ids
        expected = words[1].astype(np.float32) * scale[1] * factor + rest[0][positions] + rest[1][0]
        np.testing.assert_allclose(x[:tokens], expected, rtol=1e-6, atol=1e-6)
        assert not read(device, q, (CAPACITY, 64), np.uint8).any()
        out = {"group": 64, "groups": 1, "q": q, "ranges": ranges}
        device.launch("quantize_rows_64", batch=batch, x=hidden, **norm_of(device, weight, bias, rms=True), **out)
        normal = normalised(x[:tokens], weight, bias, rms=True)
        assert_levels(read(device, q, (CAPACITY, 64), np.uint8)[:tokens], normal)
        np.testing.assert_array_equal(read(device, hidden, x.shape, np.float32), x)


def test_embed_with_one_small_table():
    for int4, present in ((False, "positions"), (True, "token_types")):
        shape = SHAPE._replace(int4=int4, **{"positions": False, "token_types": False, present: True})
        with kernels(shape) as (device, _):
            rng = np.random.default_rng(9)
            batch, tokens = upload_batch(device, [5, 4])
            words = rng.integers(-127, 128, (2, 32 if int4 else 64)).astype(np.int8)
            scale = rng.uniform(0.01, 0.1, (2, 1) if int4 else 2).astype(np.float32)
            rest = rng.normal(size=(8, 64)).astype(np.float32)
            factor = np.ldexp(np.float32(1), rng.integers(-9, 10, 64))
            hidden, q, ranges = (device.allocate(CAPACITY * size) for size in (4 * 64, 64, 8))
            device.launch(
                "embed",
                batch=batch,
                words=device.upload(words),
                word_scale=device.upload(scale),
                word_factor=device.upload(factor),
                **{"positions": ranges, "token_types": ranges, present: device.upload(rest)},
                **norm_of(device),
                hidden=hidden,
                group=64,
                groups=1,
                q=q,
                ranges=ranges,
            )
            got = read(device, hidden, (CAPACITY, 64), np.float32)[:tokens]
            tensors = {"w.weight": words, "w.scale": scale, "w.factor": factor, "rest.weight": rest}
            tables = Embeddings(Table("w", 2, 64), None, None, None)._replace(**{present: Table("rest", 8, 64)})
            expected = reference.embed(tables, tensors, pack([[1] * 5, [1] * 4]))
            np.testing.assert_array_equal(got, expected)
            assert_levels(read(device, q, (CAPACITY, 64), np.uint8)[:tokens], expected)


def assert_levels(q, normal):
    """What a test normalises itself may fall to the other side of an edge between two levels."""
    wanted, *_ = reference.quantize_rows(normal)
    assert np.abs(q.astype(int) - wanted).max() <= 1
    assert (q != wanted).mean() < 0.01


def test_add_and_norm():
    check_add_and_norm("add_and_norm", rms=False, branch=False)


def test_add_and_norm_beside_the_stream():
    check_add_and_norm("add_and_norm_beside", rms=False, branch=False)


def test_add_and_norm_of_a_branch_that_is_normalised():
    check_add_and_norm("add_and_norm_beside", rms=True, branch=True)


def check_add_and_norm(name, rms, branch):
    with kernels(SHAPE._replace(pre_norm=True)) as (device, _):
        rng = np.random.default_rng(5)
        batch, tokens = upload_batch(device, [9])
        size = 48
        x, y = (rng.normal(size=(CAPACITY, 64)).astype(np.float32) for _ in range(2))
        smoothing, *parts = (rng.normal(size=64).astype(np.float32) for _ in range(5))
        for array in (x, y, smoothing, *parts):
            array[..., size:] = 0
        if rms:
            parts[1][:] = parts[3][:] = 0
        hidden, q, ranges = device.upload(x), device.allocate(CAPACITY * 64), device.allocate(4 * CAPACITY * 2)
        narrow = device.upload(y)
        branch_norm = norm_of(device, *parts[2:], rms=rms) if branch else norm_of(device)
        device.launch(
            name,
            batch=batch,
            hidden=hidden,
            smoothing=device.upload(smoothing),
            narrow=narrow,
            **{f"branch_{part}": value for part, value in branch_norm.items()},
            **norm_of(device, *parts[:2], rms=rms),
            group=64,
            groups=1,
            q=q,
            ranges=ranges,
        )
        got = read(device, hidden, x.shape, np.float32)
        added = normalised(y, *parts[2:], rms) if branch else y
        sums = (x * smoothing + added)[:tokens]
        normal = normalised(sums, *parts[:2], rms)
        beside = name == "add_and_norm_beside"
        np.testing.assert_allclose(got[:tokens], sums if beside else normal, rtol=0, atol=1e-5)
        assert not got[:tokens, size:].any()
        np.testing.assert_array_equal(got[tokens:], x[tokens:])
        np.testing.assert_array_equal(read(device, narrow, y.shape, np.float32), y)
        levels = read(device, q, x.shape, np.uint8)[:tokens]
        if beside:
            assert_levels(levels, normal)
        else:
            np.testing.assert_array_equal(levels, reference.quantize_rows(got[:tokens])[0])
