"""One result whatever the processor: families with a fused multiply-add give the same bits."""

import functools

import numpy as np
import pytest

from edgebert.architecture import Rotary
from edgebert.engine.backend import CompiledBackend
from edgebert.kernels.plan import ACTIVATION_CODES, INT16_STEPS
from edgebert.model import Model
from edgebert.model_file import ModelFile
from edgebert.positions import angles_of
from edgebert.runner import token_budget
from tests.emulator import EMULATED
from tests.golden import NAMES, load_inputs
from tests.kernels.calls import (
    activate,
    add_layer_norm,
    assert_equal,
    dense,
    expand,
    lstm,
    matmul,
    pack,
    quantize_rows,
    unsigned,
)
from tests.kernels.calls_of_heads import attend, disentangled, heads_of, project_heads
from tests.selection import AVAILABLE, of_families

BEST, *OTHERS = AVAILABLE
OTHERS += [name for name in EMULATED if name not in AVAILABLE]


def run_quantize_rows(library, rng):
    return quantize_rows(library, rng.normal(size=(5, 384)).astype(np.float32))


def draw_linear(rng, M, N, K, group):
    """Draw a linear layer and its rows; weights of up to 32 fit any number of int16 steps."""
    groups = -(-K // group)
    q = rng.integers(0, 256, (M, K), np.uint8)
    row_scale = rng.uniform(0.001, 0.1, (M, groups)).astype(np.float32)
    zero = rng.integers(0, 256, (M, groups)).astype(np.float32)
    panels = pack(rng.integers(-32, 33, (K, N), np.int8))
    scale = rng.uniform(1e-4, 1e-2, (groups, N)).astype(np.float32)
    return q, row_scale, zero, panels, scale, rng.normal(size=N).astype(np.float32)


def run_matmul(library, rng):
    operands = draw_linear(rng, 70, 80, 640, 384)
    return [matmul(library, *operands, group=384, int16_steps=int16_steps) for int16_steps in INT16_STEPS]


def run_expand(library, rng):
    operands = draw_linear(rng, 70, 320, 64, 64)
    options = {"factor": rng.uniform(0.5, 2, 320).astype(np.float32), "out_group": 192}
    results = [expand(library, *operands, form=form, **options)[0] for form in ("erf", "tanh")]
    return [array for q, scale, zero in results for array in (unsigned(library, q), scale, unsigned(library, zero))]


def run_project_heads(library, rng):
    plain = project_heads(library, *draw_linear(rng, 37, 3 * 3 * 48, 64, 64), heads=3)
    turned = {"positions": np.arange(37, dtype=np.int32)}
    turned["angles"] = angles_of(heads_of(3, 1.0, rotary=Rotary(99.0))._replace(head_dim=32), 37)
    norms = [(rng.uniform(0.5, 2, 32).astype(np.float32), 1e-6)] * 2
    operands = draw_linear(rng, 37, 3 * 3 * 32, 64, 64)
    return [*plain, *project_heads(library, *operands, heads=3, norms=norms, **turned)]


def run_activate(library, rng):
    x = (rng.normal(size=4096) * 8).astype(np.float32)
    return [activate(library, x, form) for form in ACTIVATION_CODES]


def run_add_layer_norm(library, rng):
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in ((5, 100), 100, (5, 100), 100, 100)]
    return add_layer_norm(library, *arrays, 1e-12)


def run_attend(library, rng):
    rows = rng.normal(size=(60, 3 * 3 * 48)).astype(np.float32)
    cu_seqlens = np.array([0, 33, 34, 60], np.int32)
    bias = rng.normal(size=(3, 2 * 33 - 1)).astype(np.float32)
    kinds = [{}, {"window": 5}, {"causal": True}]
    results = [attend(library, rows, cu_seqlens, heads_of(3, 0.1, **kind)) for kind in kinds]
    scored, tensors = disentangled(3, 48, 10, 40)
    results.append(attend(library, rows, cu_seqlens, scored, tensors=tensors))
    return [*results, attend(library, rows, cu_seqlens, heads_of(3, 0.1), bias=bias)]


def run_dense(library, rng):
    return [dense(library, rng.normal(size=(9, 100)).astype(np.float32), rng.normal(size=(100, 48)).astype(np.float32))]


def run_lstm(library, rng):
    weight = (rng.normal(size=(48, 192)) / 7).astype(np.float32)
    return [lstm(library, rng.normal(size=(9, 192)).astype(np.float32), weight)]


@pytest.mark.parametrize("family", of_families(OTHERS))
@pytest.mark.parametrize(
    "run",
    [
        run_quantize_rows,
        run_matmul,
        run_expand,
        run_project_heads,
        run_activate,
        run_add_layer_norm,
        run_attend,
        run_dense,
        run_lstm,
    ],
)
def test_kernels_give_the_same_bits(library_of, run, family):
    expected = run(library_of(BEST), np.random.default_rng(0))
    for got, wanted in zip(run(library_of(family), np.random.default_rng(0)), expected, strict=True):
        assert_equal(got, wanted)


@pytest.fixture(scope="module")
def hidden_states(golden_files, library_of):
    """Return a function from (golden model, family) to all of its hidden states."""

    def compute(model, family):
        file = ModelFile(golden_files[model])
        config, tensors = file.info.config, file.tensors
        backend = CompiledBackend(config, tensors, library_of(family), 1, token_budget(config))
        return np.concatenate(Model(file, backend).hidden_states(load_inputs(model)))

    return functools.cache(compute)


@pytest.mark.parametrize("family", of_families(OTHERS))
@pytest.mark.parametrize("model", NAMES)
def test_models_give_the_same_bits(hidden_states, model, family):
    assert_equal(hidden_states(model, family), hidden_states(model, BEST))
