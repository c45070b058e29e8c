"""The recurrent layer of a head."""

import numpy as np
import pytest

from edgebert import functions
from tests.kernels.calls import assert_equal, lstm


def drawn(seed, T, size, spread=1.0):
    """Draw gates and a recurrent weight."""
    rng = np.random.default_rng(seed)
    gates = (spread * rng.normal(size=(T, 4 * size))).astype(np.float32)
    return gates, (rng.normal(size=(size, 4 * size)) / size**0.5).astype(np.float32)


@pytest.mark.parametrize(("T", "size"), [(0, 16), (1, 16), (2, 48), (40, 32), (7, 128)])
def test_against_the_oracle(library, T, size):
    gates, weight = drawn(T + size, T, size)
    assert np.abs(lstm(library, gates, weight) - functions.lstm(gates, weight)).max(initial=0) < 2e-5


@pytest.mark.parametrize("spread", [30.0, 1e4, 3e37])
def test_gates_that_are_far_open_or_shut(library, spread):
    gates, weight = drawn(5, 12, 16, spread)
    found = lstm(library, gates, weight)
    assert np.isfinite(found).all()
    assert np.abs(found - functions.lstm(gates, weight)).max() < 2e-5


def test_zeros_stay_zeros(library):
    """Of gates that were extended to whole vectors the states are, too."""
    gates, weight = drawn(7, 9, 32)
    gates.reshape(9, 4, 32)[:, :, 20:] = 0
    weight.reshape(32, 4, 32)[:, :, 20:] = 0
    found = lstm(library, gates, weight)
    assert (found[:, 20:] == 0).all()
    assert found[:, :20].all()


def test_every_gate_has_its_place():
    """Torch's order: what enters, what stays, the cell, what leaves (torch.nn.LSTM)."""
    weight = np.zeros((1, 4), np.float32)

    def after(first, second):
        return functions.lstm(np.array([first, second], np.float32), weight)[:, 0]

    shut = -40.0
    opened = after([40, 40, 0.5, 40], [shut, 40, 9, 40])
    cell = np.tanh(np.float64(0.5))
    assert opened == pytest.approx([np.tanh(cell)] * 2, abs=1e-6)  # nothing enters in the second step, and all stays
    assert after([40, 40, 0.5, shut], [shut, shut, 9, 40]) == pytest.approx([0, 0], abs=1e-6)


def test_the_state_is_fed_back():
    gates = np.array([[40, 0, 0.7, 40], [0, 0, 0, 0]], np.float32)
    first, second = functions.lstm(gates, np.array([[0.1, 0.2, 0.3, 0.4]], np.float32))[:, 0].astype(np.float64)
    enters, stays, new, leaves = np.array([0.1, 0.2, 0.3, 0.4]) * first

    def gate(x):
        return 1 / (1 + np.exp(-x))

    cell = gate(stays) * np.tanh(np.float64(np.float32(0.7))) + gate(enters) * np.tanh(new)
    assert second == pytest.approx(gate(leaves) * np.tanh(cell), abs=1e-6)


def test_a_sequence_does_not_depend_on_how_it_is_called(library):
    gates, weight = drawn(8, 20, 32)
    whole = lstm(library, gates, weight)
    assert_equal(lstm(library, gates[:9], weight), whole[:9])
