"""Comparisons and receipts: the figures are right, and bad models are not written."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import edgebert
from edgebert.checkpoint import open_checkpoint
from edgebert.engine.backend import open_backend
from edgebert.errors import AccuracyError, InputError
from edgebert.evaluate import evaluate
from edgebert.evaluate.compare import Comparison, Side, compare, masked
from edgebert.evaluate.float32 import Float32Backend, load_float32
from edgebert.evaluate.quality import accuracy_and_f1
from edgebert.model_file import ModelFile
from edgebert.quantize import linear as quantize_linear
from edgebert.quantize.calibrate import default_texts, evaluation_texts
from edgebert.windows import Window
from tests.checkpoint.folders import arrays_of, copy_model, write_safetensors
from tests.golden import GOLDEN
from tests.selection import few

REVIEWS = Path(__file__).parent.parent / "data" / "reviews.txt"
TEXTS = ["a good film", "bad", "neither good nor bad, only long", "the end"]


def test_a_model_agrees_with_itself():
    checkpoint = open_checkpoint(GOLDEN / "classifier")
    itself = Side(Float32Backend(checkpoint.info.config, checkpoint.tensors), checkpoint.tensors)
    found = compare(checkpoint, itself, TEXTS)
    np.testing.assert_allclose(found.pooled_cosines, 1)
    np.testing.assert_allclose(found.token_cosines, 1)
    assert len(found.token_cosines) == found.tokens
    assert found.agreement == 1
    assert found.figures["heads"]["sequence_classification"]["largest_logit_difference"] == 0
    assert found.figures["heads"]["sequence_classification"]["decisions"] == len(TEXTS)


def test_a_difference_is_seen_where_it_is():
    """One changed weight of the classifier moves the logits, and no vector."""
    checkpoint = open_checkpoint(GOLDEN / "classifier")
    tensors = {name: checkpoint.tensors[name] for name in checkpoint.tensors}
    tensors["classifier.bias"] = tensors["classifier.bias"] + np.array([100, 0, 0], np.float32)
    found = compare(checkpoint, Side(Float32Backend(checkpoint.info.config, tensors), tensors), TEXTS)
    assert found.largest_difference["sequence_classification"] == pytest.approx(100, abs=1e-3)
    assert found.pooled_cosines.min() == pytest.approx(1)
    assert found.agreement == (found.exact_logits.argmax(axis=1) == 0).mean()


def test_evaluate_a_file(golden_files):
    seen = []
    found = evaluate(
        golden_files["classifier"],
        GOLDEN / "classifier",
        TEXTS,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert found.texts == tuple(TEXTS)
    assert 0.99 < found.pooled_cosines.min() <= 1
    assert 0 < found.largest_difference["sequence_classification"] < 0.2
    assert seen[-1] == (4, 4)


def test_models_that_do_not_belong_together(golden_files):
    with pytest.raises(InputError, match=r"was not made from encoder"):
        evaluate(golden_files["classifier"], GOLDEN / "encoder", TEXTS)
    with pytest.raises(InputError, match="no texts"):
        evaluate(golden_files["classifier"], GOLDEN / "classifier", [])


def test_the_receipt_is_in_the_file(golden_files):
    receipt = ModelFile(golden_files["classifier"]).facts["receipt"]
    assert receipt["evaluation"]["heads"]["sequence_classification"]["agreement"] == receipt["agreement"] >= 0.99
    assert receipt["evaluation"]["texts"] == len(evaluation_texts())
    assert receipt["bytes_after"] < receipt["bytes_before"]
    assert receipt["below_min_agreement"] is False
    assert len(receipt["worst_layers"]) == 5
    again = evaluate(golden_files["classifier"], GOLDEN / "classifier", evaluation_texts())
    assert {name: receipt["evaluation"][name] for name in again.figures} == again.figures


def test_what_is_measured_on_is_not_what_was_calibrated_on(golden_files):
    """By the hashes in the file, and text by text."""
    receipt = ModelFile(golden_files["encoder"]).facts["receipt"]
    assert receipt["calibration"]["sha256"] != receipt["evaluation"]["sha256"]
    texts = evaluation_texts()
    assert receipt["evaluation"]["sha256"] == hashlib.sha256("\n".join(texts).encode()).hexdigest()

    class NoWords:
        vocabulary: ClassVar[dict[str, int]] = {}

    assert not set(texts) & set(default_texts(NoWords()))


def test_the_same_texts_for_both_are_refused(tmp_path):
    output = tmp_path / "m.edgebert"
    with pytest.raises(InputError, match="1 of 2 texts to evaluate on are among those to calibrate on"):
        edgebert.convert(GOLDEN / "encoder", output, calibrate=["a", "b"], evaluate=["b", "c"])
    for options in ({"calibrate": []}, {"evaluate": []}):
        with pytest.raises(InputError, match="there are no texts to"):
            edgebert.convert(GOLDEN / "encoder", output, **options)
    assert not output.exists()


def test_own_texts(tmp_path):
    path = edgebert.convert(GOLDEN / "encoder", tmp_path / "m.edgebert", calibrate=["a text", "two"], evaluate=TEXTS)
    receipt = ModelFile(path).facts["receipt"]
    assert receipt["calibration"]["texts"] == 2
    assert receipt["evaluation"]["texts"] == 4


@pytest.mark.slow
def test_below_the_asked_for_agreement_nothing_is_written(tmp_path):
    output = tmp_path / "m.edgebert"
    with pytest.raises(
        AccuracyError, match=r"agrees 0\.99\d+ with fp32, expected at least 1\.0; the worst layer is enc"
    ):
        edgebert.convert(GOLDEN / "encoder", output, min_agreement=1.0)
    assert not list(tmp_path.iterdir())
    edgebert.convert(GOLDEN / "encoder", output, min_agreement=1.0, force=True)
    assert ModelFile(output).facts["receipt"]["below_min_agreement"] is True


def test_few_decisions_are_not_held_against_a_model_unless_asked_for(tmp_path):
    """One flipped label of 46 is 0.978, and says nothing; without an explicit limit it is written."""
    found = Comparison(
        texts=("a",),
        tokens=1,
        pooled_cosines=np.ones(1),
        token_cosines=np.ones(1),
        decisions={"masked_lm": (np.arange(46), np.arange(46) + (np.arange(46) == 3))},
        largest_difference={"masked_lm": 0.1},
        correlation={"masked_lm": 0.999},
        logits=None,
        exact_logits=None,
        labels=(),
    )
    assert found.agreement == pytest.approx(45 / 46)
    assert found.agreement_at_best == pytest.approx(45 / 46 + 2 * np.sqrt(45 / 46 / 46 / 46))
    assert found.judged_by == " (masked_lm, 46 decisions)"
    many = dataclasses.replace(
        found, decisions={"masked_lm": (np.arange(4600), np.arange(4600) + (np.arange(4600) % 46 == 3))}
    )
    assert many.agreement_at_best < 0.99


@pytest.mark.parametrize(
    ("name", "weight", "decisions"),
    [
        # Of the texts' words, and without the special tokens; a seventh of them; a begin and an end; a text each.
        ("bert-token", "classifier", {"token_classification": 26}),
        ("bert-masked", "cls.predictions.decoder", {"masked_lm": 6}),
        ("bert-question", "qa_outputs", {"question_answering": 8}),
        ("bert-pretraining", "cls.seq_relationship", {"masked_lm": 6, "next_sentence": 4}),
    ],
)
def test_every_head_decides(name, weight, decisions):
    checkpoint = open_checkpoint(GOLDEN / "families" / name)
    tensors = {each: checkpoint.tensors[each] for each in checkpoint.tensors}
    backend = Float32Backend(checkpoint.info.config, tensors)
    found = compare(checkpoint, Side(backend, tensors), TEXTS)
    assert {head: len(own) for head, (own, _) in found.decisions.items()} == decisions
    assert found.agreement == 1
    turned = {f"{weight}.{part}": -tensors[f"{weight}.{part}"] for part in ("weight", "bias")}
    assert compare(checkpoint, Side(backend, tensors | turned), TEXTS).agreement < 0.6


def test_the_head_that_agrees_least_decides():
    found = Comparison(
        texts=("a",),
        tokens=1,
        pooled_cosines=np.full(1, 0.5),
        token_cosines=np.ones(1),
        decisions={
            "masked_lm": (np.arange(8), np.arange(8)),
            "next_sentence": (np.zeros(4, int), np.array([0, 1, 0, 0])),
            "question_answering": (np.zeros(0, int), np.zeros(0, int)),
        },
        largest_difference=dict.fromkeys(("masked_lm", "next_sentence", "question_answering"), 0.1),
        correlation=dict.fromkeys(("masked_lm", "next_sentence", "question_answering"), 0.9),
        logits=None,
        exact_logits=None,
        labels=(),
    )
    assert found.head_agreement == {"masked_lm": 1, "next_sentence": 0.75, "question_answering": 1}
    assert found.agreement == 0.75
    assert found.agreement_at_best == 1  # of eight and more; of four decisions, 0.75 + 2 * sqrt(0.75 * 0.25 / 4)
    assert found.judged_by == " (next_sentence, 4 decisions)"
    assert dataclasses.replace(found, decisions={}).agreement == 0.5
    assert found.finite
    for damage in (
        {"pooled_cosines": np.array([np.nan])},
        {"token_cosines": np.array([1, np.nan])},
        {"largest_difference": {"masked_lm": np.inf, "next_sentence": 0.1}},
    ):
        assert not dataclasses.replace(found, **damage).finite


def test_logits_stand_in_the_order_of_the_texts():
    """Batches take the longest first."""
    checkpoint = open_checkpoint(GOLDEN / "classifier")
    model = load_float32(GOLDEN / "classifier")
    itself = Side(Float32Backend(checkpoint.info.config, checkpoint.tensors), checkpoint.tensors)
    found = compare(checkpoint, itself, TEXTS)
    each = model.classify(TEXTS, None, "none")
    expected = [[{r["label"]: r["score"] for r in row}[label] for label in model.labels] for row in each]
    for logits in (found.logits, found.exact_logits):
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("tokens", "places"), [(1, [0]), (2, [1]), (3, [2]), (4, [3]), (10, [3]), (11, [3, 10]), (30, [3, 10, 17, 24])]
)
def test_which_words_are_masked(tokens, places):
    """Every seventh of the text's own tokens; of a short text the last."""
    ids = np.arange(100, 100 + tokens + 3, dtype=np.int32)
    window = Window(ids, np.zeros_like(ids), 2, 0, tokens)
    assert np.flatnonzero(masked(window, 7).ids == 7).tolist() == [2 + place for place in places]
    assert ids[2] == 102


