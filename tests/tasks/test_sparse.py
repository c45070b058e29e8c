"""Sparse vectors: what sentence-transformers computes with the folders that it saves, and what is asked beyond it."""

from __future__ import annotations

import json
import pickle
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

import edgebert
from edgebert.artifact import read_artifact, write_artifact
from edgebert.errors import ArtifactError, CheckpointError, UnsupportedModelError
from edgebert.evaluate.float32 import load_float32
from edgebert.heads import splade
from edgebert.heads.splade import Splade, sparse_vectors
from tests.golden import GOLDEN, assembled

SPARSE = GOLDEN / "sparse"
"""Made by ``tools/make_golden_sparse.py``, which says what lies there."""

VARIANTS = sorted(path.name for path in SPARSE.iterdir())
TEXTS = json.loads((GOLDEN / "sentences" / "texts.json").read_text(encoding="utf-8"))["texts"]
TOLERANCE = 2e-5


@pytest.fixture
def folder_of(tmp_path):
    """Return a function from the name of a variant to a whole folder."""
    return lambda name: assembled(SPARSE, "max", name, tmp_path / name)


def expected(name, key):
    with np.load(SPARSE / name / "expected.npz") as file:
        return file[key]


def dense(vectors, size):
    """Return vectors by id as an array."""
    result = np.zeros((len(vectors), size), np.float32)
    for row, vector in zip(result, vectors, strict=True):
        row[[*vector]] = [*vector.values()]
    return result


def silent(*_):
    """Say nothing of texts that are too long."""


def test_every_variant_is_there():
    assert VARIANTS == ["idf", "log1p", "max", "mlm-transformer", "most-words", "prompt", "router", "sum"]


@pytest.mark.parametrize("name", VARIANTS)
def test_vectors(folder_of, name):
    model = load_float32(folder_of(name))
    for key, query in (("vectors", False), ("queries", True)):
        right = expected(name, key)
        found = model.embed_sparse(TEXTS, query=query, ids=True, on_coverage=silent)
        np.testing.assert_allclose(dense(found, right.shape[1]), right, rtol=0, atol=TOLERANCE)
        for vector in found:
            assert [*vector.values()] == sorted(vector.values(), reverse=True)
            assert all(vector.values())


@pytest.mark.parametrize("name", VARIANTS)
def test_vectors_in_int8(folder_of, tmp_path, name):
    folder = folder_of(name)
    path = edgebert.convert(folder, tmp_path / "m.edgebert", min_agreement=0.9)
    model, right = edgebert.load(path, threads=2), expected(name, "vectors")
    found = dense(model.embed_sparse(TEXTS, ids=True, on_coverage=silent), right.shape[1])
    cosines = (found * right).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(right, axis=1)
    assert cosines.min() > (0.8 if name == "most-words" else 0.98)  # one of five words became another
    if expected(name, "queries").any() and name in ("router", "idf"):  # which need no forward pass
        queries = dense(model.embed_sparse(TEXTS, query=True, ids=True), right.shape[1])
        np.testing.assert_array_equal(queries, expected(name, "queries"))
    receipt = model.info["receipt"]
    assert receipt["evaluation"]["heads"] == {}  # the vectors are compared, not the best words
    assert receipt["agreement"] == receipt["evaluation"]["pooled_cosine_mean"] > 0.98
    assert edgebert.load(path).info["sparse"] == model.info["sparse"]
    again = edgebert.load(path, threads=1)
    for text, vector in zip(TEXTS, model.embed_sparse(TEXTS, on_coverage=silent), strict=True):
        assert again.embed_sparse([text], on_coverage=silent) == [vector]


