"""The contract of names and shapes: what fits is taken, and every fault is reported at once."""

from __future__ import annotations

import json
import shutil
import warnings

import numpy as np
import pytest
from safetensors.numpy import load_file

from edgebert.checkpoint import open_checkpoint
from edgebert.checkpoint.names import expected_tensors, heads_among
from edgebert.config import BertConfig
from edgebert.errors import CheckpointWarning
from edgebert.families import FAMILIES
from tests.checkpoint.folders import (
    arrays_of,
    canonical_arrays_of,
    change_json,
    copy_model,
    open_refusal,
    write_safetensors,
)
from tests.golden import GOLDEN


@pytest.mark.parametrize(
    ("family", "stored", "canonical"),
    [
        ("bert", "bert.embeddings.word_embeddings.weight", "embeddings.word_embeddings.weight"),
        ("bert", "embeddings.LayerNorm.gamma", "embeddings.LayerNorm.weight"),
        ("bert", "bert.encoder.layer.3.output.LayerNorm.beta", "encoder.layer.3.output.LayerNorm.bias"),
        ("bert", "classifier.weight", "classifier.weight"),
        ("bert", "roberta.pooler.dense.weight", "roberta.pooler.dense.weight"),
        ("bert", "encoder.bert.weight", "encoder.bert.weight"),
        ("bert", "cls.predictions.bias", "cls.predictions.decoder.bias"),
        ("roberta", "roberta.encoder.layer.0.output.dense.bias", "encoder.layer.0.output.dense.bias"),
        ("roberta", "classifier.dense.weight", "pooler.dense.weight"),
        ("roberta", "classifier.out_proj.bias", "classifier.bias"),
        ("roberta", "lm_head.bias", "cls.predictions.decoder.bias"),
        ("xlm-roberta", "lm_head.decoder.weight", "cls.predictions.decoder.weight"),
        ("camembert", "lm_head.layer_norm.weight", "cls.predictions.transform.LayerNorm.weight"),
        ("distilbert", "distilbert.transformer.layer.2.ffn.lin1.weight", "encoder.layer.2.intermediate.dense.weight"),
        (
            "distilbert",
            "distilbert.transformer.layer.2.sa_layer_norm.bias",
            "encoder.layer.2.attention.output.LayerNorm.bias",
        ),
        ("distilbert", "pre_classifier.weight", "pooler.dense.weight"),
        ("electra", "electra.embeddings_project.weight", "embeddings_project.weight"),
        ("electra", "generator_lm_head.bias", "cls.predictions.decoder.bias"),
        ("mpnet", "mpnet.encoder.layer.1.attention.attn.o.weight", "encoder.layer.1.attention.output.dense.weight"),
        ("mpnet", "mpnet.encoder.layer.1.attention.LayerNorm.bias", "encoder.layer.1.attention.output.LayerNorm.bias"),
        ("mpnet", "mpnet.encoder.layer.1.output.LayerNorm.bias", "encoder.layer.1.output.LayerNorm.bias"),
        ("albert", "albert.encoder.embedding_hidden_mapping_in.bias", "embeddings_project.bias"),
        (
            "albert",
            "albert.encoder.albert_layer_groups.1.albert_layers.0.attention.LayerNorm.weight",
            "encoder.layer.1.0.attention.output.LayerNorm.weight",
        ),
        (
            "albert",
            "albert.encoder.albert_layer_groups.0.albert_layers.2.ffn_output.bias",
            "encoder.layer.0.2.output.dense.bias",
        ),
        ("albert", "albert.pooler.weight", "pooler.dense.weight"),
        ("albert", "predictions.bias", "cls.predictions.decoder.bias"),
        ("albert", "sop_classifier.classifier.weight", "unused.sop_classifier.classifier.weight"),
    ],
)
def test_canonical_names(family, stored, canonical):
    assert FAMILIES[family].canonical_name(stored) == canonical


@pytest.mark.parametrize(
    ("name", "heads", "num_labels"), [("encoder", (), 0), ("classifier", ("sequence_classification",), 3)]
)
def test_the_contract_is_what_transformers_saves(name, heads, num_labels):
    config = open_checkpoint(GOLDEN / name).info.config
    saved = {key: value.shape for key, value in canonical_arrays_of(name).items()}
    assert expected_tensors(config, heads, num_labels) == saved


def test_bert_base_has_its_known_number_of_parameters():
    shapes = expected_tensors(BertConfig(), (), 0)
    pooler = 768 * 768 + 768
    assert len(shapes) == 199 - 2
    assert sum(np.prod(shape, dtype=int) for shape in shapes.values()) == 109_482_240 - pooler


@pytest.fixture
def encoder(tmp_path):
    """A copy of the golden encoder and a function that rewrites its weights."""
    folder = copy_model("encoder", tmp_path)
    return folder, lambda arrays: write_safetensors(folder / "model.safetensors", arrays)


@pytest.fixture
def classifier(tmp_path):
    """A copy of the golden classifier and a function that rewrites its weights."""
    folder = copy_model("classifier", tmp_path)
    return folder, lambda arrays: write_safetensors(folder / "model.safetensors", arrays)


