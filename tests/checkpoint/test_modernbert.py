"""ModernBERT as people have it: heads with a layer before the last, biases that are not there, folders of vectors."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

import edgebert
from edgebert.checkpoint import open_checkpoint
from edgebert.errors import CheckpointWarning
from edgebert.evaluate.float32 import load_float32
from edgebert.families import encoder_of
from edgebert.heads import HEADS
from tests.checkpoint.folders import change_json, open_refusal, write_safetensors
from tests.golden import GOLDEN

FAMILIES, KINDS = GOLDEN / "families", GOLDEN / "kinds"
TRANSFORM = "cls.predictions.transform"


@pytest.fixture
def copied(tmp_path):
    """Return a function that copies a golden ModernBERT, and changes its config.json."""

    def copy(name, **changes):
        folder = tmp_path / name
        shutil.copytree(FAMILIES / f"modernbert-{name}", folder)
        change_json(folder / "config.json", **changes)
        return folder

    return copy


def change_tensors(folder, change):
    arrays = load_file(folder / "model.safetensors")
    write_safetensors(folder / "model.safetensors", change(arrays))


@pytest.mark.parametrize(
    ("name", "head", "last"),
    [
        ("classifier", "sequence_classification", "classifier"),
        ("token", "token_classification", "classifier"),
        ("question", "question_answering", "qa_outputs"),
        ("masked", "masked_lm", "cls.predictions.decoder"),
    ],
)
def test_heads(name, head, last):
    """Their class calls the last layer classifier, or decoder; biases that it has not are zero."""
    checkpoint = open_checkpoint(FAMILIES / f"modernbert-{name}")
    assert checkpoint.info.heads == (head,)
    parts = HEADS[head].parts(checkpoint.info.config, 3)
    assert [part.name for part in parts] == [f"{TRANSFORM}.dense", f"{TRANSFORM}.LayerNorm", last]
    assert not checkpoint.tensors[f"{TRANSFORM}.dense.bias"].any()
    assert not checkpoint.tensors[f"{TRANSFORM}.LayerNorm.bias"].any()
    assert checkpoint.tensors[f"{last}.bias"].any()
    assert not checkpoint.tensors["encoder.final_norm.bias"].any()


def test_biases_that_are_there_and_a_decoder_without_one():
    odd, untied = (open_checkpoint(KINDS / f"modernbert-{name}") for name in ("odd", "untied"))
    assert odd.tensors[f"{TRANSFORM}.dense.bias"].any()
    assert odd.tensors[f"{TRANSFORM}.LayerNorm.bias"].any()
    assert not untied.tensors["cls.predictions.decoder.bias"].any()
    words, decoder = (f"{name}.weight" for name in ("embeddings.word_embeddings", "cls.predictions.decoder"))
    assert np.abs(untied.tensors[words] - untied.tensors[decoder]).max() > 0.1
    tied = open_checkpoint(FAMILIES / "modernbert-masked").tensors
    assert (tied[words] == tied[decoder]).all()


def test_biases_that_the_config_promises_are_missed(copied):
    folder = copied("token", classifier_bias=True, norm_bias=True)
    message = open_refusal(folder)
    for name in (f"{TRANSFORM}.dense.bias (24,)", f"{TRANSFORM}.LayerNorm.bias (24,)", "encoder.final_norm.bias (24,)"):
        assert f"missing {name}" in message
    change_tensors(folder, lambda arrays: {**arrays, "head.dense.bias": np.zeros(24, np.float32)})
    change_json(folder / "config.json", classifier_bias=False, norm_bias=False)
    open_checkpoint(folder)  # as in transformers, what the config has no place for is left out of a head


def test_a_head_without_its_transform(copied):
    folder = copied("classifier")
    change_tensors(folder, lambda arrays: {name: each for name, each in arrays.items() if "head.dense" not in name})
    assert f"missing {TRANSFORM}.dense.weight (24, 24)" in open_refusal(folder)


def test_the_encoder_of_a_model_for_masked_words(copied):
    """What is left of a head is no fault; without a prefix as with one."""
    folder = copied("masked", architectures=["ModernBertModel"])
    assert open_checkpoint(folder).info.heads == ()
    change_tensors(folder, lambda arrays: {name.removeprefix("model."): each for name, each in arrays.items()})
    assert open_checkpoint(folder).info.heads == ()
    change_json(folder / "config.json", architectures=["ModernBertForMultipleChoice"])
    with pytest.warns(CheckpointWarning, match="ModernBertForMultipleChoice, whose head edgebert does not know"):
        open_checkpoint(folder)


def test_a_model_that_does_not_name_its_class(copied):
    """Masked words are told by their tensors; a classifier may be of texts or of tokens."""
    assert open_checkpoint(copied("masked", architectures=None)).info.heads == ("masked_lm",)
    for name in ("classifier", "token"):
        message = open_refusal(copied(name, architectures=None))
        assert "no architectures" in message
        assert "ModernBertForSequenceClassification" in message


def test_what_stands_behind_the_dense_layer_is_the_family_s_own_to_say(copied):
    texts = ["The film was very good"]
    (gelu,), (silu,) = (
        load_float32(copied_).classify(texts, None, "none")
        for copied_ in (FAMILIES / "modernbert-classifier", copied("classifier", classifier_activation="silu"))
    )
    assert gelu != silu


def test_long_texts_are_pooled_window_by_window(copied):
    """A classifier that reads the mean of all tokens reads that of each window."""
    folder = copied("classifier", classifier_pooling="mean")
    model = load_float32(folder)
    text = "good film and a plot at all " * 20
    (found,) = model.classify([text], None, "none", pool="first")
    tokenizer = model._runner.tokenizer
    window = next(iter(tokenizer.windows(tokenizer.content(text), None, 24)))
    (states,) = model.hidden_states([window.ids.tolist()])
    logits = model._runner.heads["sequence_classification"].logits(states.mean(axis=0)[None])[0]
    expected = dict(zip(model.labels, logits.tolist(), strict=True))
    assert {each["label"]: each["score"] for each in found} == pytest.approx(expected, abs=1e-5)


def test_the_tokenizer_is_taken_as_it_is(copied):
    folder = copied("masked")
    info, own = open_checkpoint(folder).info, Tokenizer.from_file(str(folder / "tokenizer.json"))
    found = Tokenizer.from_str(info.tokenizer)
    for text in ("Café  naïve\t[MASK] story", " 中文 🙂"):
        assert found.encode(text, "no plot").ids == own.encode(text, "no plot").ids
    assert found.encode("a", "b").tokens == ["[CLS]", "a", "[SEP]", "b", "[SEP]"]
    assert (info.mask_token, info.max_length) == ("[MASK]", 96)


@pytest.mark.parametrize(("given", "length"), [(40, 40), (8192, 96), (10**30, 96), (None, 96)])
def test_how_long_a_text_may_be(copied, given, length):
    folder = copied("masked")
    change_json(folder / "tokenizer_config.json", model_max_length=given)
    assert open_checkpoint(folder).info.max_length == length


def test_types_of_a_pair_change_nothing(copied, tmp_path):
    """A template may give the second text a type of its own; the model has none."""
    folder = copied("classifier")
    pair = [("How is it?", "a good film")]
    before = load_float32(folder).classify(pair, None)
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    for piece in tokenizer["post_processor"]["processors"][1]["pair"][3:]:
        next(iter(piece.values()))["type_id"] = 1
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    assert load_float32(folder).classify(pair, None) == before
    path = edgebert.convert(folder, tmp_path / "m.edgebert", min_agreement=0)
    assert edgebert.load(path).classify(pair)[0]["label"] == before[0][0]["label"]


@pytest.mark.parametrize(("pooling", "kinds"), [("cls", ["Pooling"]), ("mean", ["Pooling", "Normalize"])])
def test_folders_for_vectors(copied, pooling, kinds):
    """As gte-modernbert and modernbert-embed are: pooled in one way or the other, with or without prompts."""
    folder = copied("masked", architectures=["ModernBertModel"])
    modules = ["Transformer", *kinds]
    listed = [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "", "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    mode = {"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens"}[pooling]
    change_json(folder / "1_Pooling" / "config.json", word_embedding_dimension=24, **{mode: True})
    prompts = {"search_query": "query: "} if pooling == "mean" else {}
    change_json(folder / "config_sentence_transformers.json", prompts=prompts, default_prompt_name=None)
    change_json(folder / "sentence_bert_config.json", max_seq_length=8192, do_lower_case=False)
    model = load_float32(folder)
    assert (model.max_length, model._runner.info.pipeline.pooling) == (96, pooling)
    (vector,) = model.embed(["a good film"], prompt_name="search_query" if prompts else None)
    ids = model._runner.tokenizer.single(("query: " if prompts else "") + "a good film").ids
    (states,) = model.hidden_states([ids.tolist()])
    expected = states.mean(axis=0) / np.linalg.norm(states.mean(axis=0)) if pooling == "mean" else states[0]
    np.testing.assert_allclose(vector, expected, rtol=0, atol=1e-5)


def test_layer_types_of_transformers_5():
    encoder = encoder_of(open_checkpoint(KINDS / "modernbert-odd").info.config)
    assert [layer.attention.window for layer in encoder.layers] == [7, 0, 7, 7]
    assert [layer.attention.rotary.base for layer in encoder.layers] == [30, 400, 30, 30]
