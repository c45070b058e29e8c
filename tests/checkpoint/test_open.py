"""What a folder's config.json and README.md say, and how a folder is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from edgebert.checkpoint import open_checkpoint
from edgebert.errors import CheckpointWarning, UnsupportedModelError
from edgebert.families import FAMILIES
from tests.checkpoint.folders import (
    arrays_of,
    change_json,
    copy_model,
    open_refusal,
    refusal,
    write_safetensors,
)
from tests.golden import GOLDEN


@pytest.fixture
def classifier(tmp_path):
    """A copy of the golden classifier."""
    return copy_model("classifier", tmp_path / "classifier")


def with_labels(folder: Path, count: int) -> None:
    """Give the classifier another number of rows, and keep its config."""
    arrays = arrays_of("classifier")
    arrays["classifier.weight"] = np.ones((count, 36), np.float32)
    arrays["classifier.bias"] = np.ones(count, np.float32)
    write_safetensors(folder / "model.safetensors", arrays)


def test_an_encoder():
    checkpoint = open_checkpoint(GOLDEN / "encoder")
    assert (checkpoint.info.source, checkpoint.info.heads, checkpoint.info.labels) == ("encoder", (), ())
    assert (checkpoint.info.problem_type, checkpoint.info.pipeline.pooling, checkpoint.info.pipeline.normalize) == (
        "",
        "mean",
        False,
    )
    assert (checkpoint.info.max_length, checkpoint.info.card) == (64, "")
    assert (checkpoint.info.config.hidden_size, checkpoint.info.config.activation) == (48, "erf")


def test_a_classifier():
    checkpoint = open_checkpoint(str(GOLDEN / "classifier"))
    assert (checkpoint.info.source, checkpoint.info.heads) == ("classifier", ("sequence_classification",))
    assert checkpoint.info.labels == ("negative", "neutral", "positive")
    assert checkpoint.info.problem_type == "single_label_classification"
    assert (checkpoint.info.config.intermediate_size, checkpoint.info.config.activation) == (100, "tanh")
    assert checkpoint.info.config.layer_norm_eps == 1e-5


@pytest.mark.parametrize(
    "architecture", ["BertLMHeadModel", "BertForMultipleChoice", "MyBertForSearch", "RobertaModel"]
)
def test_another_class_with_a_berts_tensors_is_an_encoder(encoder, architecture):
    change_json(encoder / "config.json", architectures=[architecture])
    arrays = {f"bert.{name}": array for name, array in arrays_of("encoder").items()}
    arrays["projection.weight"] = np.zeros((3, 48), np.float32)
    write_safetensors(encoder / "model.safetensors", arrays)
    with pytest.warns(CheckpointWarning, match=f"is a {architecture}, whose head edgebert does not know"):
        checkpoint = open_checkpoint(encoder)
    assert checkpoint.info.heads == ()
    assert len(checkpoint.tensors) == len(arrays) - 3  # without the projection and BERT's pooler


def test_another_class_with_other_tensors_is_named(encoder):
    change_json(encoder / "config.json", architectures=["LlamaForCausalLM"])
    write_safetensors(encoder / "model.safetensors", {"lm_head.weight": np.zeros((3, 48), np.float32)})
    message = open_refusal(encoder, UnsupportedModelError)
    assert "encoder is a LlamaForCausalLM, which is no encoder of edgebert's: the weights of" in message


def test_electra_for_pretraining_is_an_encoder(tmp_path):
    folder = tmp_path / "electra"
    shutil.copytree(GOLDEN / "families" / "electra-token", folder)
    arrays = load_file(folder / "model.safetensors")
    kept = {name: array for name, array in arrays.items() if not name.startswith("classifier.")}
    kept["discriminator_predictions.dense.weight"] = np.zeros((24, 24), np.float32)
    write_safetensors(folder / "model.safetensors", kept)
    change_json(folder / "config.json", architectures=["ElectraForPreTraining"], id2label=...)
    with pytest.warns(CheckpointWarning, match="is a ElectraForPreTraining"):
        assert open_checkpoint(folder).info.heads == ()


def test_an_adapter_beside_the_weights_is_refused(encoder):
    (encoder / "adapter_config.json").write_text("{}")
    assert "merge the adapter into its weights first" in open_refusal(encoder, UnsupportedModelError)


@pytest.mark.parametrize("model_type", ["deberta", "gpt2", "modernbert-decoder", 3])
def test_another_model_type_is_named_with_those_supported(encoder, model_type):
    change_json(encoder / "config.json", model_type=model_type)
    message = open_refusal(encoder, UnsupportedModelError)
    assert f"encoder is a model of type {model_type!r}; edgebert runs {', '.join(FAMILIES)}" in message


def test_an_unsupported_model_is_refused_before_its_weights_are_looked_for(encoder):
    change_json(encoder / "config.json", model_type="deberta")
    (encoder / "model.safetensors").unlink()
    open_refusal(encoder, UnsupportedModelError)


@pytest.mark.parametrize("architectures", [..., None, []])
@pytest.mark.parametrize("model_type", [..., "bert"])
def test_where_the_architecture_is_not_named_the_tensors_decide(encoder, classifier, architectures, model_type):
    for folder, heads in ((encoder, ()), (classifier, ("sequence_classification",))):
        change_json(folder / "config.json", architectures=architectures, model_type=model_type)
        assert open_checkpoint(folder).info.heads == heads


@pytest.mark.parametrize(
    "id2label",
    [
        ...,
        None,
        {"0": "a", "1": "b"},
        {"1": "a", "2": "b", "3": "c"},
        {"0": "a", "1": "b", "x": "c"},
        ["a", "b", "c"],
    ],
)
def test_labels_that_do_not_fit_the_head_are_all_numbered(classifier, id2label):
    change_json(classifier / "config.json", id2label=id2label)
    assert open_checkpoint(classifier).info.labels == ("LABEL_0", "LABEL_1", "LABEL_2")


def test_labels_are_in_the_order_of_their_numbers(classifier):
    with_labels(classifier, 12)
    names = {str(i): f"class {i}" for i in reversed(range(12))}
    change_json(classifier / "config.json", id2label=names)
    assert open_checkpoint(classifier).info.labels == tuple(f"class {i}" for i in range(12))


def test_fifty_classes_with_two_names_are_numbered(classifier):
    with_labels(classifier, 50)
    change_json(classifier / "config.json", id2label={"0": "LABEL_0", "1": "LABEL_1"})
    assert open_checkpoint(classifier).info.labels == tuple(f"LABEL_{i}" for i in range(50))


@pytest.mark.parametrize(
    ("said", "rows", "problem_type"),
    [
        (..., 1, "multi_label_classification"),
        (None, 2, "single_label_classification"),
        ("multi_label_classification", 3, "multi_label_classification"),
        ("regression", 3, "regression"),
        ("single_label_classification", 1, "multi_label_classification"),
    ],
)
def test_problem_types(classifier, said, rows, problem_type):
    with_labels(classifier, rows)
    change_json(classifier / "config.json", problem_type=said)
    assert open_checkpoint(classifier).info.problem_type == problem_type


@pytest.mark.parametrize("place", ["config_sentence_transformers.json", "sentence_transformers", "sbert"])
@pytest.mark.parametrize(
    ("name", "problem_type"),
    [
        ("linear.Identity", "regression"),
        ("activation.Sigmoid", "multi_label_classification"),
        ("activation.Softmax", "single_label_classification"),
    ],
)
def test_what_stands_behind_a_cross_encoder(classifier, place, name, problem_type):
    function = f"torch.nn.modules.{name}"
    if place == "config_sentence_transformers.json":
        change_json(classifier / place, activation_fn=function, model_type="CrossEncoder")
        function = "torch.nn.modules.activation.Tanh"  # what config.json says counts for less
    key = "sbert_ce_default_activation_function" if place == "sbert" else "sentence_transformers"
    change_json(classifier / "config.json", **{key: function if place == "sbert" else {"activation_fn": function}})
    assert open_checkpoint(classifier).info.problem_type == problem_type


def test_a_cross_encoder_that_does_not_say_has_a_sigmoid_behind_one_label(classifier):
    change_json(classifier / "config_sentence_transformers.json", activation_fn=None, model_type="CrossEncoder")
    assert open_checkpoint(classifier).info.problem_type == "regression"
    with_labels(classifier, 1)
    assert open_checkpoint(classifier).info.problem_type == "multi_label_classification"


@pytest.mark.parametrize("function", ["torch.nn.modules.activation.Tanh", "my.own.Sigmoid"])
def test_another_function_behind_a_cross_encoder_is_refused(classifier, function):
    change_json(classifier / "config_sentence_transformers.json", activation_fn=function)
    assert f"activation_fn {function!r}; edgebert runs" in open_refusal(classifier, UnsupportedModelError)


def test_an_unknown_problem_type(classifier):
    change_json(classifier / "config.json", problem_type="ranking")
    assert "problem_type 'ranking', expected one of single_label_classification" in open_refusal(classifier)


def test_a_folder_without_config(encoder):
    (encoder / "config.json").unlink()
    assert "encoder has no config.json, expected a Hugging Face model folder" in open_refusal(encoder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "config.json is not JSON"),
        (b"{'a': 1}", "config.json is not JSON"),
        (b"[" * 200_000, "config.json is not JSON"),
        (b"[]", "config.json holds a JSON list, expected a dict"),
        (b'{"model_type": "\xff"}', "config.json is not UTF-8 text: byte 16"),
        (b'{"hidden_size": -1, "hidden_act": "relu"}', "hidden_size is -1"),
    ],
)
def test_a_config_that_cannot_be_read(encoder, content, message):
    (encoder / "config.json").write_bytes(content)
    assert message in open_refusal(encoder)


def test_the_name_of_a_folder_given_as_a_dot(encoder, monkeypatch):
    monkeypatch.chdir(encoder)
    assert open_checkpoint(".").info.source == "encoder"


@pytest.mark.parametrize(
    "source",
    [
        "/no/such/model",
        "./model",
        "../model",
        "a/b/c",
        "models/",
        "sub/model.safetensors",
        "",
        "a b",
        "~nobody/x",
    ],
)
def test_a_path_to_nothing_is_not_looked_for_on_the_hub(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refusal(open_checkpoint, source)
    assert f"no such folder: {source!r}; expected a model folder, or org/name of one on the hub" in message


def test_a_path_object_is_never_a_name_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no such folder: 'org/name'" in refusal(open_checkpoint, Path("org/name"))


def test_a_file_is_not_a_folder(encoder):
    assert "model.safetensors is a file, expected the model folder" in open_refusal(encoder / "model.safetensors")


@pytest.mark.parametrize(
    ("readme", "card"),
    [
        ("# Title\n\nText.\n", "# Title\n\nText."),
        ("---\nlicense: mit\ntags:\n- a\n---\n\n# Title\n---\nend\n", "# Title\n---\nend"),
        ("---\nlicense: mit\n---\n", ""),
        ("---\r\nlicense: mit\r\n---\r\n# Title\r\n", "# Title"),
        ("---\nnever closed\n# Title\n", "---\nnever closed\n# Title"),
        ("", ""),
    ],
)
def test_the_model_card_is_the_readme_without_its_front_matter(encoder, readme, card):
    (encoder / "README.md").write_bytes(readme.encode())
    assert open_checkpoint(encoder).info.card == card


@pytest.mark.parametrize(
    ("front", "licence", "languages"),
    [
        ("license: apache-2.0\nlanguage: en", "apache-2.0", ("en",)),
        (
            "tags:\n- license: x\n- language\nlanguage:\n- en\n- 'no'\n\n# so\n- \"de\" # German\nlicense: mit",
            "mit",
            ("en", "no", "de"),
        ),
        ("language:\n  - fr\n  - it\nlicense:\n  - mit\n  - gpl-3.0", "mit, gpl-3.0", ("fr", "it")),
        ("language: [en, 'zh-CN',\n  pt]  # three\nlicense: 'cc-by-4.0'", "cc-by-4.0", ("en", "zh-CN", "pt")),
        ("license: other\nlicense_name: llama3\nlicense_link: LICENSE", "llama3", ()),
        ("license: other", "other", ()),
        ("license:\nlanguage: null", "", ()),
        ("language: []\nmodel-index:\n- name: x\n  license: mit", "", ()),
        ("language: " + "x" * 500, "", ()),
    ],
)
def test_licence_and_languages_of_the_model_card(encoder, front, licence, languages):
    (encoder / "README.md").write_text(f"---\n{front}\n---\n# Title\n")
    info = open_checkpoint(encoder).info
    assert (info.card, info.licence, info.languages) == ("# Title", licence, languages)


def test_a_stray_byte_in_the_model_card_is_no_reason_to_refuse(encoder):
    (encoder / "README.md").write_bytes(b"caf\xe9")
    assert open_checkpoint(encoder).info.card == "caf\ufffd"


@pytest.mark.parametrize(
    ("model_max_length", "expected"),
    [(20, 20), (..., 64), (None, 64), (1e30, 64), (10**30, 64), (0, 64), ("20", 64), (512, 64)],
)
def test_the_length_of_a_text(encoder, model_max_length, expected):
    change_json(encoder / "tokenizer_config.json", model_max_length=model_max_length)
    assert open_checkpoint(encoder).info.max_length == expected


def test_config_and_weights_and_tokenizer_json_are_enough(encoder, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        shutil.copy(encoder / name, bare)
    assert open_checkpoint(bare).info.max_length == 64