def test_words_and_options(folder_of):
    model = load_float32(folder_of("max"))
    (words,), (ids,) = model.embed_sparse(["a plot"]), model.embed_sparse(["a plot"], ids=True)
    vocabulary = model._runner.tokenizer
    assert [vocabulary.id_of(word) for word in words] == [*ids]
    assert [*words.values()] == [*ids.values()]
    assert model.embed_sparse(["a plot"], 3) == [dict([*words.items()][:3])]
    assert model.embed_sparse([]) == []
    assert next(iter(model.stream("embed_sparse", ["a plot"], top_k=2))) == dict([*words.items()][:2])
    assert words.dot(words) == pytest.approx(sum(weight * weight for weight in words.values()))
    assert words.dot({}) == 0
    assert words.dot({next(iter(words)): 2.0, "none": 1.0}) == 2 * next(iter(words.values()))
    assert pickle.loads(pickle.dumps(words)) == words
    model.require("embed_sparse")


def test_more_words_than_the_makers_said(folder_of):
    model = load_float32(folder_of("most-words"))
    assert [len(vector) for vector in model.embed_sparse(["a plot", "film"])] == [5, 5]
    assert [len(vector) for vector in model.embed_sparse(["a plot", "film"], 8)] == [8, 8]


def test_a_prompt(folder_of):
    model = load_float32(folder_of("prompt"))
    (asked,) = model.embed_sparse(["a plot"], query=True)
    assert model.embed_sparse(["query: a plot"]) == [asked]
    assert model.embed_sparse(["a plot"], prompt_name="query") == [asked]
    assert model.embed_sparse(["a plot"], query=True, prompt="") == model.embed_sparse(["a plot"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "top_k is 0, expected None for all, or a number of words from 1 on"),
        ({"query": "yes"}, "query is 'yes', expected True or False"),
        ({"ids": 1}, "ids is 1, expected True or False"),
        ({"whole": None}, "whole is None, expected True or False"),
        ({"stride": 3}, "stride is 3, expected None without whole=True"),
        ({"prompt_name": "x"}, "prompt_name is 'x', expected one of document, query"),
    ],
)
def test_wrong_options(folder_of, options, message):
    with pytest.raises(edgebert.InputError, match=message):
        load_float32(folder_of("max")).embed_sparse(["a"], **options)


def test_a_model_without_the_head_says_what_it_is_for():
    with pytest.raises(edgebert.InputError, match=r"for embed_sparse\(\), convert a model ForMaskedLM"):
        load_float32(GOLDEN / "encoder").embed_sparse(["a"])


def test_a_model_for_masked_words_whose_makers_do_not_say(folder_of):
    """As SPLADE-max; and its receipt is about the words."""
    folder = folder_of("max")
    right = load_float32(folder).embed_sparse(TEXTS, on_coverage=silent)
    (folder / "modules.json").unlink()
    model = load_float32(folder)
    assert model._runner.info.sparse is None
    assert model.embed_sparse(TEXTS, on_coverage=silent) == right


@pytest.mark.parametrize("name", ["max", "sum"])
def test_a_long_text_read_whole(folder_of, name):
    """In windows, of whose tokens each counts once, and the special ones at both ends of the text."""
    model = load_float32(folder_of(name))
    long = " ".join(["the film was very good and the story bad"] * 8)
    coverages = {}
    (found,) = model.embed_sparse([long], whole=True, stride=4, on_coverage=coverages.__setitem__)
    runner, content = model._runner, model._runner.tokenizer.content(long)
    assert coverages[0].windows > 2
    assert not coverages[0].truncated
    windows = [*runner.tokenizer.windows(content, None, 4)]
    logits, begin = [], 0
    for i, (window, states) in enumerate(
        zip(windows, model.hidden_states([each.ids.tolist() for each in windows]), strict=True)
    ):
        last = i + 1 == len(windows)
        end = window.last if last else (windows[i + 1].first + window.last + 1) // 2
        own = [*range(begin - window.first + 1, end - window.first + 1)]
        own = [*([0] if i == 0 else []), *own, *([len(window.ids) - 1] if last else [])]
        logits.append(runner.heads["masked_lm"].logits(states[own]))
        begin = end
    weights = np.log1p(np.maximum(np.concatenate(logits).astype(np.float64), 0))
    assert len(weights) == len(content.ids) + 2
    right = weights.max(axis=0) if name == "max" else weights.sum(axis=0)
    (by_id,) = model.embed_sparse([long], whole=True, stride=4, ids=True)
    np.testing.assert_allclose(dense([by_id], len(right))[0], right, rtol=1e-6, atol=1e-6)
    assert [*found.values()] == [*by_id.values()]
    with pytest.warns(edgebert.TruncationWarning):
        (cut,) = model.embed_sparse([long])
    assert cut != found
    assert model.embed_sparse(["a plot"], whole=True) == model.embed_sparse(["a plot"])


