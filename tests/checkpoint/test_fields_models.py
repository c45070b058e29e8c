"""Every field that a model folder's files may have is decided about: read, without effect, or refused by name."""

from __future__ import annotations

import json
import shutil

import pytest

from edgebert.checkpoint import open_checkpoint
from edgebert.checkpoint.fields_models import FIELDS, check_fields, config_fields
from edgebert.errors import CheckpointWarning, UnsupportedModelError
from edgebert.families import FAMILIES
from tests.checkpoint.folders import change_json, copy_model, open_refusal
from tests.golden import GOLDEN

WRITTEN = json.loads((GOLDEN / "fields.json").read_text(encoding="utf-8"))
"""File -> the fields that releases of other libraries write, by ``tools/list_fields.py``."""


def table_of(file):
    name, _, model_type = file.partition(" ")
    return config_fields(model_type) if model_type else FIELDS[name]


def test_the_list_has_every_family_and_the_releases_of_today():
    assert {file.partition(" ")[2] for file in WRITTEN if file.startswith("config.json")} == set(FAMILIES)
    releases = {release.rpartition(" ") for fields in WRITTEN.values() for each in fields.values() for release in each}
    majors = {(name, version.partition(".")[0]) for name, _, version in releases}
    assert majors == {("transformers", "4"), ("transformers", "5"), ("sentence-transformers", "6"), ("own", "code")}


@pytest.mark.parametrize("file", sorted(WRITTEN))
def test_what_other_libraries_write_is_decided_about(file):
    assert set(WRITTEN[file]) - set(table_of(file)) == set()


@pytest.mark.parametrize("table", [*FIELDS.values(), *map(config_fields, FAMILIES)])
def test_every_decision_has_its_reason(table):
    assert all(field.why for field in table.values())
    assert all(not field.unless or field.kind == "refused" for field in table.values())


def test_fields_are_checked_by_their_tables():
    table = FIELDS["Dense/config.json"]
    assert check_fields({"bias": True, "use_residual": False, "new": None}, table, where="x") == []
    assert check_fields({"bias": 3, "new": False, "other": 1}, table, where="x") == ["new in x", "other in x"]
    with pytest.raises(UnsupportedModelError, match=r"x has use_residual 0 \(expected False: .*; module_input_name"):
        check_fields({"use_residual": 0, "module_input_name": "y"}, table, where="x")


@pytest.fixture
def folder(tmp_path):
    """A copy of the golden classifier."""
    return copy_model("classifier", tmp_path / "classifier")


@pytest.mark.parametrize(
    "field",
    [
        {"chunk_size_feed_forward": 8},
        {"classifier_dropout": 0.3},
        {"torch_dtype": "float16"},
        {"label2id": {"a": 0}},
        {"summary_type": None},
        {"pruned_heads": {}},
        {"classifier_activation": "tanh"},
    ],
)
def test_what_changes_nothing_is_taken_in_silence(folder, field):
    change_json(folder / "config.json", **field)
    open_checkpoint(folder)


@pytest.mark.parametrize(
    "field",
    [
        {"pruned_heads": {"0": [1]}},
        {"is_encoder_decoder": True},
        {"quantization_config": {"bits": 8}},
        {"classifier_activation": "gelu"},
    ],
)
def test_what_changes_results_is_refused_by_name(folder, field):
    change_json(folder / "config.json", **field)
    assert next(iter(field)) in open_refusal(folder, UnsupportedModelError)


@pytest.mark.parametrize("name", ["config.json", "config_sentence_transformers.json"])
def test_what_is_not_known_is_said_once(folder, name):
    change_json(folder / name, rotary_base=10000, summary_first=True, of_no_value=None)
    with pytest.warns(CheckpointWarning) as warnings:
        open_checkpoint(folder)
    (warning,) = warnings
    assert "rotary_base in " in str(warning.message)
    assert "; summary_first in " in str(warning.message)
    assert "of_no_value" not in str(warning.message)


@pytest.mark.parametrize("field", [{"dim": 24}, {"embedding_size": 128}, {"relative_attention_num_buckets": 8}])
def test_a_field_of_another_family_is_not_known_to_change_nothing(folder, field):
    change_json(folder / "config.json", **field)
    with pytest.warns(CheckpointWarning, match=next(iter(field))):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    ("name", "taken", "other"), [("distilbert-classifier", "relu", "gelu"), ("electra-classifier", "gelu", "relu")]
)
def test_what_stands_in_the_classifier_of_a_family(tmp_path, name, taken, other):
    folder = tmp_path / "model"
    shutil.copytree(GOLDEN / "families" / name, folder)
    change_json(folder / "config.json", classifier_activation=taken)
    assert open_checkpoint(folder).info.heads == ("sequence_classification",)
    change_json(folder / "config.json", classifier_activation=other)
    assert f"classifier_activation '{other}'" in open_refusal(folder, UnsupportedModelError)


def test_a_size_by_the_family_s_name_and_by_berts(tmp_path):
    """DistilBERT's own are dim and the like; transformers takes both."""
    folder = tmp_path / "distilbert"
    shutil.copytree(GOLDEN / "families" / "distilbert-token", folder)
    change_json(folder / "config.json", dim=..., n_heads=..., hidden_size=24, num_attention_heads=3)
    config = open_checkpoint(folder).info.config
    assert (config.hidden_size, config.num_attention_heads) == (24, 3)
    change_json(folder / "config.json", n_heads=2)
    assert "n_heads 2 and num_attention_heads 3, expected one of them" in open_refusal(folder)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_code_that_is_not_run_is_without_effect(name):
    """The folders of families that transformers lacked name code that comes with them; it says what edgebert knows."""
    told = check_fields({"auto_map": {"AutoModel": "modeling.Model"}}, config_fields(name), where="config.json")
    assert (told == []) == (name in {"eurobert", "jina_bert", "new", "nomic_bert"}), told


def test_types_of_tasks_are_refused_where_they_are_used():
    table = config_fields("ernie")
    assert check_fields({"use_task_id": False, "task_type_vocab_size": 3}, table, where="x") == []
    with pytest.raises(UnsupportedModelError, match=r"use_task_id True .*edgebert has no types of tasks"):
        check_fields({"use_task_id": True}, table, where="x")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("nomic_bert", {"rotary_emb_fraction": 0.5}),
        ("nomic_bert", {"prenorm": True}),
        ("nomic_bert", {"qkv_proj_bias": True}),
        ("nomic_bert", {"rotary_emb_interleaved": True}),
        ("nomic_bert", {"causal": True}),
        ("new", {"position_embedding_type": "absolute"}),
        ("new", {"layer_norm_type": "rms_norm"}),
        ("new", {"logn_attention_scale": True}),
        ("new", {"pack_qkv": False}),
        ("eurobert", {"mlp_bias": True}),
        ("jina_bert", {"position_embedding_type": "absolute"}),
        ("jina_bert", {"emb_pooler": "cls"}),
    ],
)
def test_what_a_family_does_not_follow_is_refused_by_name(name, fields):
    with pytest.raises(UnsupportedModelError, match=next(iter(fields))):
        check_fields(fields, config_fields(name), where="config.json")
