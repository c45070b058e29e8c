"""Conversion: what goes in comes out, within the law; bad sources leave nothing behind."""

from __future__ import annotations

import json

import numpy as np
import pytest

import edgebert
from edgebert.artifact import read_artifact
from edgebert.checkpoint import open_checkpoint
from edgebert.errors import CheckpointError, EdgebertError, OutputError
from edgebert.layout import check_tensors, expected_tensors
from edgebert.model_info import ModelInfo
from edgebert.quantize import linear as quantize_linear
from edgebert.quantize.law import exceeds_limit, unpack_panels
from edgebert.quantize.linear import half_or_whole
from tests.checkpoint.folders import arrays_of, change_json, copy_model, write_safetensors
from tests.golden import GOLDEN, NAMES

FEW = {"calibrate": ["the film was good", "Tom saw 3 red films"], "evaluate": ["a bad film"]}
"""Texts that do where nothing is measured."""


@pytest.mark.parametrize("name", NAMES)
def test_the_file_holds_what_the_table_says(golden_files, name):
    artifact = read_artifact(golden_files[name])
    checkpoint = open_checkpoint(GOLDEN / name)
    expected = expected_tensors(checkpoint.info.config, checkpoint.info.parts)
    assert check_tensors(artifact.tensors, expected) == []
    assert artifact.json("config") == checkpoint.info.config.to_dict()
    assert artifact.metadata["source_sha256"] == checkpoint.info.source_sha256
    assert artifact.json("labels") == list(checkpoint.info.labels)


def test_weights_and_smoothing_give_the_checkpoint_back(golden_files):
    tensors = read_artifact(golden_files["classifier"]).tensors
    source = open_checkpoint(GOLDEN / "classifier").tensors
    name, norm = "encoder.layer.1.attention.self.query_key_value", "encoder.layer.0.output.LayerNorm"
    H, heads, head_dim = 36, 3, 12
    weight = unpack_panels(tensors[f"{name}.weight"]) * tensors[f"{name}.scale"].T
    smoothing = tensors[f"{norm}.smoothing"][:H]
    # Heads are padded to 16: queries first, then keys, then values.
    found = weight.reshape(3, heads, 16, -1)
    query = found[0, :, :head_dim, :H].reshape(H, H) / smoothing
    step = tensors[f"{name}.scale"].mean()
    assert np.abs(query - source["encoder.layer.1.attention.self.query.weight"]).mean() < step
    assert not found[:, :, head_dim:].any()
    assert not found[..., H:].any()
    np.testing.assert_array_equal(
        tensors[f"{name}.column_sums"][0], unpack_panels(tensors[f"{name}.weight"]).sum(axis=1, dtype=np.int16)
    )
    np.testing.assert_allclose(tensors[f"{norm}.weight"][:H] * smoothing, source[f"{norm}.weight"], rtol=1e-6)
    last = tensors["encoder.layer.1.output.LayerNorm.smoothing"]
    assert (last == 1).all(), "the last hidden states must not be smoothed"


def test_weights_fit_the_depth_of_their_layer(golden_files):
    """What exceeds 16 bits on some processors is in no file; eight bits are used."""
    for path in golden_files.values():
        tensors = read_artifact(path).tensors
        names = [name.removesuffix(".depth") for name in tensors if name.endswith(".depth")]
        weights = {name: unpack_panels(tensors[f"{name}.weight"]) for name in names}
        assert max(np.abs(weight.astype(int)).max() for weight in weights.values()) > 100
        for name, weight in weights.items():
            assert not exceeds_limit(weight, int(tensors[f"{name}.depth"][0]))


@pytest.mark.parametrize(("largest", "depths"), [(np.inf, {2}), (0, {1})])
def test_depth_2_is_tried_first_and_finer_groups_last(tmp_path, monkeypatch, largest, depths):
    monkeypatch.setattr(quantize_linear, "LARGEST_ERROR", largest)
    path = edgebert.convert(GOLDEN / "classifier", tmp_path / "m.edgebert", min_agreement=0)
    receipt = read_artifact(path).json("receipt")
    assert set(receipt["depths"].values()) == depths
    assert bool(receipt["finer_groups"]) is (largest == 0)


def test_both_depths_are_in_use(golden_files):
    receipts = [read_artifact(path).json("receipt") for path in golden_files.values()]
    assert {depth for receipt in receipts for depth in receipt["depths"].values()} == {1, 2}


def test_converting_twice_gives_the_same_file(golden_files, tmp_path):
    again = edgebert.convert(GOLDEN / "classifier", tmp_path / "again.edgebert")
    assert again.read_bytes() == golden_files["classifier"].read_bytes()


def test_nan_in_the_weights_leaves_nothing_behind(tmp_path):
    folder = copy_model("encoder", tmp_path / "model")
    arrays = arrays_of(folder)
    name = next(name for name in arrays if name.endswith("layer.1.output.dense.weight"))
    arrays[name][0, 0] = np.nan
    write_safetensors(folder / "model.safetensors", arrays)
    with pytest.raises(CheckpointError, match=r"layer\.1\.output\.dense\.weight"):
        edgebert.convert(folder, tmp_path / "out.edgebert")
    assert not list(tmp_path.glob("*out*"))


def test_weights_that_float16_cannot_hold(tmp_path):
    folder = copy_model("encoder", tmp_path / "model")
    arrays = arrays_of(folder)
    name = next(name for name in arrays if name.endswith("position_embeddings.weight"))
    arrays[name][0, 0] = 1e6
    write_safetensors(folder / "model.safetensors", arrays)
    with pytest.raises(CheckpointError, match="has a value of 1e"):
        edgebert.convert(folder, tmp_path / "out.edgebert")