@pytest.mark.parametrize("strategy", splade.STRATEGIES)
def test_blocks_of_any_size_give_the_same_bits(monkeypatch, strategy):
    random = np.random.default_rng(0)
    texts = [random.standard_normal((size, 4), np.float32) for size in (3, 1, 0, 17, 5)]
    head, sizes = random.standard_normal((4, 50), np.float32), []

    def logits(states):
        sizes.append(len(states))
        return np.stack([row @ head for row in states])

    found = []
    for most in (1, 150, 1 << 20):
        monkeypatch.setattr(splade, "_LOGITS", most)
        sizes.clear()
        found.append(np.stack([*sparse_vectors(logits, Splade(strategy), 50, texts)]))
        assert max(sizes) <= max(1, most // 50)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    assert not found[0][2].any()
    assert [*sparse_vectors(logits, Splade(strategy), 50, [])] == []


@pytest.mark.parametrize("strategy", splade.STRATEGIES)
def test_what_is_no_number_stays_none(strategy):
    for wrong in (np.nan, np.inf):
        rows = np.array([[1, wrong], [2, 0]], np.float32)
        (found,) = sparse_vectors(lambda states: states, Splade(strategy), 2, [rows])
        assert np.isfinite(found).tolist() == [True, False]


def test_documents_are_ranked_by_their_words(folder_of):
    for name in ("max", "router"):
        model = load_float32(folder_of(name))
        documents = ["the film was very good", "", "a bad plot", "nobody"]
        (query,) = model.embed_sparse(["good film"], query=True)
        scores = [query.dot(vector) for vector in model.embed_sparse(documents)]
        found = model.rank("good film", documents)
        assert [each["index"] for each in found] == sorted((0, 2, 3), key=lambda i: -scores[i])
        for each in found:
            assert each["score"] == pytest.approx(scores[each["index"]], rel=1e-6)


def open_refused(folder, error=CheckpointError):
    with pytest.raises(error) as caught:
        load_float32(folder)
    return str(caught.value)


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8")


def test_a_router_whose_encoder_lies_in_the_folder_itself(folder_of):
    """As OpenSearch's models have it."""
    folder = folder_of("router")
    right = load_float32(folder).embed_sparse(TEXTS, on_coverage=silent)
    for path in (folder / "document_0_Transformer").iterdir():
        shutil.move(path, folder / path.name)
    text = (folder / "router_config.json").read_text(encoding="utf-8")
    (folder / "router_config.json").write_text(text.replace('"document_0_Transformer"', '""'), encoding="utf-8")
    assert load_float32(folder).embed_sparse(TEXTS, on_coverage=silent) == right


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"pooling_strategy": "mean"}, "strategy of sparse vectors is 'mean', expected 'max' or 'sum'"),
        ({"activation_function": "gelu"}, "activation of sparse vectors is 'gelu', expected 'relu' or 'log1p_relu'"),
        ({"pooling_strategy": ["max"]}, r"is ['max'], expected"),
    ],
)
def test_other_poolings_are_refused(folder_of, settings, named):
    folder = folder_of("max")
    change(folder / "1_SpladePooling" / "config.json", **settings)
    assert named in open_refused(folder, UnsupportedModelError)


