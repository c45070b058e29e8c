"""Late interaction: what PyLate, sentence-transformers and Stanford's layout give, and what is asked beyond it."""

from __future__ import annotations

import itertools
import json
import pickle

import numpy as np
import pytest

import edgebert
from edgebert.errors import ArtifactError, CheckpointError, InputError, UnsupportedModelError
from edgebert.evaluate.float32 import Float32Layers, load_float32
from edgebert.heads.late_interaction import LateInteraction, TokenVectors
from edgebert.heads.pooling import Pipeline
from edgebert.model_file import ModelFile
from tests.golden import GOLDEN, assembled

LATE = GOLDEN / "late_interaction"
"""Made by ``tools/make_golden_late_interaction.py``, which says what lies there."""

BEGINS = {"pylate": "pylate", "stanford": "stanford"}
"""The first word of a variant -> the one that it begins with; ``fixed`` for all others."""
VARIANTS = sorted(path.name for path in LATE.iterdir())
TEXTS = json.loads((GOLDEN / "sentences" / "texts.json").read_text(encoding="utf-8"))["texts"]
TOLERANCE = 2e-5
QUERY = "who liked the plot?"
LONG = " ".join(TEXTS[1:2] * 6)


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """Return a function from the name of a variant to a whole folder."""
    root = tmp_path_factory.mktemp("late")
    count = itertools.count()
    return lambda name: assembled(
        LATE, BEGINS.get(name.partition("-")[0], "fixed"), name, root / f"{next(count)}-{name}"
    )


@pytest.fixture(scope="module")
def model(folder_of, tmp_path_factory):
    """Return the variant ``fixed`` in int8."""
    path = tmp_path_factory.mktemp("late") / "m.edgebert"
    return edgebert.load(edgebert.convert(folder_of("fixed"), path, min_agreement=0.9), threads=2)


def expected(name, kind):
    with np.load(LATE / name / "expected.npz") as file:
        return [file[f"{kind}_{i}"] for i in range(len(TEXTS))]


def silent(*_):
    """Say nothing of texts that are too long."""


def test_every_variant_is_there():
    of_pylate = ["pylate", "pylate-attend", "pylate-not-filled", "pylate-residual"]
    assert ["attend", "fixed", "not-filled", "other-filler", *of_pylate, "stanford", "stanford-bare"] == VARIANTS


@pytest.mark.parametrize("name", VARIANTS)
def test_vectors(folder_of, name):
    model = load_float32(folder_of(name))
    for kind, query in (("document", False), ("query", True)):
        found = model.embed_tokens(TEXTS, query=query, on_coverage=silent)
        for got, right in zip(found, expected(name, kind), strict=True):
            np.testing.assert_allclose(got, right, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", VARIANTS)
def test_vectors_in_int8(folder_of, tmp_path, name):
    path = edgebert.convert(folder_of(name), tmp_path / "m.edgebert", min_agreement=0.9)
    model = edgebert.load(path, threads=2)
    for kind, query in (("document", False), ("query", True)):
        found = model.embed_tokens(TEXTS, query=query, on_coverage=silent)
        for got, right in zip(found, expected(name, kind), strict=True):
            assert got.shape == right.shape
            np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)
            assert (got * right).sum(axis=1).mean() > 0.999
    figures = model.info["receipt"]["evaluation"]
    assert figures["heads"] == {}
    assert 0.999 < figures["pooled_cosine_mean"] <= 1
    together = model.embed_tokens(TEXTS, query=True, on_coverage=silent)
    for text, got in zip(TEXTS, together, strict=True):
        np.testing.assert_array_equal(got, model.embed_tokens([text], query=True, on_coverage=silent)[0])


def test_vectors_have_length_one_where_the_model_says_so():
    states = np.array([[3, 4], [0, 2]], np.float32)
    for normalize, wanted in ((False, states), (True, [[0.6, 0.8], [0, 1]])):
        vectors = TokenVectors({}, Pipeline(normalize=normalize), Float32Layers())(states)
        np.testing.assert_allclose(vectors, wanted)


def test_files_write_minus_one_for_no_marker():
    late = LateInteraction(-1, -1, filler=-1)
    assert (late.marker(query=True), late.marker(query=False)) == (None, None)
    assert late == LateInteraction()


