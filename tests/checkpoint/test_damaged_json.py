"""Whatever a JSON file of a model folder holds, the folder opens or is refused in one line."""

from __future__ import annotations

import contextlib
import json
import shutil

import pytest

from edgebert.checkpoint import open_checkpoint
from edgebert.errors import CheckpointError, EdgebertError
from tests.checkpoint.folders import change_json, copy_model
from tests.golden import GOLDEN, KINDS
from tests.selection import few

WRONG = (None, True, -1, 0, 10**20, 1.5, "", "x", "[PAD]", [], ["x"], [None], {}, {"x": 1})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A sentence-transformers folder with every JSON file that is read, and a tokenizer built or given."""
    folder = copy_model("encoder", tmp_path_factory.mktemp("models") / "encoder")
    modules = [
        {"idx": 0, "path": "", "type": "m.Transformer"},
        {"idx": 1, "path": "1_Pooling", "type": "m.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    change_json(folder / "1_Pooling" / "config.json", pooling_mode="mean", pooling_mode_cls_token=False)
    change_json(folder / "sentence_bert_config.json", max_seq_length=40, do_lower_case=True)
    change_json(folder / "config_sentence_transformers.json", prompts={"a": ""}, default_prompt_name="a")
    change_json(folder / "config.json", id2label={"0": "a"}, problem_type=None)
    change_json(folder / "tokenizer_config.json", added_tokens_decoder=...)
    assert open_checkpoint(folder).info.max_length == 40
    return folder


def places(value, path=()):
    """Yield the path of every node of a JSON value, of long lists and vocabularies the first ones."""
    if path:
        yield path
    if isinstance(value, dict):
        for key in list(value)[:25]:
            yield from places(value[key], (*path, key))
    if isinstance(value, list):
        for i in range(min(3, len(value))):
            yield from places(value[i], (*path, i))


def variants(text):
    """Yield the JSON text with each node in turn replaced by each wrong value."""
    for *parents, last in places(json.loads(text)):
        for wrong in WRONG:
            value = node = json.loads(text)
            for key in parents:
                node = node[key]
            node[last] = wrong
            yield json.dumps(value)


@pytest.mark.filterwarnings("ignore::edgebert.errors.CheckpointWarning")
@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("config.json", ""),
        ("tokenizer.json", ""),
        ("tokenizer_config.json", "tokenizer.json"),
        ("modules.json", ""),
        ("1_Pooling/config.json", ""),
        ("sentence_bert_config.json", ""),
        ("config_sentence_transformers.json", ""),
    ],
)
@pytest.mark.filterwarnings("ignore::edgebert.errors.CheckpointWarning")  # a part of another kind, by chance
def test_no_value_escapes_as_another_error(folder, tmp_path, name, without):
    path, aside = folder / name, tmp_path / "aside"
    text = path.read_text(encoding="utf-8")
    if without:
        (folder / without).rename(aside)
    opened, refusals = 0, []
    for variant in variants(text):
        path.write_text(variant, encoding="utf-8")
        try:
            open_checkpoint(folder)
        except CheckpointError as error:
            refusals.append(str(error))
        else:
            opened += 1
    path.write_text(text, encoding="utf-8")
    if without:
        aside.rename(folder / without)
    assert opened > 0
    assert refusals
    assert [message for message in refusals if "\n" in message or not message] == []


@pytest.mark.filterwarnings("ignore::edgebert.errors.CheckpointWarning")
@pytest.mark.parametrize("name", few(KINDS, "nomic-hub", "gemma3-classifier", "jina-classifier"))
def test_no_field_of_a_family_escapes_by_a_list_or_an_object(tmp_path, name):
    """Of which Python makes no member of a set: each field in turn, and as many of them as there are layers."""
    folder = shutil.copytree(GOLDEN / "kinds" / name, tmp_path / "model")
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for key in [*values, "problem_type"]:
        for wrong in ([], {}, ["x"], {"x": []}, *([each] * values.get("num_hidden_layers", 1) for each in ([], {}))):
            (folder / "config.json").write_text(json.dumps({**values, key: wrong}), encoding="utf-8")
            with contextlib.suppress(EdgebertError):
                open_checkpoint(folder)