def test_weights_of_heads_are_kept_in_float16_where_that_costs_nothing():
    rng = np.random.default_rng(0)
    usual = rng.normal(size=(5, 40)).astype(np.float32)
    tiny = usual.copy()
    tiny[3] *= np.float32(1e-7)  # a row that float16 would lose, among others that it keeps
    beside = usual.copy()
    beside[:, 7] *= np.float32(1e-7)  # columns beside which these are nothing
    large = usual.copy()
    large[2, 2] = 1e5
    found = [half_or_whole(weight) for weight in (usual, tiny, beside, large, np.zeros((2, 3), np.float32))]
    assert [weight.dtype.name for weight in found] == ["float16", "float32", "float16", "float32", "float16"]
    assert (found[1] == tiny).all()
    lost = np.linalg.norm(found[2].astype(np.float32) - beside, axis=1) / np.linalg.norm(beside, axis=1)
    assert lost.max() < 2**-11


def test_small_weights_of_a_pooler_survive(tmp_path):
    folder = copy_model("classifier", tmp_path / "model")
    arrays = arrays_of("classifier")
    arrays["bert.pooler.dense.weight"] *= np.float32(1e-8)
    write_safetensors(folder / "model.safetensors", arrays)
    path = edgebert.convert(folder, tmp_path / "m.edgebert", min_agreement=0)
    weight = read_artifact(path).tensors["pooler.dense.weight"]
    assert (weight == arrays["bert.pooler.dense.weight"]).all()
    assert edgebert.load(path).classify(["a good film"])


def test_an_output_that_cannot_be_is_said_before_the_work(tmp_path):
    with pytest.raises(OutputError, match="there is no folder"):
        edgebert.convert(tmp_path / "missing source", tmp_path / "no" / "out.edgebert")
    with pytest.raises(OutputError, match="it is a folder, expected"):
        edgebert.convert(tmp_path / "missing source", tmp_path)


def test_the_weights_of_the_source_are_not_replaced(tmp_path):
    folder = copy_model("encoder", tmp_path / "model")
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(OutputError, match=r"expected a name that ends in \.edgebert"):
        edgebert.convert(folder, folder / "model.safetensors")
    assert (folder / "model.safetensors").read_bytes() == before


@pytest.mark.filterwarnings("ignore:.*encountered in.*:RuntimeWarning")
@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        (
            "bert.encoder.layer.0.attention.self.query.weight",
            "encoder.layer.0.attention.self.query_key_value has inputs",
        ),
        ("bert.encoder.layer.0.attention.output.dense.weight", "encoder.layer.0.attention.output.dense has inputs"),
        ("bert.encoder.layer.0.output.LayerNorm.weight", "encoder.layer.1.attention.self.query_key_value has inputs"),
        ("bert.encoder.layer.1.output.LayerNorm.weight", "computes values that are no finite numbers"),
        ("classifier.weight", "computes values that are no finite numbers"),
    ],
)
def test_extreme_weights_are_named_and_nothing_is_written(tmp_path, name, complaint):
    folder = copy_model("classifier", tmp_path / "model")
    arrays = arrays_of("classifier")
    arrays[name] = np.full_like(arrays[name], 3e38)
    write_safetensors(folder / "model.safetensors", arrays)
    with pytest.raises(EdgebertError, match=complaint):
        edgebert.convert(folder, tmp_path / "m.edgebert", force=True, **FEW)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_word_embeddings_that_are_all_zero_are_damaged(tmp_path):
    folder, arrays = copy_model("encoder", tmp_path / "model"), arrays_of("encoder")
    (name,) = [name for name in arrays if name.endswith("word_embeddings.weight")]
    arrays[name] = np.zeros_like(arrays[name])
    write_safetensors(folder / "model.safetensors", arrays)
    with pytest.raises(CheckpointError, match="no word embedding that is not zero"):
        edgebert.convert(folder, tmp_path / "m.edgebert", force=True, **FEW)


def test_a_file_that_could_not_be_loaded_is_not_written(tmp_path, monkeypatch):
    whole = ModelInfo.to_json
    monkeypatch.setattr(ModelInfo, "to_json", lambda info: {**whole(info), "labels": ["only one"]})
    with pytest.raises(CheckpointError) as raised:
        edgebert.convert(GOLDEN / "classifier", tmp_path / "m.edgebert", force=True, **FEW)
    message = str(raised.value)
    assert message.startswith(
        "classifier makes no file that could be loaded, nothing was written: its file is damaged: "
    )
    assert "classifier.weight is float32 (3, 36), expected float32 (1, 36)" in message
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_whose_ids_the_model_does_not_know_is_refused(tmp_path):
    """Of special tokens, which stand in no vocabulary."""
    folder = copy_model("encoder", tmp_path / "model")
    change_json(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    description = json.loads((folder / "tokenizer.json").read_text())
    description["post_processor"]["special_tokens"]["[SEP]"]["ids"] = [2**31]
    (folder / "tokenizer.json").write_text(json.dumps(description))
    with pytest.raises(EdgebertError, match="the model's tokenizer is another model's: token_ids"):
        edgebert.convert(folder, tmp_path / "m.edgebert")
    assert not (tmp_path / "m.edgebert").exists()


def test_a_tokenizer_that_makes_the_library_panic_is_refused(tmp_path):
    folder = copy_model("encoder", tmp_path / "model")
    change_json(folder / "tokenizer.json", normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"})
    with pytest.raises(CheckpointError, match=r"tokenizer\.json cannot be read by the tokenizers library: "):
        edgebert.convert(folder, tmp_path / "m.edgebert")
