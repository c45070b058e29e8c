"""Vectors: poolings, Dense modules, prompts, dimensions, tokens."""

from __future__ import annotations

import json

import numpy as np
import pytest

import edgebert
from edgebert.choices import POOLINGS
from edgebert.errors import InputError
from edgebert.heads.pooling import pool, unit
from tests.checkpoint.folders import change_json, copy_model, write_safetensors

TEXTS = ["the film was good", "中文", "a"]


@pytest.fixture(scope="module")
def encoder(golden_files):
    return edgebert.load(golden_files["encoder"])


def test_every_pooling_is_that_of_the_tokens(encoder):
    tokens = encoder.embed(TEXTS, "none")
    assert [len(rows) for rows in tokens] == [6, 4, 3]
    for pooling in POOLINGS:
        expected = np.stack([pool(rows, pooling) for rows in tokens])
        assert (encoder.embed(TEXTS, pooling) == expected).all()
        lengths = np.linalg.norm(encoder.embed(TEXTS, pooling, True), axis=1)
        np.testing.assert_allclose(lengths, 1, rtol=1e-6)


def test_vectors_of_tokens_keep_nothing_else_alive(encoder):
    """A view would keep the hidden states of its whole batch."""
    assert all(rows.flags.owndata for rows in encoder.embed(TEXTS, "none"))


def test_fewer_dimensions(encoder):
    whole = encoder.embed(TEXTS)
    assert (encoder.embed(TEXTS, dimensions=5) == whole[:, :5]).all()
    shortened = encoder.embed(TEXTS, normalize=True, dimensions=5)
    np.testing.assert_allclose(shortened, np.stack([unit(row[:5]) for row in whole]))
    assert encoder.embed([], dimensions=5).shape == (0, 5)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"pooling": "median"}, "pooling is 'median', expected one of mean, cls"),
        ({"dimensions": 0}, "dimensions is 0, expected a number from 1 to 48"),
        ({"dimensions": 49}, "dimensions is 49"),
        ({"dimensions": 2.0}, "dimensions is 2.0"),
        ({"prompt_name": "query"}, "prompt_name is 'query', but the model has no prompts"),
        ({"prompt": "a", "prompt_name": "b"}, "both prompt and prompt_name"),
    ],
)
def test_options_that_are_none(encoder, options, complaint):
    with pytest.raises(InputError, match=complaint):
        encoder.embed(TEXTS, **options)


@pytest.fixture(scope="module")
def sentence_model(tmp_path_factory):
    """The golden encoder with a Dense module and prompts; and that module's weight and bias."""
    folder = copy_model("encoder", tmp_path_factory.mktemp("sentence") / "model")
    kinds = ("Transformer", "Pooling", "Dense", "Normalize")
    modules = [{"idx": i, "path": f"{i}_{kind}" if i else "", "type": f"m.{kind}"} for i, kind in enumerate(kinds)]
    (folder / "modules.json").write_text(json.dumps(modules))
    change_json(folder / "1_Pooling" / "config.json", pooling_mode="mean", include_prompt=False)
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(20, 48)).astype(np.float32), rng.normal(size=20).astype(np.float32)
    change_json(
        folder / "2_Dense" / "config.json",
        in_features=48,
        out_features=20,
        activation_function="torch.nn.modules.activation.Tanh",
    )
    write_safetensors(folder / "2_Dense" / "model.safetensors", {"linear.weight": weight, "linear.bias": bias})
    prompts = {"query": "good film ", "document": ""}
    change_json(folder / "config_sentence_transformers.json", prompts=prompts, default_prompt_name="query")
    path = edgebert.convert(folder, folder.parent / "m.edgebert")
    return edgebert.load(path), weight, bias


def test_a_dense_module_and_a_default_prompt(sentence_model):
    model, weight, bias = sentence_model
    assert model.dimensions == 20
    assert model.prompts == {"query": "good film ", "document": ""}
    tokens = model.embed(TEXTS, "none")  # the default prompt before each
    assert len(tokens[2]) == 5
    # Its tokens are read, and left out of the mean.
    pooled = np.stack([rows[3:].mean(axis=0) for rows in tokens])
    expected = np.tanh(pooled @ weight.T + bias)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(model.embed(TEXTS), expected, atol=2e-3)  # the weight is kept in float16
    plain = model.embed(TEXTS, prompt_name="document")
    assert (plain == model.embed(TEXTS, prompt="")).all()
    assert not np.allclose(plain, model.embed(TEXTS))
    assert (model.embed(TEXTS) == model.embed(TEXTS, prompt="good film ")).all()
    assert model.embed([]).shape == (0, 20)
    with pytest.raises(InputError, match="prompt_name is 'passage', expected one of query, document"):
        model.embed(TEXTS, prompt_name="passage")


def test_a_prompt_that_leaves_no_room_counts_after_all(sentence_model):
    """There is nothing else that a vector could be made of."""
    model, weight, bias = sentence_model
    prompt, told = "good film " * 60, {"on_coverage": lambda *_: None}
    (tokens,) = model.embed(["a"], "none", prompt=prompt, **told)
    assert len(tokens) == model.max_length
    expected = np.tanh(tokens.mean(axis=0) @ weight.T + bias)
    (found,) = model.embed(["a"], prompt=prompt, **told)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=2e-3)
