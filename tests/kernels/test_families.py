"""One result whatever the processor: families with a fused multiply-add give the same bits."""

import numpy as np
import pytest

import edgebert
from edgebert.engine.library import load_library
from edgebert.engine.processor import available_families
from edgebert.kernels.plan import DEPTHS
from edgebert.kernels.simd.families import FAMILIES
from tests.golden import NAMES, load_inputs
from tests.kernels.calls import (
    activate,
    add_layer_norm,
    assert_equal,
    attend,
    dense,
    expand,
    matmul,
    pack,
    project_heads,
    quantize_rows,
)

FUSED = [name for name in available_families() if FAMILIES[name].has_fma]
fused_families = pytest.mark.skipif(len(FUSED) < 2, reason="this processor has one family with FMA at most")


def run_quantize_rows(library, rng):
    return quantize_rows(library, rng.normal(size=(5, 384)).astype(np.float32))


def draw_linear(rng, M, N, K, group):
    """Draw a linear layer and its rows; weights of up to 32 fit either depth."""
    groups = -(-K // group)
    q = rng.integers(0, 256, (M, K), np.uint8)
    row_scale = rng.uniform(0.001, 0.1, (M, groups)).astype(np.float32)
    zero = rng.integers(0, 256, (M, groups)).astype(np.float32)
    panels = pack(rng.integers(-32, 33, (K, N), np.int8))
    scale = rng.uniform(1e-4, 1e-2, (groups, N)).astype(np.float32)
    return q, row_scale, zero, panels, scale, rng.normal(size=N).astype(np.float32)


def run_matmul(library, rng):
    operands = draw_linear(rng, 70, 80, 640, 384)
    return [matmul(library, *operands, group=384, depth=depth) for depth in DEPTHS]


def run_expand(library, rng):
    operands = draw_linear(rng, 70, 320, 64, 64)
    options = {"factor": rng.uniform(0.5, 2, 320).astype(np.float32), "out_group": 192}
    return [array for form in ("erf", "tanh") for array in expand(library, *operands, form=form, **options)]


def run_project_heads(library, rng):
    return project_heads(library, *draw_linear(rng, 37, 3 * 3 * 48, 64, 64), heads=3)


def run_activate(library, rng):
    x = (rng.normal(size=4096) * 8).astype(np.float32)
    return [activate(library, x, "erf"), activate(library, x, "tanh")]


def run_add_layer_norm(library, rng):
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in ((5, 100), 100, (5, 100), 100, 100)]
    return [add_layer_norm(library, *arrays, 1e-12)]


def run_attend(library, rng):
    rows = rng.normal(size=(60, 3 * 3 * 48)).astype(np.float32)
    return [attend(library, rows, np.array([0, 33, 34, 60], np.int32), 3, 0.1)]


def run_dense(library, rng):
    return [dense(library, rng.normal(size=(9, 100)).astype(np.float32), rng.normal(size=(100, 48)).astype(np.float32))]


@fused_families
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
    ],
)
def test_kernels_give_the_same_bits(cache_home, run):
    first, *others = (run(load_library(name), np.random.default_rng(0)) for name in FUSED)
    for other in others:
        for got, expected in zip(other, first, strict=True):
            assert_equal(got, expected)


@pytest.fixture
def hidden_states(golden_files, monkeypatch):
    """Return a function from (golden model, family) to all of its hidden states, end to end."""

    def compute(model, family):
        monkeypatch.setenv("EDGEBERT_FAMILY", family)
        loaded = edgebert.load(golden_files[model], threads=1)
        assert loaded._runner.backend.family == family
        return np.concatenate(loaded.hidden_states(load_inputs(model)))

    return compute


@fused_families
@pytest.mark.parametrize("model", NAMES)
def test_models_give_the_same_bits(hidden_states, model):
    expected = hidden_states(model, FUSED[0])
    for family in FUSED[1:]:
        assert_equal(hidden_states(model, family), expected)


@pytest.mark.parametrize("model", NAMES)
def test_portable_agrees_with_the_best_family(hidden_states, model):
    """Its products are rounded twice; that may move an activation to the next of 256 levels."""
    best, portable = hidden_states(model, available_families()[0]), hidden_states(model, "portable")
    assert np.sqrt(np.mean(np.square(best - portable))) < 5e-3
    np.testing.assert_allclose(portable, best, rtol=0, atol=0.1)
