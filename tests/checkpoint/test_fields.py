"""Every field of a tokenizer's files is decided about: those that transformers knows today, and any other."""

from __future__ import annotations

import json
import warnings

import pytest

from edgebert.checkpoint import open_checkpoint
from edgebert.checkpoint.fields import FIELDS, FILES
from edgebert.errors import CheckpointWarning, UnsupportedModelError
from edgebert.families.rules import Rule
from tests.checkpoint.folders import change_json, open_refusal
from tests.cli.command import run
from tests.golden import GOLDEN

TODAY = json.loads((GOLDEN / "tokenizers" / "fields.json").read_text(encoding="utf-8"))
CONFIG = "tokenizer_config.json"
REFUSED = {name: rule for name, rule in FIELDS[CONFIG].items() if rule.kind == "refused"}


@pytest.mark.parametrize("field", TODAY["fields"])
def test_a_field_that_transformers_knows_is_decided_about(field):
    assert field in FIELDS[CONFIG]


@pytest.mark.parametrize("file", TODAY["files"])
def test_a_file_that_transformers_looks_for_is_decided_about(file):
    assert file in FILES


def test_every_rule_is_one_of_three_and_says_why():
    rules: list[Rule] = [rule for table in (*FIELDS.values(), FILES) for rule in table.values()]
    assert {rule.kind for rule in rules} == {"honoured", "without effect", "refused"}
    assert all(rule.why for rule in rules)
    assert all(rule.harmless(None) for rule in rules if rule.kind == "refused")


@pytest.mark.parametrize("field", [name for name, rule in FIELDS[CONFIG].items() if rule.kind == "without effect"])
def test_a_field_without_effect_has_none(encoder, field):
    before = open_checkpoint(encoder).info.tokenizer
    for value in ("x", 1, True, [1], {"a": "b"}):
        change_json(encoder / CONFIG, **{field: value})
        assert open_checkpoint(encoder).info.tokenizer == before


@pytest.mark.parametrize("field", REFUSED)
def test_a_refused_field_is_named_with_its_value_and_why(encoder, field):
    change_json(encoder / CONFIG, **{field: None})
    open_checkpoint(encoder)
    wrong = {"do_basic_tokenize": False, "do_word_tokenize": False, "do_subword_tokenize": False}.get(field, ["mecab"])
    change_json(encoder / CONFIG, **{field: wrong})
    message = open_refusal(encoder, UnsupportedModelError)
    assert f"{field} is {json.dumps(wrong)} ({REFUSED[field].why})" in message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("split_special_tokens", False),
        ("do_basic_tokenize", True),
        ("word_tokenizer_type", "basic"),
        ("subword_tokenizer_type", "wordpiece"),
        ("wordpieces_prefix", "##"),
        ("fast_tokenizer_files", ["tokenizer.json"]),
        ("init_inputs", []),
        ("sp_model_kwargs", {}),
    ],
)
def test_a_refused_field_may_have_the_value_that_changes_nothing(encoder, field, value):
    before = open_checkpoint(encoder).info.tokenizer
    change_json(encoder / CONFIG, **{field: value})
    assert open_checkpoint(encoder).info.tokenizer == before


def test_all_refused_fields_are_named_at_once(encoder):
    change_json(encoder / CONFIG, word_tokenizer_type="sudachi", split_special_tokens=True)
    message = open_refusal(encoder, UnsupportedModelError)
    assert 'word_tokenizer_type is "sudachi"' in message
    assert "split_special_tokens is true" in message


@pytest.mark.parametrize("file", [CONFIG, "special_tokens_map.json"])
def test_unknown_fields_are_all_named_in_one_warning(encoder, file):
    change_json(encoder / CONFIG, added_tokens_decoder=...)  # with which the other file is not looked at
    change_json(encoder / file, stem_words=True, spell=2, nothing=None)
    with pytest.warns(CheckpointWarning, match=rf"{file} has fields .* not follow: spell; stem_words;") as caught:
        open_checkpoint(encoder)
    assert len(caught) == 1


def test_a_token_for_a_role_of_its_own_is_no_unknown_field(encoder):
    change_json(encoder / CONFIG, image_token="film")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_checkpoint(encoder)


def test_adapter_weights_are_refused(encoder):
    change_json(encoder / "adapter_config.json", peft_type="LORA")
    assert "adapter_config.json (weights beside the model's own" in open_refusal(encoder, UnsupportedModelError)


def test_the_command_line_shows_a_warning_as_one_line(encoder, tmp_path):
    change_json(encoder / CONFIG, stem_words=True)
    texts = tmp_path / "texts.txt"
    texts.write_text("a film\n")
    # Refused behind the opening, before anything is compiled.
    result = run("convert", encoder, tmp_path / "m.edgebert", "--calibrate", texts, "--evaluate", texts)
    assert result.returncode == 1
    warning, error = result.stderr.decode().splitlines()
    assert warning.startswith(f"edgebert: warning: {encoder / CONFIG} has fields")
    assert error.startswith("edgebert: error: ")