def test_other_weights_of_the_same_shape_are_no_source(golden_files, tmp_path):
    folder = copy_model("classifier", tmp_path / "classifier")
    arrays = arrays_of("classifier")
    arrays["classifier.bias"] = arrays["classifier.bias"] + 1
    write_safetensors(folder / "model.safetensors", arrays)
    with pytest.raises(InputError, match="was not made from the weights of classifier: it keeps the hash of others"):
        evaluate(golden_files["classifier"], folder, TEXTS)


@pytest.mark.parametrize("limit", few([0, 2e-5], 2e-5))
def test_layers_that_lose_too_much_get_finer_groups(tmp_path, monkeypatch, golden_files, limit):
    """Each its own: neighbouring layers then differ in their groups, and the kernels must follow."""
    monkeypatch.setattr(quantize_linear, "LARGEST_ERROR", limit)
    path = edgebert.convert(GOLDEN / "classifier", tmp_path / "finer.edgebert")
    finer = ModelFile(path).facts["receipt"]["finer_groups"]
    assert finer
    assert set(finer.values()) <= {64, 128, 192}
    figures = evaluate(path, GOLDEN / "classifier", TEXTS).figures
    usual = evaluate(golden_files["classifier"], GOLDEN / "classifier", TEXTS).figures
    assert figures["token_cosine_mean"] > usual["token_cosine_mean"] - 1e-4


