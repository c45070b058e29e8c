"""Models in the layout of the gliner package: what is read of them, and what is refused by name."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from edgebert.checkpoint import open_checkpoint
from edgebert.errors import CheckpointError, CheckpointWarning, UnsupportedModelError
from tests.checkpoint.folders import change_json, open_refusal
from tests.golden import GOLDEN

CONFIG, WEIGHTS = "gliner_config.json", "model.safetensors"
SPANS = "span_rep_layer.span_rep_layer"


@pytest.fixture
def folder_of(tmp_path):
    """Return a function from the name of a golden model to a copy of it."""
    return lambda name: shutil.copytree(GOLDEN / "gliner" / name, tmp_path / name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("span", ("<<ENT>>", "<<SEP>>", 85, False, 32, 1, 5, 384)),
        ("span-plain", ("<<E>>", "<<S>>", 85, True, 48, 0, 3, 9)),
        ("token", ("<<ENT>>", "<<SEP>>", 301, False, 32, 2, 0, 384)),
    ],
)
def test_what_is_read(name, expected):
    checkpoint = open_checkpoint(GOLDEN / "gliner" / name)
    info = checkpoint.info
    assert info.gliner == expected
    assert (info.heads, info.labels, info.sparse, info.late_interaction) == ((), (), None, None)
    assert set(info.parts) <= {tensor.rpartition(".")[0] for tensor in checkpoint.tensors}


def test_the_layer_behind_two_is_split():
    checkpoint, stored = open_checkpoint(GOLDEN / "gliner" / "span"), load_file(GOLDEN / "gliner" / "span" / WEIGHTS)
    whole = stored[f"{SPANS}.out_project.0.weight"].astype(np.float32)
    np.testing.assert_array_equal(checkpoint.tensors["gliner.out.start.weight"], whole[:, :32])
    np.testing.assert_array_equal(checkpoint.tensors["gliner.out.end.weight"], whole[:, 32:])
    np.testing.assert_array_equal(checkpoint.tensors["gliner.out.start.bias"], stored[f"{SPANS}.out_project.0.bias"])
    assert not checkpoint.tensors["gliner.out.end.bias"].any()


def test_defaults(folder_of):
    """Of the package, where a field is missing."""
    folder = folder_of("token")
    change_json(folder / CONFIG, **dict.fromkeys(["max_len", "ent_token", "sep_token", "embed_ent_token"], ...))
    assert open_checkpoint(folder).info.gliner == open_checkpoint(GOLDEN / "gliner" / "token").info.gliner
    change_json(folder / CONFIG, span_mode="token-level")
    assert open_checkpoint(folder).info.gliner.max_width == 0
    folder = folder_of("span")
    change_json(folder / CONFIG, max_width=..., num_rnn_layers=..., span_mode=...)
    assert open_checkpoint(folder).info.gliner[5:7] == (1, 12)


def test_an_encoder_that_names_no_family_is_a_deberta(folder_of):
    folder = folder_of("span")
    config = open_checkpoint(folder).info.config
    encoder = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["encoder_config"]
    del encoder["model_type"]
    change_json(folder / CONFIG, encoder_config=encoder)
    assert open_checkpoint(folder).info.config == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"span_mode": "conv_share"}, "has span_mode 'conv_share'; edgebert runs markerV0 and token_level"),
        ({"subtoken_pooling": "mean"}, "subtoken_pooling 'mean' (expected 'first': a word has the state of its first"),
        ({"words_splitter_type": "spacy"}, "words_splitter_type 'spacy' (expected 'whitespace'"),
        ({"fuse_layers": True}, "fuse_layers True (expected False: edgebert reads the last layer alone)"),
        ({"post_fusion_schema": "l2l"}, "post_fusion_schema 'l2l'"),
        ({"labels_encoder": "a/b"}, "labels_encoder 'a/b' (expected none: labels stand before the text)"),
        ({"labels_decoder": "a/b"}, "labels_decoder 'a/b' (expected none: edgebert writes no text)"),
        ({"relations_layer": "x"}, "relations_layer 'x'"),
        ({"represent_spans": True}, "represent_spans True"),
        ({"precomputed_prompts_mode": True}, "precomputed_prompts_mode True"),
        ({"span_encoder_config": {"model_type": "rnn"}}, "span_encoder_config {'model_type': 'rnn'}"),
    ],
)
def test_kinds_that_edgebert_does_not_run(folder_of, changes, message):
    folder = folder_of("span")
    change_json(folder / CONFIG, **changes)
    assert message in open_refusal(folder, kind=UnsupportedModelError)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder_config": ...}, "has no encoder_config, expected that of tiny/encoder: load the model with gliner"),
        ({"encoder_config": []}, "has encoder_config [], expected a JSON object"),
        ({"class_token_index": 86}, "has class_token_index 86 for '<<ENT>>', whose id in the tokenizer is 85"),
        ({"ent_token": "<<OTHER>>"}, "has class_token_index 85 for '<<OTHER>>', whose id in the tokenizer is None"),
        ({"max_width": 0}, "has max_width 0, expected a number of words"),
        ({"max_len": "long"}, "has max_len 'long', expected a number of words"),
        ({"num_rnn_layers": 99}, "cannot be used: rnn_layers of gliner is 99, expected 0 to 16"),
        ({"num_rnn_layers": "one"}, "cannot be used: rnn_layers of gliner is 'one'"),
        ({"hidden_size": 33}, "cannot be used: hidden_size of gliner is 33, expected an even number with an LSTM"),
        ({"embed_ent_token": "yes"}, "has embed_ent_token 'yes', expected true or false"),
        ({"num_rnn_layers": 2}, "missing rnn.lstm.weight_ih_l1 (64, 32)"),
        ({"num_rnn_layers": 0}, "unknown 'rnn.lstm.bias_hh_l0'"),
        ({"hidden_size": 48}, "token_rep_layer.projection"),
        ({"span_mode": "token_level"}, "missing scorer.out_mlp.0.weight (128, 96)"),
    ],
)
def test_what_is_wrong(folder_of, changes, message):
    folder = folder_of("span")
    change_json(folder / CONFIG, **changes)
    assert message in open_refusal(folder)


def test_weights_that_do_not_fit(folder_of):
    folder = folder_of("span")
    tensors = load_file(folder / WEIGHTS)
    for change, message in (
        ({f"{SPANS}.out_project.3.weight": np.zeros((32, 5), np.float16)}, "has shape (32, 5), expected (32, 128)"),
        ({"prompt_rep_layer.0.bias": np.zeros(128, np.int32)}, "prompt_rep_layer.0.bias is 'I32'"),
        ({"other.weight": np.zeros(3, np.float32)}, "unknown 'other.weight'"),
        ({f"{SPANS}.out_project.0.weight": np.full((128, 64), np.nan, np.float32)}, "has 8192 NaN"),
    ):
        save_file({**tensors, **change}, folder / WEIGHTS)
        assert message in open_refusal(folder)
    del tensors["token_rep_layer.bert_layer.model.encoder.LayerNorm.weight"]
    save_file(tensors, folder / WEIGHTS)
    assert "missing encoder.LayerNorm.weight (48,)" in open_refusal(folder)


def test_unknown_settings_are_told(folder_of):
    folder = folder_of("span")
    change_json(folder / CONFIG, novelty=3, lr_encoder=1e-5, root_dir="x")
    with pytest.warns(CheckpointWarning, match="does without: novelty in .*gliner_config.json"):
        open_checkpoint(folder)


def test_without_a_tokenizer(folder_of):
    folder = folder_of("span")
    (folder / "tokenizer.json").unlink()
    assert "has no tokenizer.json" in open_refusal(folder, kind=UnsupportedModelError)
    (folder / "tokenizer_config.json").unlink()
    assert "tokenizer" in open_refusal(folder, kind=UnsupportedModelError)


def test_it_is_a_checkpoint_error(folder_of):
    folder = folder_of("span")
    (folder / CONFIG).write_text("[1]")
    with pytest.raises(CheckpointError, match=r"gliner_config\.json"):
        open_checkpoint(folder)
