"""What sentence-transformers computes with the folders that it saves, from text to vector or score."""

from __future__ import annotations

import json

import numpy as np
import pytest

import edgebert
from edgebert.coverage import Cut
from edgebert.errors import InputError
from edgebert.evaluate.float32 import load_float32
from tests.golden import GOLDEN, assembled

SENTENCES = GOLDEN / "sentences"
"""Made by ``tools/make_golden_sentences.py``, which says what lies there."""

VARIANTS = sorted(path.name for path in SENTENCES.iterdir() if path.is_dir())
CROSS = [name for name in VARIANTS if name.startswith(("cross-", "reranker-"))]
EMBEDDING = [name for name in VARIANTS if name not in CROSS]
WHOLE = ("qwen3-embedding", "embeddinggemma")
RERANKERS = ("reranker-pair", "reranker-prompt", "reranker-template")
QUANTIZED = (*WHOLE, "poolings-dense-normalize", "normalize-dense", "truncate-normalize", "prompt-not-weighted")
TOLERANCE = 2e-5
CASES = json.loads((SENTENCES / "texts.json").read_text(encoding="utf-8"))


@pytest.fixture
def folder_of(tmp_path):
    """Return a function from the name of a variant to a whole folder."""

    def assemble(name):
        whole = name in (*WHOLE, *RERANKERS)
        base = name if whole else f"{name[:7]}-identity" if name in CROSS else "encoder"
        return assembled(SENTENCES, base, name, tmp_path / name)

    return assemble


def expected(name, key):
    with np.load(SENTENCES / name / "expected.npz") as file:
        return file[key]


def scores_of(model):
    """Return the scores of the pairs, a row each, in the order of the labels."""
    answers = model.classify([tuple(pair) for pair in CASES["pairs"]], top_k=None)
    return np.array(
        [[{each["label"]: each["score"] for each in row}[label] for label in model.labels] for row in answers]
    )


def test_every_variant_is_there():
    assert len(CROSS) == 7 + len(RERANKERS)
    assert len(EMBEDDING) == 28


@pytest.mark.parametrize("name", EMBEDDING)
def test_vectors(folder_of, name):
    model = load_float32(folder_of(name))
    vectors = expected(name, "vectors")
    found = model.embed(CASES["texts"], on_coverage=lambda *_: None)
    np.testing.assert_allclose(found, vectors, rtol=0, atol=TOLERANCE)
    assert (model.dimensions, model.embed([]).shape) == (vectors.shape[1], (0, vectors.shape[1]))


@pytest.mark.parametrize("name", CROSS)
def test_scores_of_cross_encoders(folder_of, name):
    model = load_float32(folder_of(name))
    scores = expected(name, "scores")
    np.testing.assert_allclose(scores_of(model), scores, rtol=0, atol=TOLERANCE)
    query, document = CASES["pairs"][0]
    for column, label in enumerate(model.labels):
        (found,) = model.rank(query, [document], label=label)
        assert found["score"] == pytest.approx(scores[0, column], abs=TOLERANCE)


@pytest.mark.parametrize("name", QUANTIZED)
def test_vectors_in_int8(folder_of, tmp_path, name):
    model = edgebert.load(edgebert.convert(folder_of(name), tmp_path / "m.edgebert", min_agreement=0))
    found, exact = model.embed(CASES["texts"], on_coverage=lambda *_: None), expected(name, "vectors")
    cosines = (found * exact).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(exact, axis=1)
    assert found.shape == exact.shape
    assert cosines.min() > 0.99


