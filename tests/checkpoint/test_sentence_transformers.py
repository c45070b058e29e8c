"""sentence-transformers folders: pooling, normalisation, length, lower case; and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tokenizers import Tokenizer

from edgebert.checkpoint import open_checkpoint
from edgebert.errors import UnsupportedModelError
from tests.checkpoint.folders import change_json, copy_model, open_refusal, write_safetensors

PACKAGE = "sentence_transformers.models"


def write_modules(folder, *kinds, transformer_path=""):
    """Write a modules.json with these modules in their usual folders."""
    modules = [
        {
            "idx": i,
            "name": str(i),
            "path": f"{i}_{kind}" if i else transformer_path,
            "type": f"{PACKAGE}.{kind}",
        }
        for i, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))


@pytest.fixture
def folder(tmp_path):
    """The golden encoder as a sentence-transformers folder."""
    folder = copy_model("encoder", tmp_path / "encoder")
    write_modules(folder, "Transformer", "Pooling", "Normalize")
    change_json(folder / "1_Pooling" / "config.json", **pooling("mean_tokens"))
    change_json(folder / "sentence_bert_config.json", max_seq_length=40, do_lower_case=False)
    return folder


def pooling(*chosen):
    """Return the switches of a Pooling module, as they are saved."""
    modes = (
        "cls_token",
        "mean_tokens",
        "max_tokens",
        "mean_sqrt_len_tokens",
        "weightedmean_tokens",
        "lasttoken",
    )
    return {"word_embedding_dimension": 48} | {f"pooling_mode_{mode}": mode in chosen for mode in modes}


def test_a_whole_folder(folder):
    checkpoint = open_checkpoint(folder)
    sentence = checkpoint.sentence
    assert (sentence.pooling, sentence.normalize, checkpoint.max_length) == ("mean", True, 40)


def test_without_normalisation(folder):
    write_modules(folder, "Transformer", "Pooling")
    assert not open_checkpoint(folder).sentence.normalize


def test_a_transformer_alone_is_a_plain_folder(folder):
    write_modules(folder, "Transformer")
    sentence = open_checkpoint(folder).sentence
    assert (sentence.pooling, sentence.normalize) == ("mean", False)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (pooling("cls_token"), "cls"),
        (pooling("max_tokens"), "max"),
        (pooling("mean_tokens"), "mean"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": "max"}, "max"),
        ({"pooling_mode": ["mean"]}, "mean"),
        ({"word_embedding_dimension": 48}, "mean"),
        (pooling("mean_sqrt_len_tokens"), "mean_sqrt_len_tokens"),
        (pooling("lasttoken"), "lasttoken"),
        (pooling("weightedmean_tokens"), "weightedmean"),
        ({"pooling_mode": "weightedmean"}, "weightedmean"),
    ],
)
def test_poolings_in_both_spellings(folder, config, expected):
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))
    assert open_checkpoint(folder).sentence.pooling == expected


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (pooling("cls_token", "mean_tokens"), "cls_token and mean_tokens"),
        ({"pooling_mode": "attention"}, "attention"),
        ({"pooling_mode": ["mean", "max"]}, "mean and max"),
        ({"pooling_mode": [{}]}, "{}"),
    ],
)
def test_other_poolings_are_named(folder, config, named):
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))
    message = open_refusal(folder, UnsupportedModelError)
    assert f"pools by {named}; edgebert pools by one of mean, cls, max, " in message


def test_other_modules_are_all_named(folder):
    write_modules(folder, "Transformer", "Pooling", "CNN", "Normalize", "LSTM")
    message = open_refusal(folder, UnsupportedModelError)
    assert "modules CNN, LSTM; edgebert runs Transformer, Pooling, Dense, Normalize" in message


@pytest.mark.parametrize(
    "kinds",
    [
        (),
        ("Pooling",),
        ("Transformer", "Normalize"),
        ("Transformer", "Normalize", "Pooling"),
        ("Transformer",) * 2,
        ("Transformer", "Dense", "Pooling"),
        ("Transformer", "Pooling", "Normalize", "Dense"),
        ("Transformer", "Dense"),
    ],
)
def test_another_order_of_modules_is_refused(folder, kinds):
    write_modules(folder, *kinds)
    message = open_refusal(folder, UnsupportedModelError)
    assert f"in the order {', '.join(kinds) or 'of none'}; edgebert runs" in message


def test_an_encoder_in_a_subfolder(folder):
    write_modules(folder, "Transformer", "Pooling", transformer_path="0_Transformer")
    assert "in the subfolder '0_Transformer'" in open_refusal(folder, UnsupportedModelError)


@pytest.mark.parametrize("content", ["{}", "[1]", '[{"type": "x"}]', '[{"type": "x", "path": 3}]', "["])
def test_modules_that_cannot_be_read(folder, content):
    (folder / "modules.json").write_text(content)
    assert "modules.json" in open_refusal(folder)


def test_a_pooling_that_is_named_but_missing(folder):
    (folder / "1_Pooling" / "config.json").unlink()
    assert "1_Pooling/config.json cannot be read: No such file" in open_refusal(folder).replace("\\", "/")


@pytest.mark.parametrize(
    ("max_seq_length", "model_max_length", "expected"),
    [(40, 20, 40), (None, 20, 20), (..., 20, 20), (512, 20, 64), (None, 1e30, 64), (40, ..., 40)],
)
def test_lengths(folder, max_seq_length, model_max_length, expected):
    change_json(folder / "sentence_bert_config.json", max_seq_length=max_seq_length)
    change_json(folder / "tokenizer_config.json", model_max_length=model_max_length)
    assert open_checkpoint(folder).max_length == expected


@pytest.mark.parametrize("length", [0, -1, "40", 40.5, True])
def test_a_length_that_is_none(folder, length):
    change_json(folder / "sentence_bert_config.json", max_seq_length=length)
    assert f"max_seq_length {length!r}, expected a number of tokens" in open_refusal(folder)


def test_lower_case_is_asked_of_the_tokenizer(tmp_path):
    folder = copy_model("classifier", tmp_path)  # a cased one
    write_modules(folder, "Transformer", "Pooling")
    change_json(folder / "1_Pooling" / "config.json", **pooling("mean_tokens"))
    tokens = {}
    for lower in (False, True):
        change_json(folder / "sentence_bert_config.json", do_lower_case=lower)
        tokenizer = Tokenizer.from_str(open_checkpoint(folder).tokenizer_json)
        tokens[lower] = tokenizer.encode("The PLOT").tokens[1:-1]
    assert tokens == {False: ["The", "[UNK]"], True: ["the", "plot"]}


def test_prompts(folder):
    path = folder / "config_sentence_transformers.json"
    change_json(path, prompts={"query": "query: ", "document": ""}, default_prompt_name=None)
    sentence = open_checkpoint(folder).sentence
    assert (sentence.prompts, sentence.default_prompt) == ({"query": "query: ", "document": ""}, "")
    change_json(path, default_prompt_name="query")
    assert open_checkpoint(folder).sentence.default_prompt == "query"


@pytest.mark.parametrize("prompts", [{"query": 3}, ["query: "], "query: "])
def test_prompts_that_are_no_texts(folder, prompts):
    change_json(folder / "config_sentence_transformers.json", prompts=prompts)
    assert "prompts that are no texts by name" in open_refusal(folder)


def test_a_default_prompt_that_is_not_there(folder):
    change_json(folder / "config_sentence_transformers.json", prompts={"a": "b"}, default_prompt_name="query")
    assert "default_prompt_name 'query', but no such prompt" in open_refusal(folder)


def write_dense(folder, weight, bias=None, **changes):
    """Write a Dense module into its usual folder."""
    settings = {"in_features": 48, "out_features": len(weight), "bias": bias is not None}
    settings["activation_function"] = "torch.nn.modules.activation.Tanh"
    change_json(folder / "2_Dense" / "config.json", **(settings | changes))
    tensors = {"linear.weight": weight} | ({} if bias is None else {"linear.bias": bias})
    write_safetensors(folder / "2_Dense" / "model.safetensors", tensors)


def test_a_dense_module(folder):
    write_modules(folder, "Transformer", "Pooling", "Dense", "Normalize")
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(20, 48)).astype(np.float32), rng.normal(size=20).astype(np.float32)
    write_dense(folder, weight, bias)
    checkpoint = open_checkpoint(folder)
    (module,) = checkpoint.sentence.dense
    assert (module.N, module.K, module.activation) == (20, 48, "tanh")
    assert (checkpoint.tensors["sentence_dense.0.weight"] == weight).all()
    assert (checkpoint.tensors["sentence_dense.0.bias"] == bias).all()
    write_dense(folder, weight)
    assert (open_checkpoint(folder).tensors["sentence_dense.0.bias"] == 0).all()


def test_dense_modules_that_are_refused(folder):
    write_modules(folder, "Transformer", "Pooling", "Dense")
    weight = np.zeros((20, 48), np.float32)
    write_dense(folder, weight, out_features=21)
    assert "expected {'weight': (21, 48)}" in open_refusal(folder)
    write_dense(folder, weight, in_features="48")
    assert "in_features '48', expected whole numbers" in open_refusal(folder)
    write_dense(folder, weight, activation_function="torch.nn.modules.activation.Hardswish")
    assert "activation_function 'Hardswish'" in open_refusal(folder, UnsupportedModelError)
    (folder / "2_Dense" / "model.safetensors").unlink()
    write_dense(folder, weight)
    (folder / "2_Dense" / "model.safetensors").unlink()
    assert "2_Dense has no weights" in open_refusal(folder)


def test_a_dense_module_of_other_inputs_than_it_gets(folder):
    """The kernel would read beyond its weight."""
    write_modules(folder, "Transformer", "Pooling", "Dense")
    write_dense(folder, np.zeros((20, 8), np.float32), in_features=8)
    assert "in_features 8, expected 48: what comes before it" in open_refusal(folder)
