"""Layers that share their weights: which they are, and that they are quantized for all of their passes."""

from __future__ import annotations

import numpy as np
import pytest

from edgebert.batch import pack
from edgebert.checkpoint.names import encoder_tensors
from edgebert.evaluate.arithmetic import encode
from edgebert.families import FAMILIES, config_of, encoder_of
from edgebert.kernels import reference
from edgebert.quantize.encoder import inputs_of_shared, quantize_encoder
from edgebert.steps import linear_of, steps

ALBERT = FAMILIES["albert"]
SIZES = {"hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 128, "embedding_size": 32, "vocab_size": 50}


def config(**values):
    return ALBERT.read_config({"model_type": "albert", **SIZES, "max_position_embeddings": 40, **values})


def layers_of(**values):
    """Return the weights of each pass, by the name of their first layer."""
    found = encoder_of(config(**values)).layers
    return [layer.feed_forward.output.name.removesuffix(".output.dense") for layer in found]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"num_hidden_layers": 3}, ["0.0"] * 3),
        ({"num_hidden_layers": 4, "num_hidden_groups": 2}, ["0.0", "0.0", "1.0", "1.0"]),
        ({"num_hidden_layers": 3, "num_hidden_groups": 2}, ["0.0", "0.0", "1.0"]),  # as transformers divides
        ({"num_hidden_layers": 2, "inner_group_num": 2}, ["0.0", "0.1", "0.0", "0.1"]),
    ],
)
def test_which_weights_each_pass_has(values, expected):
    assert layers_of(**values) == [f"encoder.layer.{name}" for name in expected]


def test_embeddings_are_projected_even_where_they_are_as_wide():
    assert encoder_of(config(embedding_size=64)).embeddings.project is not None


def test_a_config_is_read_back():
    own = config(num_hidden_layers=4, num_hidden_groups=2, inner_group_num=2)
    assert config_of(own.to_dict()) == own


def test_the_result_is_not_smoothed():
    """The norm of the last pass stands in others too, where the next layer undoes what it divides."""
    last = encoder_of(config(num_hidden_layers=3)).layers[-1].feed_forward_norm
    assert last.stored == "encoder.layer.0.0.output.LayerNorm" != last.name


@pytest.mark.parametrize(
    "values",
    [
        {"num_hidden_layers": 4},
        {"num_hidden_layers": 4, "num_hidden_groups": 2},
        {"num_hidden_layers": 2, "inner_group_num": 2},
        {"num_hidden_layers": 3, "embedding_size": 64},
    ],
)
def test_shared_layers_are_quantized_for_all_of_their_passes(values):
    encoder, rng = encoder_of(config(**values)), np.random.default_rng(4)
    weights = {
        name: (0.1 * rng.normal(size=shape)).astype(np.float32) for name, shape in encoder_tensors(encoder).items()
    }
    for norm in encoder.norms():
        weights[f"{norm.stored}.weight"] += np.float32(1)
    batch = pack([rng.integers(0, 50, 30).tolist() for _ in range(8)])
    tensors, hidden, report = quantize_encoder(encoder, weights, batch)
    exact = encode(encoder, weights, batch)
    for found in (hidden, reference.encode(encoder, tensors, batch)):
        products = np.sum(found * exact, axis=1)
        lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(exact, axis=1)
        assert (products / lengths).min() > 0.999
    assert set(report.errors) == {linear.name for linear in encoder.linears()}


def test_the_inputs_of_a_shared_layer_come_from_every_pass():
    encoder, rng = encoder_of(config(num_hidden_layers=4)), np.random.default_rng(4)
    weights = {
        name: (0.1 * rng.normal(size=shape)).astype(np.float32) for name, shape in encoder_tensors(encoder).items()
    }
    batch = pack([rng.integers(0, 50, 30).tolist() for _ in range(2)])
    inputs = inputs_of_shared(encoder, weights, batch)
    shared = {linear.name for step in steps(encoder) if (linear := linear_of(step))} - {"embeddings_project"}
    assert set(inputs) == shared
    assert {len(rows) for rows in inputs.values()} == {60}
    first = encoder.layers[0].feed_forward.output
    assert inputs[first.name].shape == (60, first.K)
