"""What a caller sees of a model: results, order, errors, laws."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import edgebert
from edgebert.config import BertConfig
from edgebert.errors import InputError, SettingError, TruncationWarning
from edgebert.heads import HEAD_OF_TASK
from tests.golden import GOLDEN, NAMES, load_inputs, load_outputs, load_tokenized

TEXTS = [text for text, _ in load_tokenized("classifier")]


@pytest.fixture(scope="module")
def classifier(golden_files):
    return edgebert.load(golden_files["classifier"], threads=2)


@pytest.fixture(scope="module")
def encoder(golden_files):
    return edgebert.load(golden_files["encoder"], threads=2)


def test_public_names():
    assert set(edgebert.__all__) == {
        "AccuracyError",
        "ArtifactError",
        "CheckpointError",
        "CheckpointWarning",
        "DownloadError",
        "EdgebertError",
        "Coverage",
        "InputError",
        "MemoryWarning",
        "Model",
        "OutputError",
        "SettingError",
        "TruncationWarning",
        "UnsupportedModelError",
        "convert",
        "describe_machine",
        "load",
        "maxsim",
        "table",
    }
    assert all(getattr(edgebert, name) is not None for name in edgebert.__all__)
    with pytest.raises(AttributeError, match="no attribute 'quantise'"):
        _ = edgebert.quantise


@pytest.mark.parametrize("name", NAMES)
def test_close_to_transformers(golden_files, name):
    model = edgebert.load(golden_files[name], threads=2)
    for found, expected in zip(
        model.hidden_states(load_inputs(name)), load_outputs(name)["last_hidden_state"], strict=True
    ):
        assert found.dtype == np.float32
        assert found.shape == expected.shape
        cosine = (found * expected).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
        assert cosine.min() > 0.99


def test_labels_agree_with_transformers(classifier):
    inputs, logits = load_inputs("classifier"), load_outputs("classifier")["logits"]
    hidden = classifier.hidden_states(inputs)
    found = classifier._runner.heads["sequence_classification"].logits(np.stack([rows[0] for rows in hidden]))
    margin = np.abs(np.array(logits) - found).max()
    assert margin < 0.25 * np.abs(logits).max()


def test_classify(classifier):
    results = classifier.classify(TEXTS)
    assert len(results) == len(TEXTS)
    assert "" in TEXTS
    for text, result in zip(TEXTS, results, strict=True):
        assert set(result) == {"label", "score"}
        if not text.strip():
            assert result == {"label": None, "score": None}
            continue
        assert result["label"] in classifier.labels == ("negative", "neutral", "positive")
        assert 1 / 3 <= result["score"] <= 1
    assert classifier.classify([]) == []


def test_embed(encoder):
    vectors = encoder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), encoder.hidden_size)
    assert vectors.dtype == np.float32
    assert encoder.embed([]).shape == (0, encoder.hidden_size)


def test_results_come_in_the_order_of_the_texts_and_do_not_depend_on_neighbours(classifier, encoder, golden_files):
    order = np.random.default_rng(0).permutation(len(TEXTS))
    shuffled = [TEXTS[i] for i in order]
    together = classifier.classify(TEXTS)
    assert classifier.classify(shuffled) == [together[i] for i in order]
    assert [classifier.classify([text])[0] for text in TEXTS] == together
    assert edgebert.load(golden_files["classifier"], threads=1).classify(TEXTS * 40) == together * 40
    vectors = encoder.embed(TEXTS)
    assert (encoder.embed(shuffled) == vectors[order]).all()
    assert (np.concatenate([encoder.embed([text]) for text in TEXTS]) == vectors).all()


def test_results_belong_to_the_caller(encoder):
    first = encoder.hidden_states([[1, 2, 3]])[0]
    kept = first.copy()
    encoder.hidden_states([[7, 8, 9, 10]])
    assert (first == kept).all()
    assert encoder.hidden_states([[], [1]])[0].shape == (0, encoder.hidden_size)
    assert encoder.hidden_states([]) == []


def test_a_model_without_a_head_says_so(encoder):
    with pytest.raises(
        InputError,
        match=r"is a BertModel, it serves embed\(\); for classify\(\), convert a model ForSequenceClassification",
    ):
        encoder.classify(["text"])


TASKS = {
    "classify": lambda model: model.classify([]),
    "rank": lambda model: model.rank("a", []),
    "tag": lambda model: model.tag([]),
    "redact": lambda model: model.redact([]),
    "fill_mask": lambda model: model.fill_mask([]),
    "score": lambda model: model.score([]),
    "answer": lambda model: model.answer([], []),
    "next_sentence": lambda model: model.next_sentence([]),
    "embed_sparse": lambda model: model.embed_sparse([]),
    "embed": lambda model: model.embed([]),
}


def test_require_refuses_what_the_task_refuses(encoder, classifier):
    assert set(TASKS) == {*HEAD_OF_TASK, "embed"}
    for task, ask in TASKS.items():
        if task in ("embed", "rank"):  # by vectors; a model with another head ranks nothing (tests/tasks/test_rank.py)
            encoder.require(task)
            assert len(ask(encoder)) == 0
            continue
        with pytest.raises(InputError) as refused:
            ask(encoder)
        with pytest.raises(InputError) as required:
            encoder.require(task)
        assert str(required.value) == str(refused.value)
    classifier.require("classify")
    classifier.require("rank")
    with pytest.raises(InputError, match="task is 'sing', expected one of fill_mask"):
        classifier.require("sing")


@pytest.mark.parametrize("texts", ["one string", b"bytes", None, 3, [b"bytes"], [None], ["fine", 3], ["\ud800"]])
def test_texts_that_are_none(classifier, texts):
    with pytest.raises(InputError):
        classifier.classify(texts)


def test_odd_texts(classifier):
    texts = ["", " ", "\0", "\n", "a" * 5000, "🙂" * 20, "\u202e\u200b", "漢字"]
    results = classifier.classify(texts)
    assert [result["score"] is None for result in results] == [not text.strip() for text in texts]
    assert all(np.isfinite(result["score"]) for result in results if result["score"] is not None)


def test_truncation_is_said(classifier):
    long = " ".join(["good"] * 100)
    with pytest.warns(TruncationWarning, match="1 of 2 texts are longer than the model's 50 tokens") as caught:
        classifier.classify(["short", long], truncate=True)
    assert caught[0].filename == __file__
    seen = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        on_coverage = lambda index, coverage: seen.append((index, coverage))  # noqa: E731
        classifier.classify(["short", long], truncate=True, on_coverage=on_coverage)
    assert [index for index, _ in seen] == [0, 1]
    assert (seen[0][1].windows, seen[0][1].truncated) == (1, False)
    assert (seen[1][1].windows, seen[1][1].tokens, seen[1][1].truncated) == (1, 102, True)


def test_token_ids_out_of_range(encoder):
    with pytest.raises(InputError, match="expected 0 to 164"):
        encoder.hidden_states([[1], [165]])
    with pytest.raises(InputError, match="at most 64"):
        encoder.hidden_states([[1] * 65])


def test_threads(golden_files, monkeypatch):
    monkeypatch.setenv("EDGEBERT_NUM_THREADS", "3")
    assert edgebert.load(golden_files["encoder"]).threads == 3
    assert edgebert.load(golden_files["encoder"], threads=2).threads == 2
    for bad in (0, -1, 1.5, "2x", 10**6):
        with pytest.raises(SettingError, match="expected a whole number"):
            edgebert.load(golden_files["encoder"], threads=bad)


def test_info(classifier, golden_files):
    info = classifier.info
    assert info["architecture"] == "BertForSequenceClassification"
    assert info["hidden_size"] == classifier.hidden_size == 36
    assert info["labels"] == ["negative", "neutral", "positive"]
    assert info["scheme"] == "w8a8"
    assert len(info["source_sha256"]) == 64
    assert list(info) == [
        *("file", "size_bytes", "format_version", "source", "source_sha256", "license", "language"),
        *("checksum", "architecture", "heads"),
        *("serves", "parameters", *BertConfig().to_dict(), "scheme", "embeddings", "max_length", "dimensions"),
        *("truncation_side", "labels", "problem_type", "pooling", "dense", "normalize", "truncate_dim"),
        *("prompts", "receipt"),
    ]
    assert (info["max_length"], info["pooling"], info["normalize"], info["dense"]) == (50, "mean", False, [])
    assert (info["file"], info["size_bytes"]) == (
        str(golden_files["classifier"]),
        golden_files["classifier"].stat().st_size,
    )


def test_embeddings_in_four_bits(encoder, tmp_path, monkeypatch):
    path = edgebert.convert(GOLDEN / "encoder", tmp_path / "m.edgebert", embeddings="int4", min_agreement=0)
    model = edgebert.load(path)
    info = model.info
    assert info["size_bytes"] < encoder.info["size_bytes"]
    assert info["parameters"] == encoder.info["parameters"]
    inputs, outputs = load_inputs("encoder"), np.concatenate(load_outputs("encoder")["last_hidden_state"])
    found = np.concatenate(model.hidden_states(inputs))
    monkeypatch.setenv("EDGEBERT_FAMILY", "reference")
    reference = np.concatenate(edgebert.load(path).hidden_states(inputs))
    assert abs(found - reference).max() < 0.15
    cosines = (found * outputs).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(outputs, axis=1)
    assert cosines.min() > 0.95


def test_texts_may_come_from_a_generator(classifier):
    assert classifier.classify(text for text in TEXTS[:3]) == classifier.classify(TEXTS[:3])


def test_a_model_names_itself(classifier):
    assert repr(classifier) == "<edgebert.Model classifier.edgebert: BertForSequenceClassification>"
