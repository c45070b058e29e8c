"""Files of texts, and what random models are made of."""

import json

import pytest
from safetensors.numpy import load_file

import edgebert
from benchmarks.random_bert import write_random_artifact, write_random_bert
from benchmarks.shapes import SHAPES
from benchmarks.texts import read_texts
from edgebert.checkpoint import open_checkpoint
from edgebert.model_file import ModelFile
from tests.golden import GOLDEN


def test_pairs_alternate_and_keep_their_scores(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text('"One, two",three,4.5\nfour,"five ""six""",0\n', "utf-8")
    assert read_texts(path) == (["One, two", "three", "four", 'five "six"'], [4.5, 0.0])


def test_lines_are_stripped_and_blank_ones_dropped(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("one, two\n\n  \n three \n", "utf-8")
    assert read_texts(path) == (["one, two", "three"], [])


@pytest.mark.parametrize("row", ["only one", "a,b", "a,b,high", "a,b,1,2"])
def test_a_bad_row_is_named(tmp_path, row):
    path = tmp_path / "pairs.csv"
    path.write_text(f"a,b,1\n{row}\n", "utf-8")
    with pytest.raises(ValueError, match="row 2"):
        read_texts(path)


def test_a_random_folder_is_a_model_of_its_shape(folder, model):
    loaded = edgebert.load(model, threads=1)
    assert loaded.hidden_size == SHAPES["tiny"]["hidden_size"]
    assert json.loads((folder / "config.json").read_text())["num_hidden_layers"] == 2
    # Random weights, but no model that says the same of everything.
    first, second = loaded.embed(["a good film", "the battery died"])
    assert abs(first - second).max() > 0.01


def test_a_table_of_oranges(tmp_path):
    path = tmp_path / "posts.tab"
    path.write_text("Category\tText\nd\tstring\nclass\t\nsci.space\tone post\nsci.med\t\nsci.med\tanother\n", "utf-8")
    assert read_texts(path) == (["one post", "another"], [])


def test_a_shape_of_another_family(tmp_path):
    """By the names that its own files have, so that peers read it, too."""
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    write_random_bert(tmp_path, {**SHAPES["deberta-v3-small"], **small, "vocab_size": 5000}, GOLDEN / "encoder")
    assert "encoder.layer.0.attention.self.query_proj.weight" in load_file(tmp_path / "model.safetensors")
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.info.config.model_type == "deberta-v2"
    rows = checkpoint.tensors["encoder.rel_embeddings.weight"]
    assert rows.shape == (512, 32)
    assert (checkpoint.tensors["encoder.LayerNorm.weight"] == 1).all()


def test_a_shape_with_other_names_and_without_biases(tmp_path):
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    write_random_bert(tmp_path, {**SHAPES["modernbert-base"], **small, "vocab_size": 5000}, GOLDEN / "encoder")
    found = load_file(tmp_path / "model.safetensors")
    assert found["layers.1.mlp.Wi.weight"].shape == (96, 32)
    assert found["layers.1.mlp.Wo.weight"].shape == (32, 48)
    assert not [name for name in found if name.endswith(".bias")]
    assert open_checkpoint(tmp_path).info.config.model_type == "modernbert"


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "tiny"])
def test_a_file_of_a_shape_without_a_conversion(tmp_path, name):
    small = {"num_hidden_layers": 1, "vocab_size": 3000, "max_position_embeddings": 512}
    if "layer_types" in SHAPES[name]:
        small["layer_types"] = ["full_attention"]
    write_random_artifact(tmp_path / "m.edgebert", {**SHAPES[name], **small})
    model = edgebert.load(tmp_path / "m.edgebert", threads=1)
    (states,) = model.hidden_states([list(range(1, 60))])
    assert states.shape == (59, SHAPES[name]["hidden_size"])
    assert set(ModelFile(tmp_path / "m.edgebert").tensors["encoder.layer.0.output.dense.depth"]) == {2}
