"""Activations: close to the exact function everywhere, not only where a polynomial was fitted."""

import numpy as np
import pytest

from edgebert import functions
from edgebert.kernels.plan import ACTIVATION_CODES
from tests.kernels.calls import activate, assert_equal

TOLERANCES = {"erf": 4e-5, "tanh": 4e-5, "quick": 2e-6, "silu": 2e-6, "relu": 0}
"""Absolute, where the activation is of the size of 1; as much relative to x where it is larger. A step of the 255 that
the range of the outputs is quantized to is a hundred times the largest."""
LARGE = (7, 9.5, 10, 13, 30, 100, 1e4, 1e8, 1e15, 1e30, 3e38)


@pytest.fixture(params=list(ACTIVATION_CODES))
def form(request):
    """Return the name of each activation."""
    return request.param


def test_on_a_dense_grid(library, form):
    x = np.linspace(-30, 30, 1 << 17, dtype=np.float32)
    error = np.abs(activate(library, x, form).astype(np.float64) - functions.activate(x, form))
    at, tolerance = error.argmax(), TOLERANCES[form]
    assert (error <= tolerance * np.maximum(1, np.abs(x))).all(), f"{error[at]:.2g} at {x[at]}"
    below = x < 1
    assert (error[below] <= tolerance).all(), f"{error[below].max():.2g} below 1"


def test_large_values(library, form):
    """Zero on one side, the value itself on the other: no overflow, no residue that grows with the value."""
    x = np.resize(np.array(LARGE, np.float32), 16)
    np.testing.assert_allclose(activate(library, x, form), functions.activate(x, form), rtol=TOLERANCES[form])
    assert np.abs(activate(library, -x, form) - functions.activate(-x, form)).max() <= TOLERANCES[form]


def test_around_zero(library, form):
    """All but ReLU are x / 2 there, also for denormal values; zero stays zero."""
    x = np.array([0, -0.0, 1e-45, -1e-45, 1e-38, -1e-38, 1e-20, -1e-20, 1e-7, -1e-7] + [0] * 6, np.float32)
    got = activate(library, x, form)
    np.testing.assert_allclose(got, np.maximum(x, 0) if form == "relu" else x / 2, rtol=1e-5, atol=2e-45)
    assert not got[:2].any()


def test_the_forms_differ(library):
    """By 4.7e-4 at most, which is far above the tolerance: a wrong code is seen."""
    x = np.linspace(-4, 4, 1024, dtype=np.float32)
    difference = np.abs(activate(library, x, "erf") - activate(library, x, "tanh"))
    assert 4e-4 < difference.max() < 6e-4


def test_the_reference_is_the_definition():
    """Worked out in decimal: x / (1 + exp(-x)), x / (1 + exp(-1.702 x)); without overflow at either end."""
    x = np.array([-2, -1, 0.5, 3], np.float32)
    np.testing.assert_allclose(functions.activate(x, "silu"), [-0.23840584, -0.26894142, 0.31122967, 2.8577224], 1e-6)
    np.testing.assert_allclose(functions.activate(x, "quick"), [-0.06434137, -0.15420423, 0.35038763, 2.9819254], 1e-5)
    assert functions.activate(x, "relu").tolist() == [0, 0, 0.5, 3]
    ends = np.array([-3e38, 3e38], np.float32)
    for form in ACTIVATION_CODES:
        np.testing.assert_allclose(functions.activate(ends, form), [0, ends[1]])


def test_every_lane_computes_alike(library, form):
    x = np.random.default_rng(1).normal(size=64).astype(np.float32)
    shifted = activate(library, np.roll(x, 5), form)
    assert_equal(np.roll(shifted, -5), activate(library, x, form))