def plant_in_values(t, i):
    for c in (7, 100, 201, 333):
        for part in ("weight", "bias"):
            t[f"encoder.layer.{i}.attention.self.value.{part}"][c] *= 100
        t[f"encoder.layer.{i}.attention.output.dense.weight"][:, c] /= 100


def plant_in_intermediate(t, i):
    for c in (7, 500, 1001, 1400):
        for part in ("weight", "bias"):
            t[f"encoder.layer.{i}.intermediate.dense.{part}"][c] *= 100
        t[f"encoder.layer.{i}.output.dense.weight"][:, c] /= 100


def plant_in_hidden(t, i):
    before = f"encoder.layer.{i - 1}.output.LayerNorm" if i else "embeddings.LayerNorm"
    for c in (13, 150, 308):
        for norm in (before, f"encoder.layer.{i}.attention.output.LayerNorm"):
            for part in ("weight", "bias"):
                t[f"{norm}.{part}"][c] *= 100
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "intermediate.dense"):
            t[f"encoder.layer.{i}.{name}.weight"][:, c] /= 100


@pytest.mark.parametrize(
    ("plant", "least"), [(plant_in_values, 0.999), (plant_in_intermediate, 0.999), (plant_in_hidden, 0.996)]
)
def test_planted_outlier_channels(material, tmp_path, plant, least):
    """MiniLM with channels a hundred times the rest, wherever a linear layer reads.

    In the hidden states they also drown what the residual connections carry, so that this model, unlike MiniLM, shows
    every error of a layer in full.
    """
    folder = tmp_path / "model"
    shutil.copytree(material("minilm-l6"), folder)
    tensors = {name: array.copy() for name, array in load_file(folder / "model.safetensors").items()}
    for i in range(6):
        plant(tensors, i)
    save_file(tensors, folder / "model.safetensors")
    texts = REVIEWS.read_text(encoding="utf-8").splitlines()
    path = edgebert.convert(folder, tmp_path / "m.edgebert", evaluate=texts)
    assert ModelFile(path).facts["receipt"]["evaluation"]["pooled_cosine_mean"] >= least


