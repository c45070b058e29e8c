"""Models that have something unusual, in int8: what transformers computes with them, within what int8 loses."""

from __future__ import annotations

import json

import numpy as np
import pytest

import edgebert
from edgebert.artifact import read_artifact, write_artifact
from edgebert.errors import ArtifactError
from edgebert.evaluate.compare import evaluate
from edgebert.families import encoder_of
from tests.golden import GOLDEN, KINDS, hidden_of, kind_outputs, read_by
from tests.kernels.calls import assert_equal
from tests.selection import few

QUICK = ("bert-odd", "deberta-v2-third", "modernbert-odd", "qwen3-shared", "roberta-padding")
PADDED = [name for name in KINDS if name.endswith("padding")]
COSINE = 0.995
"""Of a token's hidden states to transformers': a row of another position, or another activation, is below 0.98."""
LENGTH = 0.015
"""How far the length of a token's hidden states may be off: measured 0.0054; another epsilon changes it more."""
GATED = (0.99, 0.03)
"""Both where activations are gated: products of two lie further apart, and the largest sets a token's scale."""
LOGITS = 0.1
"""How far a logit may be off, as a share of the largest."""


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Return a function from the name of a model to its .edgebert file."""
    folder, files = tmp_path_factory.mktemp("kinds"), {}

    def get(name):
        if name not in files:
            files[name] = edgebert.convert(GOLDEN / "kinds" / name, folder / f"{name}.edgebert", min_agreement=0)
        return files[name]

    return get


def check_close(got, expected, cosine, length):
    """Compare the directions of the tokens' hidden states, and their lengths, which another epsilon changes."""
    x, y = np.concatenate(got), np.concatenate(expected)
    lengths = np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1)
    assert ((x * y).sum(axis=1) / lengths[0] / lengths[1]).min() > cosine
    assert abs(lengths[0] / lengths[1] - 1).max() < length


@pytest.mark.parametrize("family", ["", "reference"])
@pytest.mark.parametrize("name", few(KINDS, *QUICK))
def test_hidden_states(converted, monkeypatch, name, family):
    if family:
        monkeypatch.setenv("EDGEBERT_FAMILY", family)
    outputs = kind_outputs(name)
    model = edgebert.load(converted(name), threads=1)
    together = hidden_of(model, outputs.input_ids, outputs.token_type_ids)
    gated = encoder_of(model._runner.info.config).layers[0].feed_forward.gated
    check_close(together, outputs.last_hidden_state, *(GATED if gated else (COSINE, LENGTH)))
    for ids, types, rows in zip(outputs.input_ids, outputs.token_type_ids, together, strict=True):
        (alone,) = hidden_of(model, [ids], [types])
        np.testing.assert_allclose(alone, rows, rtol=0, atol=0 if not family else 1e-5)


@pytest.mark.parametrize("kind", few((name for name in KINDS if kind_outputs(name).logits), *QUICK))
def test_logits(converted, kind):
    """Of every head, from the hidden states that int8 gives."""
    outputs = kind_outputs(kind)
    model = edgebert.load(converted(kind), threads=1)
    hidden = hidden_of(model, outputs.input_ids, outputs.token_type_ids)
    assert set(outputs.logits) == set(model.info["heads"])
    for name, expected in outputs.logits.items():
        head = model._runner.heads[name]
        rows = [read_by(head, states, each) for states, each in zip(hidden, expected, strict=True)]
        got, exact = head.logits(np.concatenate(rows)), np.concatenate(expected)
        assert np.abs(got - exact).max() < LOGITS * np.abs(exact).max()


def test_labels_stand_in_the_order_of_the_model(converted):
    tags, stars = (edgebert.load(converted(name), threads=1) for name in ("mpnet-odd", "xlm-roberta-odd"))
    assert tags.labels == ("I-LOC", "B-PER", "O", "B-LOC", "I-PER")
    assert stars.labels == ("two", "four", "one", "three")
    (found,) = stars.classify(["Alice liked the film"], None, "none")
    window = stars._runner.tokenizer.single("Alice liked the film")
    (states,) = hidden_of(stars, [window.ids], [window.type_ids])
    (logits,) = stars._runner.heads["sequence_classification"].logits(states[:1])
    assert {each["label"]: each["score"] for each in found} == dict(zip(stars.labels, logits.tolist(), strict=True))


def rewritten(path, target, *, rows=None, **fields):
    """Write an .edgebert file anew: with other fields of its config, or without some (None) and position embeddings."""
    artifact = read_artifact(path)
    config = {**artifact.json("config"), **fields}
    metadata = {name: value for name, value in artifact.metadata.items() if name != "crc32"}
    metadata["config"] = json.dumps({name: value for name, value in config.items() if value is not None})
    tensors = dict(artifact.tensors)
    if rows is not None:
        tensors["embeddings.position_embeddings.weight"] = tensors["embeddings.position_embeddings.weight"][rows]
    write_artifact(target, tensors, metadata)
    return target


@pytest.mark.parametrize("name", PADDED)
def test_a_file_from_before_counts_every_token(converted, tmp_path, name):
    """Without the field there is no row of the padding; texts without it are the same in both files."""
    old = rewritten(converted(name), tmp_path / "old.edgebert", rows=slice(1, None), positions_follow_padding=None)
    before, after = edgebert.load(old, threads=1), edgebert.load(converted(name), threads=1)
    padding = after.info["pad_token_id"]
    ids = kind_outputs(name).input_ids
    padded = [each.tolist() for each in ids if padding in each[:-1]]
    plain = [[token for token in each if token != padding] for each in padded]
    for got, expected in zip(before.hidden_states(plain), after.hidden_states(plain), strict=True):
        assert_equal(got, expected)
    for got, other in zip(before.hidden_states(padded), after.hidden_states(padded), strict=True):
        assert np.abs(got - other).max() > 0.01


def test_a_file_from_before_is_compared_as_it_is(converted, tmp_path):
    path = converted("roberta-padding")
    old = rewritten(path, tmp_path / "old.edgebert", rows=slice(1, None), positions_follow_padding=None)
    source, texts = GOLDEN / "kinds" / "roberta-padding", ["a good film", "the end"]
    before, after = (evaluate(model, source, texts) for model in (old, path))
    np.testing.assert_array_equal(before.token_cosines, after.token_cosines)
    assert before.token_cosines.min() > COSINE


def test_a_file_without_the_row_that_it_promises_is_damaged(converted, tmp_path):
    path = rewritten(converted("roberta-padding"), tmp_path / "m.edgebert", rows=slice(1, None))
    with pytest.raises(ArtifactError, match=r"position_embeddings\.weight is float16 \(38, 64\), expected"):
        edgebert.load(path)
