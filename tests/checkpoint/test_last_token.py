"""Classifiers of texts that look at the last token, as those of Qwen3 and Gemma 3 do."""

from __future__ import annotations

import json
import shutil

import pytest

import edgebert
from edgebert.checkpoint import open_checkpoint
from edgebert.errors import CheckpointError, UnsupportedModelError
from edgebert.evaluate.float32 import load_float32
from tests.checkpoint.folders import change_json
from tests.golden import GOLDEN

LABELS = ("two", "four", "one", "three")


@pytest.mark.parametrize("name", ["qwen3-classifier", "gemma3-classifier"])
def test_a_text_is_what_its_last_token_says(name, tmp_path):
    source = GOLDEN / "kinds" / name
    checkpoint = open_checkpoint(source)
    assert (checkpoint.info.heads, checkpoint.info.labels) == (("sequence_classification",), LABELS)
    assert not checkpoint.tensors["classifier.bias"].any()
    model = load_float32(source)
    ((best, *_),) = model.classify(["the film was good"], top_k=None)
    states = model.hidden_states([model._runner.tokenizer.single("the film was good").ids.tolist()])[0]
    logits = checkpoint.tensors["classifier.weight"] @ states[-1]
    assert best["label"] == LABELS[int(logits.argmax())]
    path = edgebert.convert(source, tmp_path / "m.edgebert", min_agreement=0)
    assert edgebert.load(path, threads=1).labels == LABELS


def test_without_a_class_the_tensors_do_not_tell(tmp_path):
    folder = shutil.copytree(GOLDEN / "kinds" / "qwen3-token", tmp_path / "model")
    assert open_checkpoint(folder).info.heads == ("token_classification",)
    change_json(folder / "config.json", architectures=None)
    with pytest.raises(CheckpointError, match="the tensors of its classifier may be of texts or of tokens"):
        open_checkpoint(folder)


def test_texts_that_end_in_the_padding_token(tmp_path):
    """There transformers looks at the token before, which depends on the text."""
    folder = shutil.copytree(GOLDEN / "kinds" / "qwen3-classifier", tmp_path / "model")
    last = json.loads((folder / "config.json").read_text())["pad_token_id"]
    checkpoint = open_checkpoint(folder)
    ends_in = load_float32(folder)._runner.tokenizer.single("a").ids[-1]
    assert ends_in != last
    change_json(folder / "config.json", pad_token_id=int(ends_in))
    with pytest.raises(UnsupportedModelError, match=f"not the padding token {ends_in}, but its tokenizer ends every"):
        open_checkpoint(folder)
    change_json(folder / "config.json", pad_token_id=None)
    assert open_checkpoint(folder).info.labels == checkpoint.info.labels