def test_every_fault_is_reported_at_once(encoder):
    folder, write = encoder
    arrays = arrays_of("encoder")
    del arrays["encoder.layer.1.output.dense.bias"]
    arrays["encoder.layer.0.attention.self.query.weight"] = np.zeros((48, 47), np.float32)
    arrays["embeddings.LayerNorm.bias"] = np.zeros(48, np.int64)
    arrays["adapter.weight"] = np.zeros(3, np.float32)
    arrays["bert.pooler.dense.bias"] = arrays["pooler.dense.bias"]
    write(arrays)
    message = open_refusal(folder)
    for part in (
        "do not fit its config.json",
        "missing encoder.layer.1.output.dense.bias (48,)",
        "encoder.layer.0.attention.self.query.weight has shape (48, 47), expected (48, 48)",
        "embeddings.LayerNorm.bias is 'I64', expected one of F64, F32, F16, BF16",
        "unknown 'adapter.weight'",
        "'pooler.dense.bias' is there under two names",
    ):
        assert part in message
    assert message.count(";") == 4


def test_many_faults_are_counted_after_the_first_twenty(encoder):
    folder, write = encoder
    write({"nothing": np.zeros(1, np.float32)})
    message = open_refusal(folder)
    # 5 tensors of the embeddings, 16 of each of two layers, no pooler asked for, one unknown.
    assert message.endswith("; and 18 more")
    assert message.count("missing ") == 20


def test_a_config_of_another_size_is_noticed(encoder):
    folder, _ = encoder
    change_json(folder / "config.json", num_hidden_layers=1, max_position_embeddings=32)
    message = open_refusal(folder)
    assert "embeddings.position_embeddings.weight has shape (64, 48), expected (32, 48)" in message
    assert "unknown 'encoder.layer.1.attention.self.query.weight'" in message


def test_what_old_versions_saved_beside_the_weights_is_left_out(encoder):
    folder, write = encoder
    arrays = arrays_of("encoder")
    extras = {
        "embeddings.position_ids": np.arange(64)[None],
        "bert.embeddings.token_type_ids": np.zeros((1, 64), np.int64),
        "cls.predictions.decoder.weight": np.zeros((165, 48), np.float32),
        "cls.seq_relationship.bias": np.zeros(2, np.float32),
    }
    write(arrays | extras)
    assert sorted(open_checkpoint(folder).tensors) == sorted(name for name in arrays if "pooler" not in name)


def test_a_decoder_that_is_stored_twice_is_no_fault(tmp_path):
    """As the head's and as its decoder's: old versions saved both of what is one; of anything else it is a fault."""
    folder = tmp_path / "model"
    shutil.copytree(GOLDEN / "families" / "bert-masked", folder)
    arrays = load_file(folder / "model.safetensors")
    arrays["cls.predictions.decoder.bias"] = arrays["cls.predictions.bias"]
    write_safetensors(folder / "model.safetensors", arrays)
    assert open_checkpoint(folder).info.heads == ("masked_lm",)
    arrays["embeddings.LayerNorm.weight"] = arrays["bert.embeddings.LayerNorm.weight"]
    write_safetensors(folder / "model.safetensors", arrays)
    assert "'embeddings.LayerNorm.weight' is there under two names" in open_refusal(folder)


@pytest.mark.parametrize(
    ("there", "heads"),
    [
        ("cls.seq_relationship pooler", ["next_sentence"]),
        ("cls.seq_relationship", []),
        ("cls.predictions.transform.dense", ["masked_lm"]),
        ("cls.predictions.transform.dense cls.seq_relationship pooler", ["masked_lm", "next_sentence"]),
        ("classifier pooler", ["sequence_classification"]),
        ("classifier", ["token_classification"]),
        ("qa_outputs pooler", ["question_answering"]),
        ("pooler", []),
    ],
)
def test_heads_by_what_is_there(there, heads):
    """What looks at a whole text reads the pooler."""
    names = [
        f"{'pooler.dense' if name == 'pooler' else name}.{p}" for name in there.split() for p in ("weight", "bias")
    ]
    assert heads_among(dict.fromkeys(names), BertConfig()) == tuple(heads)


def test_an_encoder_may_lack_its_pooler_which_no_task_reads(encoder):
    folder, write = encoder
    arrays = arrays_of("encoder")
    del arrays["pooler.dense.bias"], arrays["pooler.dense.weight"]
    write(arrays)
    assert sorted(open_checkpoint(folder).tensors) == sorted(arrays)


def test_a_classifier_needs_its_pooler_and_its_bias(classifier):
    folder, write = classifier
    arrays = arrays_of("classifier")
    del arrays["bert.pooler.dense.weight"], arrays["bert.pooler.dense.bias"], arrays["classifier.bias"]
    write(arrays)
    message = open_refusal(folder)
    for name in ("pooler.dense.weight (36, 36)", "pooler.dense.bias (36,)", "classifier.bias (3,)"):
        assert f"missing {name}" in message


