"""Files of texts, and what random models are made of."""

import json

import pytest
from safetensors.numpy import load_file

import edgebert
from benchmarks.random_bert import SHAPES, write_random_bert
from benchmarks.texts import read_texts
from edgebert.checkpoint import open_checkpoint
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