@pytest.mark.parametrize(("name", "tolerance"), [("cross-3-sigmoid", 0.03), *((name, 0.15) for name in RERANKERS)])
def test_scores_in_int8(folder_of, tmp_path, name, tolerance):
    model = edgebert.load(edgebert.convert(folder_of(name), tmp_path / "m.edgebert", min_agreement=0))
    np.testing.assert_allclose(scores_of(model), expected(name, "scores"), rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", ["reranker-prompt", "reranker-template"])
def test_a_pair_in_a_chat_template_has_the_tokens_of_the_whole(folder_of, name):
    """Although both texts are tokenized apart, since the second may be cut into windows."""
    runner = load_float32(folder_of(name))._runner
    before, between, behind = runner.info.pair_texts
    for query in ("the film", "who liked it?", "no.\n", " a ", "1", ""):
        for document in ("a story", " really good ", "?", "\n\n The plot", "2 3", "a" * 9):
            ((window,),), _ = runner.cut([(pair := runner.tokenizer.pair(query, document))[1]], Cut(), [pair[0]])
            whole = runner.tokenizer.content(f"{before}{query}{between}{document}{behind}")
            np.testing.assert_array_equal(window.ids, whole.ids)
            assert not window.type_ids.any()


def test_long_documents_in_a_chat_template(folder_of):
    model = load_float32(folder_of("reranker-template"))
    seen = []
    ((_, score),) = (
        each.values()
        for each in model.classify(
            [("the film", "a very bad plot " * 30)], pool="max", on_coverage=lambda _, own: seen.append(own)
        )
    )
    assert seen[0].windows > 2
    assert not seen[0].truncated
    (found,) = model.rank("the film", ["a very bad plot " * 30])
    assert found["score"] == score
    with pytest.raises(InputError, match=r"first text of a pair is \d+ tokens with the model's own words round it"):
        model.rank("no plot " * 40, ["a film"])


@pytest.mark.parametrize("name", WHOLE)
def test_prompts_of_those_that_are_no_bert(folder_of, name):
    """What stands before a query is said by name; the vector is that of both together, the prompt's tokens counted."""
    model = load_float32(folder_of(name))
    path = SENTENCES / name / "config_sentence_transformers.json"
    prompts = json.loads(path.read_text(encoding="utf-8"))
    (found,) = model.embed(["a plot"], prompt_name="query")
    (joined,) = model.embed([prompts["prompts"]["query"] + "a plot"])
    np.testing.assert_allclose(found, joined, rtol=0, atol=1e-6)
    assert np.abs(found - model.embed(["a plot"])[0]).max() > 0.01


def test_options_of_a_pipeline(folder_of):
    """What is asked for replaces what the folder says; truncated vectors are brought to length one when asked."""
    model = load_float32(folder_of("truncate-normalize"))
    whole = load_float32(folder_of("normalize")).embed(["a plot"])
    np.testing.assert_allclose(model.embed(["a plot"]), whole[:, :8], rtol=0, atol=1e-6)
    shorter = whole[:, :8] / np.linalg.norm(whole[:, :8])
    np.testing.assert_allclose(model.embed(["a plot"], normalize=True), shorter, rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.embed(["a plot"], dimensions=8), shorter, rtol=0, atol=1e-6)
    assert model.embed(["a plot"], dimensions=20).shape == (1, 20)
    assert model.embed([], pooling="mean+max").shape == (0, 8)


def test_a_model_that_normalizes_can_be_asked_not_to(folder_of):
    normalizes, plain = load_float32(folder_of("normalize")), load_float32(folder_of("encoder"))
    expected = plain.embed(["a plot"])
    assert abs(np.linalg.norm(expected) - 1) > 0.1
    np.testing.assert_allclose(normalizes.embed(["a plot"], normalize=False), expected, rtol=0, atol=1e-6)


def test_another_pooling_must_fit_the_dense_modules(folder_of):
    model = load_float32(folder_of("poolings-dense-normalize"))
    assert model.embed(["a plot"], pooling="cls+cls").shape == (1, 20)
    with pytest.raises(edgebert.InputError, match=r"Dense modules read what max\+mean gives: expected 2 of mean, cls"):
        model.embed(["a plot"], pooling="mean")
    with pytest.raises(edgebert.InputError, match=r"pooling is 'mean\+none', expected one of"):
        model.embed(["a plot"], pooling="mean+none")


def test_a_label_to_rank_by(folder_of):
    model = load_float32(folder_of("cross-3-identity"))
    with pytest.raises(edgebert.InputError, match=r"3 labels, expected one: .*; or the label .* LABEL_0, LABEL_1"):
        model.rank("film", ["story"])
    with pytest.raises(edgebert.InputError, match="label is 'x', expected one of the model's: LABEL_0, LABEL_1"):
        model.rank("film", ["story"], label="x")
    documents = ["a story", "the plot", "nobody liked it"]
    found = model.rank("film", documents, label="LABEL_2")
    of_label = [dict(zip(model.labels, row, strict=True))["LABEL_2"] for row in logits(model, "film", documents)]
    assert [each["score"] for each in found] == sorted(of_label, reverse=True)


def logits(model, query, documents):
    for row in model.classify([(query, document) for document in documents], top_k=None, function_to_apply="none"):
        by_label = {each["label"]: each["score"] for each in row}
        yield [by_label[label] for label in model.labels]