@pytest.mark.parametrize(
    ("found", "right", "expected"),
    [
        ("aabb", "aabb", (1, 1)),
        ("aaaa", "aabb", (0.5, (2 / 3 + 0) / 2)),
        ("aab", "abb", (2 / 3, (2 / 3 + 2 / 3) / 2)),
        ("c", "a", (0, 0)),
    ],
)
def test_accuracy_and_f1(found, right, expected):
    """Worked out by hand; a label that is only found, or only right, counts in the mean."""
    assert accuracy_and_f1(list(found), list(right)) == pytest.approx(expected)


def test_the_reference_gives_a_receipt_too(monkeypatch, golden_files):
    """Where nothing is to be compiled, NumPy stands in for the kernels."""
    monkeypatch.setenv("EDGEBERT_FAMILY", "reference")
    file = ModelFile(golden_files["encoder"])
    checkpoint = open_checkpoint(GOLDEN / "encoder")
    side = Side(open_backend(checkpoint.info.config, file.tensors, 1, 4096), file.tensors)
    assert compare(checkpoint, side, TEXTS).pooled_cosines.min() > 0.998


def test_a_model_of_one_label_is_judged_too():
    """The argmax of one logit never changes; which half of the texts a text is in does."""
    checkpoint = open_checkpoint(GOLDEN / "families" / "roberta-classifier")
    tensors = {name: checkpoint.tensors[name] for name in checkpoint.tensors}
    texts = evaluation_texts()
    itself = Side(Float32Backend(checkpoint.info.config, tensors), tensors)
    assert compare(checkpoint, itself, texts).agreement == 1
    turned = tensors | {"classifier.weight": -tensors["classifier.weight"]}
    assert compare(checkpoint, Side(itself.backend, turned), texts).agreement < 0.7
    # All scores far above 0, half of the texts in the better half all the same.
    lifted = dataclasses.replace(checkpoint, tensors={**tensors, "classifier.bias": tensors["classifier.bias"] + 50})
    turned |= {"classifier.bias": lifted.tensors["classifier.bias"]}
    assert compare(lifted, Side(itself.backend, turned), texts).agreement < 0.9
    found = compare(lifted, Side(itself.backend, lifted.tensors), texts)
    assert abs(found.decisions["sequence_classification"][1].mean() - 0.5) < 0.1
