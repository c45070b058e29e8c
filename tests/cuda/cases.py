"""GPU kernels against the NumPy reference: on a GPU where there is one, else in Numba's simulator, or by their PTX.

Each function is a test; `tests.cuda.test_kernels` runs it in a process of its own, since Numba decides when it is
imported whether it simulates. Integers are compared for equality.
"""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path

import numpy as np
import pytest

import edgebert.cuda.encoder as encoder_module
from edgebert.architecture import Attention, FeedForward, Linear, Norm, Rotary, Table
from edgebert.batch import pack, spans
from edgebert.checkpoint.names import encoder_tensors
from edgebert.cuda.encoder import CudaEncoder
from edgebert.cuda.layout import constants, in_fragments
from edgebert.cuda.shape import expand_tile, heads_tile, project_tile, shape_of
from edgebert.cuda.signatures import attend_kind, kernel_name
from edgebert.engine.backend import open_backend
from edgebert.errors import EdgebertError
from edgebert.families import encoder_of, gemma3_text, modernbert
from edgebert.kernels import reference
from edgebert.model_file import ModelFile
from edgebert.positions import angles_of, distances_of, split_heads
from edgebert.quantize.encoder import quantize_encoder
from tests.cuda.gpu import CAPACITY, SHAPE, SIMULATED, driver_and_target, kernels, read, upload_batch