def test_a_file_without_the_head(folder_of, tmp_path):
    artifact = read_artifact(edgebert.convert(folder_of("max"), tmp_path / "m.edgebert", min_agreement=0))
    metadata = {key: value for key, value in artifact.metadata.items() if not key.startswith("format")}
    write_artifact(tmp_path / "n.edgebert", artifact.tensors, {**metadata, "heads": "[]"})
    with pytest.raises(ArtifactError, match="it is for sparse vectors, and has no head masked_lm"):
        edgebert.load(tmp_path / "n.edgebert")


def test_the_file_of_the_weights_of_queries_may_have_another_name(folder_of):
    folder = folder_of("router")
    module = folder / "query_0_SparseStaticEmbedding"
    right = load_float32(folder).embed_sparse(["a film"], query=True)
    tokenizer = Tokenizer.from_file(str(module / "tokenizer.json"))
    weights = load_file(module / "model.safetensors")["weight"]
    named = {word: float(weights[i]) for word, i in tokenizer.get_vocab().items()}
    (module / "weights.json").write_text(json.dumps(named), encoding="utf-8")
    (module / "model.safetensors").unlink()
    (module / "config.json").write_text(json.dumps({"path": "weights.json", "frozen": False}), encoding="utf-8")
    assert load_float32(folder).embed_sparse(["a film"], query=True) == right


def test_without_the_head_there_is_no_model(folder_of):
    folder = folder_of("max")
    change(folder / "config.json", architectures=["BertModel"])
    assert "is for sparse vectors, but a BertModel, expected the head for masked words" in open_refused(folder)


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"film": 1.0, "unknown": 2.0}, "weights for what are no words of the model's: unknown"),
        ({"film": "1"}, "weights that are no finite numbers, of film"),
        ({"film": 1e39}, "weights that are no finite numbers, of film"),
        ({"film": 10**400}, "weights that are no finite numbers, of film"),
        ({"film": True}, "weights that are no finite numbers, of film"),
    ],
)
def test_a_table_of_weights_is_checked(folder_of, table, named):
    folder = folder_of("idf")
    (folder / "idf.json").write_text(json.dumps(table), encoding="utf-8")
    assert named in open_refused(folder)


def test_routes_are_checked(folder_of):
    folder = folder_of("router")
    path = folder / "router_config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    document = values["structure"]["document"]
    change(path, structure={"query": document[:1], "document": document})
    assert "has a route for queries of" in open_refused(folder, UnsupportedModelError)
    change(path, structure={"document": document})
    assert "has no routes named document and query" in open_refused(folder)
    change(path, structure=values["structure"], types={**values["types"], "../x": "y"})
    assert "expected folders in" in open_refused(folder)
    change(path, types=values["types"])
    vocabulary = folder / "query_0_SparseStaticEmbedding" / "tokenizer.json"
    vocabulary.write_text(vocabulary.read_text(encoding="utf-8").replace('"film"', '"films"'), encoding="utf-8")
    assert "has another vocabulary than the model's tokenizer" in open_refused(folder, UnsupportedModelError)


def test_queries_that_take_the_same_route(folder_of):
    folder = folder_of("router")
    path = folder / "router_config.json"
    document = json.loads(path.read_text(encoding="utf-8"))["structure"]["document"]
    change(path, structure={"query": document, "document": document})
    model = load_float32(folder)
    assert model.embed_sparse(["a plot"], query=True) == model.embed_sparse(["a plot"])


@pytest.mark.parametrize(
    "file", ["modules.json", "router_config.json", "document_0_Transformer/sentence_bert_config.json"]
)
def test_settings_that_are_not_known_are_told_in_every_file(folder_of, file):
    folder = folder_of("router")
    values = json.loads((folder / file).read_text(encoding="utf-8"))
    (values[0] if isinstance(values, list) else values)["never_heard_of"] = 1
    (folder / file).write_text(json.dumps(values), encoding="utf-8")
    with pytest.warns(match="has settings that edgebert does not know.*never_heard_of"):
        load_float32(folder)
