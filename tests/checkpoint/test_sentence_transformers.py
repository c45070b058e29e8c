"""sentence-transformers folders: pooling, normalisation, length, lower case; and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tokenizers import Tokenizer

from edgebert.checkpoint import open_checkpoint
from edgebert.checkpoint.sentence_transformers import read_sentence_settings
from edgebert.errors import CheckpointWarning, UnsupportedModelError
from tests.checkpoint.folders import arrays_of, change_json, copy_model, open_refusal, write_safetensors

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
    pipeline = checkpoint.info.pipeline
    assert (pipeline.pooling, pipeline.normalize, checkpoint.info.max_length) == ("mean", True, 40)


def test_without_normalisation(folder):
    write_modules(folder, "Transformer", "Pooling")
    assert not open_checkpoint(folder).info.pipeline.normalize


def test_a_transformer_alone_is_a_plain_folder(folder):
    write_modules(folder, "Transformer")
    pipeline = open_checkpoint(folder).info.pipeline
    assert (pipeline.pooling, pipeline.normalize) == ("mean", False)


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
        (pooling("mean_tokens", "cls_token", "lasttoken"), "cls+mean+lasttoken"),
        ({"pooling_mode": ["mean", "cls"]}, "mean+cls"),
        ({"pooling_mode_attention": False, "pooling_mode_max_tokens": True}, "max"),
    ],
)
def test_poolings_in_both_spellings(folder, config, expected):
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))
    assert open_checkpoint(folder).info.pipeline.pooling == expected


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"pooling_mode": "attention"}, "attention"),
        ({"pooling_mode": ["mean", "attention"]}, "attention"),
        ({"pooling_mode_attention": True, "pooling_mode_mean_tokens": True}, "attention"),
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
    assert "modules CNN, LSTM; edgebert runs Transformer, Pooling, Dense, Normalize, Dropout" in message


@pytest.mark.parametrize(
    "kinds",
    [
        (),
        ("Pooling",),
        ("Transformer", "Normalize"),
        ("Transformer", "Normalize", "Pooling"),
        ("Transformer",) * 2,
        ("Transformer", "Dense", "Pooling"),
        ("Transformer", "Dense"),
    ],
)
def test_another_order_of_modules_is_refused(folder, kinds):
    write_modules(folder, *kinds)
    message = open_refusal(folder, UnsupportedModelError)
    assert f"in the order {', '.join(kinds) or 'of none'}; edgebert runs" in message


@pytest.mark.parametrize(("kind", "place"), [("Transformer", "0_Transformer"), ("BERT", "0_BERT")])
def test_an_encoder_in_a_subfolder(folder, kind, place):
    """As folders of before 2020 have it."""
    (folder / place).mkdir()
    for path in list(folder.iterdir()):
        if path.is_file():
            path.rename(folder / place / path.name)
    write_modules(folder, kind, "Pooling", transformer_path=place)
    (folder / "README.md").write_text("# Title")
    checkpoint = open_checkpoint(folder)
    assert (checkpoint.info.max_length, checkpoint.info.card, checkpoint.info.source) == (40, "# Title", "encoder")
    assert (
        checkpoint.tensors["embeddings.LayerNorm.weight"] == arrays_of("encoder")["embeddings.LayerNorm.weight"]
    ).all()


@pytest.mark.parametrize("place", ["../other", "/tmp/other"])
def test_modules_outside_of_the_folder(folder, place):
    write_modules(folder, "Transformer", "Pooling", transformer_path=place)
    assert f"has a module in {place!r}, expected a folder in" in open_refusal(folder)


def test_a_module_of_code_that_comes_with_the_model(folder):
    change = json.loads((folder / "modules.json").read_text())
    change[0]["type"] = "custom_st.Transformer"
    (folder / "modules.json").write_text(json.dumps(change))
    (folder / "custom_st.py").write_text("")
    assert "modules custom_st.Transformer; edgebert runs" in open_refusal(folder, UnsupportedModelError)


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
    assert open_checkpoint(folder).info.max_length == expected


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
        tokenizer = Tokenizer.from_str(open_checkpoint(folder).info.tokenizer)
        tokens[lower] = tokenizer.encode("The PLOT").tokens[1:-1]
    assert tokens == {False: ["The", "[UNK]"], True: ["the", "plot"]}


def test_prompts(folder):
    path = folder / "config_sentence_transformers.json"
    change_json(path, prompts={"query": "query: ", "document": ""}, default_prompt_name=None)
    sentence = open_checkpoint(folder).info
    assert (sentence.prompts, sentence.default_prompt) == ({"query": "query: ", "document": ""}, "")
    change_json(path, default_prompt_name="query")
    assert open_checkpoint(folder).info.default_prompt == "query"


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
    (step,) = checkpoint.info.pipeline.dense
    assert step == (20, 48, "tanh", False)
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
    write_dense(folder, weight, activation_function="my.own.Tanh")
    assert "activation_function 'my.own.Tanh'" in open_refusal(folder, UnsupportedModelError)
    (folder / "2_Dense" / "model.safetensors").unlink()
    write_dense(folder, weight)
    (folder / "2_Dense" / "model.safetensors").unlink()
    assert "2_Dense has no weights" in open_refusal(folder)


@pytest.mark.parametrize("bias", [1, "true", [True]])
def test_a_dense_module_whose_bias_is_neither_there_nor_not(folder, bias):
    write_modules(folder, "Transformer", "Pooling", "Dense")
    write_dense(folder, np.zeros((20, 48), np.float32))
    change_json(folder / "2_Dense" / "config.json", bias=bias)
    assert f"has bias {bias!r}, expected true or false" in open_refusal(folder)


def test_a_dense_module_of_other_inputs_than_it_gets(folder):
    """The kernel would read beyond its weight."""
    write_modules(folder, "Transformer", "Pooling", "Dense")
    write_dense(folder, np.zeros((20, 8), np.float32), in_features=8)
    assert "in_features 8, expected 48: what comes before it" in open_refusal(folder)


def test_dropout_and_normalisation_stand_anywhere_behind_the_pooling(folder):
    write_modules(folder, "Transformer", "Pooling", "Normalize", "Dense", "Dropout")
    weight = np.ones((20, 48), np.float32)
    write_dense(folder, weight)
    (folder / "2_Dense").rename(folder / "3_Dense")
    change_json(folder / "4_Dropout" / "config.json", dropout=0.2)
    pipeline = open_checkpoint(folder).info.pipeline
    assert pipeline.dense == ((20, 48, "tanh", True),)
    assert not pipeline.normalize


def test_a_dense_module_behind_several_poolings(folder):
    write_modules(folder, "Transformer", "Pooling", "Dense")
    change_json(folder / "1_Pooling" / "config.json", pooling_mode_cls_token=True)
    write_dense(folder, np.ones((20, 96), np.float32), in_features=96)
    assert open_checkpoint(folder).info.pipeline.width(48) == 20


@pytest.mark.parametrize(
    ("file", "changes", "named"),
    [
        ("2_Dense/config.json", {"use_residual": True}, "use_residual True"),
        ("2_Dense/config.json", {"module_input_name": "token_embeddings"}, "module_input_name 'token_embeddings'"),
        ("2_Dense/config.json", {"module_output_name": "scores"}, "module_output_name 'scores'"),
        ("3_Normalize/config.json", {"module_input_name": "token_embeddings"}, "module_input_name"),
        ("config_sentence_transformers.json", {"model_type": "SparseEncoder"}, "model_type 'SparseEncoder'"),
        ("sentence_bert_config.json", {"transformer_task": "fill-mask"}, "transformer_task 'fill-mask'"),
        ("sentence_bert_config.json", {"module_output_name": "causal_logits"}, "module_output_name 'causal_logits'"),
        ("sentence_bert_config.json", {"query_expansion": {"strategy": "fixed", "length": 32}}, "query_expansion"),
        ("sentence_bert_config.json", {"modality_config": {"text": {"method": "get_text_features"}}}, "modality_conf"),
        ("sentence_bert_config.json", {"processing_kwargs": {"text": {"truncation": False}}}, "truncation False"),
    ],
)
def test_settings_that_change_vectors_are_refused_by_name(folder, file, changes, named):
    write_modules(folder, "Transformer", "Pooling", "Dense", "Normalize")
    write_dense(folder, np.ones((20, 48), np.float32))
    change_json(folder / file, **changes)
    assert named in open_refusal(folder, UnsupportedModelError)


@pytest.mark.parametrize("name", ["roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"])
def test_the_sisters_of_the_settings_of_the_encoder(folder, name):
    (folder / "sentence_bert_config.json").write_text("{}")
    change_json(folder / f"sentence_{name}_config.json", max_seq_length=12, do_lower_case=True)
    sentence = read_sentence_settings(folder)
    assert (sentence.max_length, sentence.lowercase) == (12, True)
    change_json(folder / "sentence_bert_config.json", max_seq_length=20)
    assert open_checkpoint(folder).info.max_length == 20, "the first that says anything counts"


@pytest.mark.parametrize(
    ("settings", "length"),
    [
        ({"tokenizer_args": {"model_max_length": 9}}, 9),
        ({"processor_kwargs": {"model_max_length": 9, "trust_remote_code": True}}, 9),
        ({"processing_kwargs": {"text": {"max_length": 9, "padding": "max_length"}}}, 9),
        ({"model_args": {"torch_dtype": "float16"}, "unpad_inputs": False, "document_length": 9}, 40),
    ],
)
def test_lengths_in_other_places(folder, settings, length):
    change_json(folder / "sentence_bert_config.json", **settings)
    assert open_checkpoint(folder).info.max_length == length


@pytest.mark.parametrize("truncation", [True, "longest_first", "only_first"])
def test_what_is_done_anyway_may_be_asked_for(folder, truncation):
    text = {"add_special_tokens": True, "truncation": truncation, "max_length": 20, "padding": True}
    change_json(folder / "sentence_bert_config.json", processing_kwargs={"text": text})
    assert open_checkpoint(folder).info.max_length == 20
    for refused in ({"add_special_tokens": False}, {"truncation": False}, {"truncation": "only_second"}):
        change_json(folder / "sentence_bert_config.json", processing_kwargs={"text": text | refused})
        assert next(iter(refused)) in open_refusal(folder, UnsupportedModelError)


def test_config_args_replace_what_config_json_says(folder):
    change_json(folder / "sentence_bert_config.json", config_args={"layer_norm_eps": 0.25})
    assert open_checkpoint(folder).info.config.layer_norm_eps == 0.25


@pytest.mark.parametrize("value", [0, -1, "8", 8.0, True])
def test_a_truncation_that_is_none(folder, value):
    change_json(folder / "config_sentence_transformers.json", truncate_dim=value)
    assert f"truncate_dim {value!r}, expected a number of values of a vector" in open_refusal(folder)


def test_truncation(folder):
    change_json(folder / "config_sentence_transformers.json", truncate_dim=8)
    assert open_checkpoint(folder).info.pipeline.dimensions(48) == 8
    change_json(folder / "config_sentence_transformers.json", truncate_dim=800)
    assert open_checkpoint(folder).info.pipeline.dimensions(48) == 48


@pytest.mark.parametrize("key", ["tokenizer_args", "processor_kwargs"])
def test_the_tokenizer_s_arguments_are_checked_as_its_own_settings_are(folder, key):
    change_json(folder / "sentence_bert_config.json", **{key: {"split_special_tokens": True}})
    assert "split_special_tokens is true" in open_refusal(folder, UnsupportedModelError)
    change_json(folder / "sentence_bert_config.json", **{key: {"stem_words": True}})
    with pytest.warns(CheckpointWarning, match="stem_words"):
        open_checkpoint(folder)