def quantized_rows(rng, device, K, groups):
    """Draw quantized rows; return q, scale, zero and the addresses of what kernels read."""
    x = (rng.normal(size=(CAPACITY, K)) * rng.uniform(0.1, 3, (CAPACITY, 1))).astype(np.float32)
    q, scale, zero = reference.quantize_rows(x, K // groups)
    return q, scale, zero, device.upload(q), device.upload(np.stack([scale, zero], axis=2))


def linear(rng, device, N, K, groups, tile):
    """Draw a linear layer; return what the reference takes of it, and what kernels take."""
    panels = rng.integers(-127, 128, (N // 16, K // 4, 16, 4)).astype(np.int8)
    scale = rng.uniform(0.001, 0.01, (groups, N)).astype(np.float32)
    bias = rng.normal(size=N).astype(np.float32)
    weight = panels.transpose(1, 3, 0, 2).reshape(groups, K // groups, N)
    together = constants(scale, weight.sum(axis=1, dtype=np.int32), bias, tile.columns)
    arguments = {"K": K, "group": K // groups, "groups": groups, "width": together.shape[1]}
    arguments["weight"] = device.upload(in_fragments(panels, tile.columns))
    return (panels, scale, bias, K // groups), {**arguments, "constants": device.upload(together)}


def test_project():
    check_project(None, ((64, 1), (384, 2)))


def test_project_with_one_stage():
    """Where shared memory holds one step of a tile."""
    check_project(2**15 if "EDGEBERT_TEST_PTX" in os.environ else 2**14, ((192, 1),))


def check_project(shared_bytes, sizes):
    with kernels(SHAPE, shared_bytes) as (device, target):
        assert not SIMULATED or (project_tile(target).stages == 1) == (shared_bytes is not None)
        rng = np.random.default_rng(1)
        batch, tokens = upload_batch(device, [37])
        for K, groups in sizes:
            q, scale, zero, q_at, ranges = quantized_rows(rng, device, K, groups)
            layer, arguments = linear(rng, device, 64, K, groups, project_tile(target))
            out = device.allocate(4 * CAPACITY * 64)
            device.launch("project", batch=batch, x=q_at, ranges=ranges, **arguments, N=64, out=out, out_row=64)
            got = read(device, out, (CAPACITY, 64), np.float32)[:tokens]
            expected = reference.matmul(q, scale, zero, *layer)[:tokens]
            # Sums are whole numbers, and exact; of what follows, fused roundings may differ in the last bit.
            np.testing.assert_allclose(got, expected, rtol=3e-7, atol=1e-6)


def attention_of(heads, **parts):
    """Return an attention with heads of 24 values."""
    return Attention(heads, 24, *[Linear("", 0, 0)] * 2, **parts)


def test_project_heads():
    check_project_heads(attention_of(2))


def test_project_heads_that_are_turned():
    """Each half of a head is padded by itself; a text begins at 0 again."""
    check_project_heads(attention_of(2, rotary=Rotary(100.0)))


def test_project_heads_that_share_a_key():
    """Heads of keys alone are normalised, before they are turned."""
    norm = Norm("key", 24, 1e-6, rms=True)
    check_project_heads(attention_of(4, rotary=Rotary(100.0), key_value_heads=1, key_norm=norm))


def check_project_heads(attention):
    rotary, dim, (heads, key_heads, _) = attention.rotary, 32, attention.slots
    slots, turned_heads = heads + 2 * key_heads, heads + key_heads
    normed = attention.key_norm is not None
    with kernels(SHAPE._replace(rotary=rotary is not None, head_norms=normed)) as (device, target):
        rng = np.random.default_rng(2)
        batch, tokens = upload_batch(device, [20, 1])
        q, scale, zero, q_at, ranges = quantized_rows(rng, device, 64, 1)
        layer, arguments = linear(rng, device, slots * dim, 64, 1, heads_tile(target, dim))
        pairs, transposed = device.allocate(turned_heads * CAPACITY * dim), device.allocate(key_heads * CAPACITY * dim)
        head_scale = device.allocate(4 * slots * CAPACITY)
        out = {"pairs": pairs, "transposed": transposed, "head_scale": head_scale, "capacity": CAPACITY}
        angles = head_scale
        if rotary:
            angles = device.upload(np.pad(angles_of(attention, 64), [(0, 0), (0, 0), (0, 4)]))
        out["angles"], out["heads"], out["key_heads"] = angles, heads, key_heads
        weight = rng.uniform(0.5, 2, dim).astype(np.float32)
        out |= {"query_size": 0, "query_weight": head_scale, "query_eps": 0}
        out |= {"key_size": 24 * normed, "key_weight": device.upload(weight), "key_eps": 1e-6}
        device.launch("project_heads", batch=batch, x=q_at, ranges=ranges, **arguments, **out)
        product = reference.matmul(q, scale, zero, *layer)[:tokens]
        turned = reference.normalise_heads(product, attention, {"key.weight": weight})
        turned = reference.rotate_heads(turned, attention, pack([[1] * 20, [1]]).position_ids)
        assert np.array_equal(product, turned) == (rotary is None)
        expected, scales = reference.quantize_heads(repeated(turned, attention), heads)
        each = heads // key_heads
        got = read(device, pairs, (turned_heads, CAPACITY, dim), np.int8)[:, :tokens]
        values = read(device, transposed, (key_heads, dim, CAPACITY), np.int8)[:, :, :tokens].transpose(0, 2, 1)
        got = np.stack([got[:heads], got[heads:].repeat(each, axis=0), values.repeat(each, axis=0)])
        if normed:  # in another order: what lies on an edge between two levels may fall to the other
            assert np.abs(got.astype(int) - expected).max() <= 1
            assert (got != expected).mean() < 0.01
        else:
            np.testing.assert_array_equal(got, expected)
        own = read(device, head_scale, (slots, CAPACITY), np.float32)[:, :tokens]
        got_scales = np.stack(
            [part.repeat(heads // len(part), axis=0) for part in np.split(own, [heads, turned_heads])]
        )
        np.testing.assert_allclose(got_scales, scales, rtol=1e-6 if normed else 3e-7)


def repeated(x, attention):
    """Return queries, keys and values with the keys and values of several heads there for each."""
    parts = split_heads(x, attention)
    return np.concatenate([part.reshape(len(x), -1) for part in parts], axis=1)


def test_expand():
    check_expand(("erf", "tanh", "relu", "silu", "quick"), gated=False)


def test_expand_with_gates():
    check_expand(("erf",), gated=True)


def check_expand(forms, gated):
    for form in forms:
        shape = SHAPE._replace(form=form, gated=gated)
        with kernels(shape) as (device, target):
            rng = np.random.default_rng(3)
            batch, tokens = upload_batch(device, [35])
            q, scale, zero, q_at, ranges = quantized_rows(rng, device, 64, 1)
            tile = expand_tile(target, 64, gated=gated)
            layer, arguments = linear(rng, device, 128 * (1 + gated), 64, 1, tile)
            factor = rng.uniform(0.5, 2, arguments["width"] // (1 + gated)).astype(np.float32)
            inner, inner_ranges = device.allocate(CAPACITY * 128), device.allocate(4 * CAPACITY * 4)
            out = {"N": 128, "factor": device.upload(factor), "out_groups": 2}
            out |= {"pairs": inner, "out_ranges": inner_ranges}
            device.launch("expand_64", batch=batch, x=q_at, ranges=ranges, **arguments, **out)
            part = FeedForward(Linear("", 256, 64), form, Linear("", 64, 128), "", gated)
            y = reference.activate_gated(reference.matmul(q, scale, zero, *layer)[:tokens], part) * factor[:128]
            expected, scales, zeros = reference.quantize_rows(y, 64)
            got = read(device, inner, (CAPACITY, 128), np.uint8)[:tokens].astype(int)
            # Activations are polynomials there: what lies on an edge between two levels may fall to the other.
            assert np.abs(got - expected).max() <= 1
            assert (got != expected).mean() < 0.01
            got_ranges = read(device, inner_ranges, (CAPACITY, 2, 2), np.float32)[:tokens]
            np.testing.assert_allclose(got_ranges[:, :, 0], scales, rtol=5e-5)
            assert np.abs(got_ranges[:, :, 1] - zeros).max() <= 1


def attended(device, x, lengths, attention, bias=None, key_counts=None):
    """Return the context that the kernel computes from float32 queries, keys and values."""
    batch, tokens = upload_batch(device, lengths, key_counts)
    heads, key_heads, _ = attention.slots
    q, scales = reference.quantize_heads(repeated(x, attention), heads)
    dim, each = q.shape[3], heads // key_heads
    pairs, transposed = (
        np.zeros((heads + key_heads, CAPACITY, dim), np.int8),
        np.zeros((key_heads, dim, CAPACITY), np.int8),
    )
    head_scale = np.zeros((heads + 2 * key_heads, CAPACITY), np.float32)
    pairs[:, :tokens] = np.concatenate([q[0], q[1, ::each]])
    transposed[:, :, :tokens] = q[2, ::each].transpose(0, 2, 1)
    head_scale[:, :tokens] = np.concatenate([scales[0], scales[1, ::each], scales[2, ::each]])
    table, row, centre = head_scale, 0, 0
    if bias is not None:
        table = np.pad(bias * np.float32(math.log2(math.e)), [(0, 0), (16, 16)])
        row, centre = table.shape[1], bias.shape[1] // 2 + 16
    out = device.allocate(4 * CAPACITY * heads * dim)
    device.launch(
        kernel_name(attend_kind(attention.causal), attention.window),
        batch=batch,
        pairs=device.upload(pairs),
        transposed=device.upload(transposed),
        head_scale=device.upload(head_scale),
        capacity=CAPACITY,
        heads=heads,
        key_heads=key_heads,
        softmax_scale=math.log2(math.e) * attention.score_scale,
        position_bias=device.upload(table),
        bias_row=row,
        bias_centre=centre,
        context=out,
        context_row=heads * dim,
    )
    whole = read(device, out, (CAPACITY, heads * dim), np.float32)
    assert not whole[tokens:].any(), "it wrote beyond the last token"
    return whole[:tokens]


def test_attend():
    check_attend(wide(2))
    check_attend(wide(2), biased=True)


def test_attend_to_a_window():
    check_attend(wide(2, window=3))
    check_attend(wide(2, window=19), biased=True)


def test_attend_to_what_is_before():
    """By a key that two heads share: all that is before, weaker the farther it is (ALiBi), or some of it."""
    check_attend(wide(2, causal=True, key_value_heads=1, slopes=(0.5, 0.0625), scale=0.3))
    check_attend(wide(2, causal=True, key_value_heads=1, window=19))


def test_attend_to_some_of_the_tokens():
    counts = np.array([5, 20, 1, 12], np.int32)
    check_attend(wide(2), key_counts=counts)
    check_attend(wide(2, window=19), biased=True, key_counts=counts)


def wide(heads, **parts):
    """Return an attention with heads of 32 values."""
    return Attention(heads, 32, *[Linear("", 0, 0)] * 2, **parts)


def check_attend(attention, biased=False, key_counts=None):
    lengths = [5, 33, 1, 17]
    ends = np.concatenate([[0], np.cumsum(lengths)])
    rng = np.random.default_rng(4)
    x = rng.normal(size=(ends[-1], sum(attention.slots) * 32)).astype(np.float32)
    drawn = rng.normal(size=(attention.heads, 2 * 64 - 1)).astype(np.float32)
    bias = drawn if biased else distances_of(attention, {}, 64)
    shape = SHAPE._replace(biased=bias is not None, reaches=((attention.window, attention.causal),))
    with kernels(shape) as (device, _):
        got = attended(device, x, lengths, attention, bias, key_counts)
        expected = reference.attend(x, ends, attention, bias, key_counts=key_counts)
        np.testing.assert_allclose(got, expected, rtol=0, atol=3e-4)
        # The same bits alone.
        for begin, end, count in [*spans(ends, key_counts)][1:]:
            alone = attended(device, x[begin:end], [end - begin], attention, bias, np.array([count], np.int32))
            np.testing.assert_array_equal(alone, got[begin:end])


def check_new_parts():
    """Normalised before, turned, gated, one layer that sees all and one that sees a window; no positions to add."""
    config = modernbert.ModernBertConfig(
        vocab_size=40,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=72,
        max_position_embeddings=64,
        type_vocab_size=1,
        global_attn_every_n_layers=2,
        local_attention=6,
    )
    check_model(modernbert.encoder(config))


def check_decoder():
    """Gemma's parts, with token types alone and the slopes of ALiBi: one layer sees five tokens, one all before it."""
    config = gemma3_text.GemmaConfig.from_dict(
        {
            "vocab_size": 40,
            "hidden_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 24,
            "intermediate_size": 72,
            "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
            "max_position_embeddings": 64,
            "sliding_window": 5,
            "query_pre_attn_scalar": 16,
            "layer_types": ["sliding_attention", "full_attention"],
        }
    )
    whole = gemma3_text.encoder(config)
    slopes = (0.5, 0.25, 0.125, 0.0625)
    layers = tuple(layer._replace(attention=layer.attention._replace(slopes=slopes)) for layer in whole.layers)
    embeddings = whole.embeddings._replace(token_types=Table("types", 2, 48))
    check_model(dataclasses.replace(whole, embeddings=embeddings, layers=layers))


def check_model(encoder):
    """Run a model with random weights: what the reference answers, and the same bits whatever else is in the batch."""
    rng = np.random.default_rng(7)
    weights = {name: rng.normal(size=size).astype(np.float32) for name, size in encoder_tensors(encoder).items()}
    for norm in encoder.norms():
        weights[f"{norm.name}.weight"] = 1 - norm.offset + weights[f"{norm.name}.weight"] / 5
    for part in encoder.linears():
        for name in part.stored:
            weights[f"{name}.weight"] /= np.sqrt(np.float32(part.K))
    ids = [rng.integers(0, 40, length).tolist() for length in (3, 17, 1)]
    tensors, *_ = quantize_encoder(encoder, weights, pack(ids))
    driver, target = driver_and_target(shape_of(encoder, tensors))
    if SIMULATED:
        encoder_module.load_program = lambda *_: b""
    on_gpu = CudaEncoder(encoder, tensors, 60, driver, target)
    batch = pack(ids)
    got = on_gpu.encode(batch)
    assert_close(got, reference.encode(encoder, tensors, batch))
    np.testing.assert_array_equal(on_gpu.encode(pack(ids[:1])), got[:3])
    on_gpu.close()


def assert_close(got, expected):
    norms = np.linalg.norm(got, axis=1) * np.linalg.norm(expected, axis=1)
    assert (np.sum(got * expected, axis=1) / norms).min() >= 0.99999


def test_model(path):
    """Run a whole model: what the processor's kernels answer, and the same bits whatever else is in the batch."""
    file = ModelFile(Path(path))
    config, tensors = file.info.config, file.tensors
    driver, target = driver_and_target(shape_of(encoder_of(config), tensors))
    if SIMULATED:
        encoder_module.load_program = lambda *_: b""
    encoder = CudaEncoder(encoder_of(config), tensors, 60, driver, target)
    rng = np.random.default_rng(6)
    ids = [rng.integers(0, config.vocab_size, length).tolist() for length in (3, 18, 1)]
    batch = pack(ids, padding=config.padding)
    got, expected = encoder.encode(batch), open_backend(config, tensors, 1, 60).encode(batch)
    assert_close(got, expected)
    np.testing.assert_array_equal(encoder.encode(pack(ids[:1], padding=config.padding)), got[:3])
    assert encoder.encode(pack([])).shape == (0, config.hidden_size)
    encoder._process = -1
    with pytest.raises(EdgebertError, match="cannot be used by a forked process"):
        encoder.encode(batch)
    encoder._process = os.getpid()
    encoder.close()