def test_a_classifier_without_its_head_is_an_encoder(classifier):
    folder, write = classifier
    write({key: value for key, value in arrays_of("classifier").items() if key.startswith("bert.")})
    with pytest.warns(CheckpointWarning, match="no weights of its head sequence_classification"):
        checkpoint = open_checkpoint(folder)
    assert (checkpoint.info.heads, checkpoint.info.labels, checkpoint.info.problem_type) == ((), (), "")


def test_a_pipeline_without_a_head_says_nothing(tmp_path):
    """Its config.json names the class that it was trained as, of which the encoder alone was kept."""
    folder = tmp_path / "m"
    shutil.copytree(GOLDEN / "sentences" / "encoder", folder)
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "architectures": ["BertForMaskedLM"]}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_checkpoint(folder).info.heads == ()


def test_a_classifier_with_half_of_its_head(classifier):
    folder, write = classifier
    write({key: value for key, value in arrays_of("classifier").items() if key != "classifier.weight"})
    assert "missing classifier.weight" in open_refusal(folder)


def test_a_roberta_classifier_without_its_head(tmp_path):
    folder = tmp_path / "roberta"
    shutil.copytree(GOLDEN / "families" / "roberta-classifier", folder)
    arrays = load_file(folder / "model.safetensors")
    kept = {key: value for key, value in arrays.items() if not key.startswith("classifier.")}
    write_safetensors(folder / "model.safetensors", kept)
    with pytest.warns(CheckpointWarning, match="it is taken without it"):
        assert open_checkpoint(folder).info.heads == ()
    write_safetensors(folder / "model.safetensors", kept | {"classifier.dense.bias": arrays["classifier.dense.bias"]})
    assert "missing classifier.weight" in open_refusal(folder)


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "electra", "mpnet", "albert"])
def test_of_tied_weights_the_decoder_alone_may_be_there(tmp_path, family):
    folder = tmp_path / family
    shutil.copytree(GOLDEN / "families" / f"{family}-masked", folder)
    arrays = load_file(folder / "model.safetensors")
    words = next(name for name in arrays if name.endswith("word_embeddings.weight"))
    decoders = {"bert": "cls.predictions.decoder", "distilbert": "vocab_projector", "electra": "generator_lm_head"}
    decoders["albert"] = "predictions.decoder"
    del_names = {words, f"{decoders.get(family, 'lm_head.decoder')}.weight"}
    kept = {key: value for key, value in arrays.items() if key not in del_names}
    write_safetensors(
        folder / "model.safetensors", kept | {f"{decoders.get(family, 'lm_head.decoder')}.weight": arrays[words]}
    )
    found = open_checkpoint(folder).tensors["embeddings.word_embeddings.weight"]
    assert (found == arrays[words]).all()
    change_json(folder / "config.json", tie_word_embeddings=False)
    assert "missing embeddings.word_embeddings.weight" in open_refusal(folder)


def test_an_untied_decoder_is_not_the_word_embeddings(tmp_path):
    folder = tmp_path / "bert"
    shutil.copytree(GOLDEN / "families" / "bert-masked", folder)
    arrays = load_file(folder / "model.safetensors")
    write_safetensors(
        folder / "model.safetensors", {k: v for k, v in arrays.items() if k != "cls.predictions.decoder.weight"}
    )
    assert open_checkpoint(folder).info.heads == ("masked_lm",)
    change_json(folder / "config.json", tie_word_embeddings=False)
    assert "missing cls.predictions.decoder.weight" in open_refusal(folder)


@pytest.mark.parametrize("shape", [(36,), (3, 35), (0, 36), (3, 36, 1), ()])
def test_a_misshapen_head(classifier, shape):
    folder, write = classifier
    write(arrays_of("classifier") | {"classifier.weight": np.zeros(shape, np.float32)})
    assert f"classifier.weight has shape {shape}, expected (" in open_refusal(folder)


def test_heads_of_pretraining_beside_a_classifier_are_left_out(classifier):
    folder, write = classifier
    write(arrays_of("classifier") | {"cls.predictions.bias": np.zeros(199, np.float32)})
    assert open_checkpoint(folder).info.heads == ("sequence_classification",)


def test_a_pooler_left_beside_a_classifier_with_a_dense_layer_of_its_own(tmp_path):
    """As many RoBERTa classifiers have it: transformers does not use it either."""
    folder = tmp_path / "roberta"
    shutil.copytree(GOLDEN / "families" / "roberta-classifier", folder)
    arrays = load_file(folder / "model.safetensors")
    stale = {f"roberta.pooler.dense.{part}": np.full(shape, 7, np.float16) for part, shape in SHAPES.items()}
    write_safetensors(folder / "model.safetensors", arrays | stale)
    checkpoint = open_checkpoint(folder)
    assert checkpoint.info.heads == ("sequence_classification",)
    assert (checkpoint.tensors["pooler.dense.weight"] == arrays["classifier.dense.weight"]).all()


SHAPES = {"weight": (24, 24), "bias": (24,)}