def test_queries_are_filled_up_and_punctuation_of_documents_has_no_vector(model):
    ((query,), (document,)) = (model.embed_tokens(["the film . , ?"], query=query) for query in (True, False))
    assert query.shape == (16, 12)
    assert document.shape == (4, 12)  # [CLS] the film [SEP]


def test_a_score_is_the_sum_of_the_best(model):
    query, document = np.eye(3, 4, dtype=np.float32), np.array([[1, 0, 0, 0], [0, 0.5, 0, 0.5]], np.float32)
    assert edgebert.maxsim(query, document) == 1.5
    assert edgebert.maxsim(query, document, mean=True) == 0.5
    assert edgebert.maxsim(query, document[:0]) == edgebert.maxsim(query[:0], document) == 0


def test_rank(model):
    found = model.rank(QUERY, TEXTS)
    (query,) = model.embed_tokens([QUERY], query=True)
    documents = model.embed_tokens(TEXTS, whole=True)
    scores = {i: edgebert.maxsim(query, document) for i, document in enumerate(documents) if TEXTS[i].strip()}
    assert {each["index"]: each["score"] for each in found} == scores
    assert [each["score"] for each in found] == sorted(scores.values(), reverse=True)
    assert model.rank(QUERY, TEXTS[:2], top_k=1) == found[:1] or found[0]["index"] > 1


def test_a_mean_where_the_model_says_so(folder_of, tmp_path):
    folder = folder_of("fixed")
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "similarity_fn_name": "meanmaxsim"}))
    exact, sums = load_float32(folder), load_float32(folder_of("fixed"))
    for mean, total in zip(exact.rank(QUERY, TEXTS), sums.rank(QUERY, TEXTS), strict=True):
        assert mean["score"] == pytest.approx(total["score"] / 16)


def test_a_long_text_is_read_whole(model):
    seen = {}
    (cut,) = model.embed_tokens([LONG], on_coverage=lambda i, coverage: seen.update({"cut": coverage}))
    (whole,) = model.embed_tokens([LONG], whole=True, on_coverage=lambda i, coverage: seen.update({"whole": coverage}))
    assert seen["cut"].truncated
    assert not seen["whole"].truncated
    assert seen["whole"].windows > 3
    tokens = seen["whole"].tokens
    punctuation = sum(LONG.count(mark) for mark in ".,?")
    assert whole.shape == (tokens - punctuation, 12)
    assert len(cut) <= 14
    # Its first window's own tokens, and the last one's.
    np.testing.assert_array_equal(whole[:4], cut[:4])
    (query,) = model.embed_tokens([LONG], query=True, whole=True)
    assert len(query) == tokens + 2  # the prompt's
    with pytest.warns(edgebert.TruncationWarning):
        assert len(model.embed_tokens([LONG], query=True)[0]) == 16


def test_documents_and_queries_have_their_markers(folder_of):
    model = load_float32(folder_of("stanford"))
    late, tokenizer = model._runner.info.late_interaction, model._runner.tokenizer
    marks = [tokenizer.id_of(f"[unused{i}]") for i in (0, 1)]
    assert (late.query_marker, late.document_marker) == tuple(marks)
    assert tokenizer.single("a film").ids.tolist()[1] == marks[1]
    assert tokenizer.marked(marks[0], 9).single("a film").ids.tolist()[1] == marks[0]
    assert tokenizer.single("a film").ids.tolist()[1] == marks[1]  # as it was


def test_nothing_else_makes_vectors_of_it(model):
    assert model.embed(["a film"], "none")[0].shape[1] == 32
    for ask in (
        lambda: model.embed(["a"]),
        lambda: model.similarity(["a"]),
        lambda: model.require("embed"),
        lambda: model.search("a", ["a film"]),
    ):
        with pytest.raises(InputError, match=r"makes a vector of each token.* embed_tokens\(\) or rank\(\)"):
            ask()
    model.require("embed_tokens")
    model.require("rank")
    with pytest.raises(InputError, match="ColBERT"):
        edgebert.load().embed_tokens(["a"])


def test_stream_and_pickle(model):
    for copy in (model, pickle.loads(pickle.dumps(model))):
        found = list(copy.stream("embed_tokens", TEXTS[:3], batch=2, query=True))
        for got, right in zip(found, model.embed_tokens(TEXTS[:3], query=True), strict=True):
            np.testing.assert_array_equal(got, right)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"query": 1}, "query is 1"),
        ({"whole": "no"}, "whole is 'no'"),
        ({"stride": 3}, "stride is 3, expected None without whole=True"),
        ({"whole": True, "stride": 12}, "stride is 12, expected 0 to 11"),
        ({"prompt": "a", "prompt_name": "query"}, "both prompt and prompt_name"),
        ({"prompt_name": "nobody"}, "prompt_name is 'nobody'"),
    ],
)
def test_wrong_options(model, options, message):
    with pytest.raises(InputError, match=message):
        model.embed_tokens(["a film"], **options)


def change(path, values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("name", "file", "values", "error", "message"),
    [
        ("pylate", "config_sentence_transformers.json", {"query_prefix": 3}, CheckpointError, "query_prefix 3"),
        ("pylate", "config_sentence_transformers.json", {"query_length": "x"}, CheckpointError, "query_length 'x'"),
        ("pylate", "config_sentence_transformers.json", {"query_length": 3}, CheckpointError, "query_length of late"),
        ("pylate", "config_sentence_transformers.json", {"skiplist_words": "a"}, CheckpointError, "a list of words"),
        ("pylate", "config_sentence_transformers.json", {"query_prefix": "[X]"}, CheckpointError, r"no token '\[X\]'"),
        ("stanford", "artifact.metadata", {"similarity": "l2"}, UnsupportedModelError, "similarity 'l2'"),
        ("stanford", "artifact.metadata", {"doc_maxlen": 0}, CheckpointError, "doc_maxlen 0"),
        ("fixed", "2_MultiVectorMask/config.json", {"keep_only_token_ids": [3]}, UnsupportedModelError, "images"),
        (
            "fixed",
            "2_MultiVectorMask/config.json",
            {"skiplist_tasks": ["query"]},
            UnsupportedModelError,
            "queries alone",
        ),
        ("fixed", "2_MultiVectorMask/config.json", {"skiplist_tasks": "all"}, CheckpointError, "skiplist_tasks"),
        ("fixed", "sentence_bert_config.json", {"query_expansion": {"strategy": "x"}}, CheckpointError, "strategy"),
        ("fixed", "sentence_bert_config.json", {"query_expansion": 3}, CheckpointError, "query_expansion 3"),
        (
            "pylate-residual",
            "1_Dense/config.json",
            {"activation_function": "torch.nn.Tanh"},
            UnsupportedModelError,
            "add",
        ),
    ],
)
def test_refused(folder_of, name, file, values, error, message):
    folder = folder_of(name)
    change(folder / file, values)
    with pytest.raises(error, match=message):
        load_float32(folder)


def test_a_folder_without_its_projection(folder_of):
    folder = folder_of("stanford")
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["linear.weight"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"has no linear\.weight"):
        load_float32(folder)


def test_one_vector_of_a_query_that_is_filled_up(folder_of):
    folder = folder_of("fixed")
    change(folder / "config_sentence_transformers.json", {"model_type": "SentenceTransformer"})
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps(modules[:1]))
    with pytest.raises(UnsupportedModelError, match="fills queries up"):
        load_float32(folder)


def test_an_artifact_that_says_nonsense(model, tmp_path):
    from edgebert.artifact import read_artifact, write_artifact

    artifact = read_artifact(model.info["file"])
    metadata = {key: value for key, value in artifact.metadata.items() if key not in ("format", "format_version")}
    late = json.loads(metadata["late_interaction"])
    for values, message in (
        ([*late[:2], 1 << 20, *late[3:]], "query_length"),
        ([*late[:3], -2, *late[4:]], "filled_length"),
        ([*late[:3], 0, *late[4:]], "without the other"),
        ([*late[:4], -2, *late[5:]], "filler"),
        ([*late[:6], [1.5], *late[7:]], "skipped"),
        ([*late[:6], "x", *late[7:]], "skipped"),
        (late[:4], "late_interaction is"),
        ([*late[:5], 1, *late[6:]], "attends_to_fillers"),
    ):
        path = tmp_path / "m.edgebert"
        write_artifact(path, artifact.tensors, {**metadata, "late_interaction": json.dumps(values)})
        with pytest.raises(ArtifactError, match=message):
            ModelFile(path)
