"""The weights of a folder: every way of storing them gives the same values; what is missing is named."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from edgebert.checkpoint import open_checkpoint
from edgebert.errors import CheckpointError
from tests.checkpoint.folders import (
    arrays_of,
    canonical_arrays_of,
    copy_model,
    open_refusal,
    refusal,
    write_safetensors,
)
from tests.golden import GOLDEN, NAMES


def check_tensors(folder, expected):
    """Check that a folder's tensors are exactly the expected ones, as contiguous float32."""
    tensors = open_checkpoint(folder).tensors
    assert sorted(tensors) == sorted(expected)
    assert len(tensors) == len(expected)
    for name, values in tensors.items():
        assert values.dtype == np.float32
        assert values.flags.c_contiguous
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def write_shards(folder, arrays, *, shards=2):
    """Replace a folder's weights by shards with their index; return the names of the files."""
    (folder / "model.safetensors").unlink()
    names = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    parts = [dict(list(arrays.items())[i::shards]) for i in range(shards)]
    for name, part in zip(names, parts, strict=True):
        write_safetensors(folder / name, part)
    weight_map = {key: name for name, part in zip(names, parts, strict=True) for key in part}
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return names


@pytest.mark.parametrize("name", NAMES)
def test_golden_weights_by_their_canonical_names(name):
    check_tensors(GOLDEN / name, canonical_arrays_of(name))


def test_the_order_of_the_tensors_is_that_of_the_forward_pass():
    names = list(open_checkpoint(GOLDEN / "classifier").tensors)
    assert names[0] == "embeddings.word_embeddings.weight"
    assert names.index("encoder.layer.0.output.LayerNorm.bias") < names.index(
        "encoder.layer.1.attention.self.query.weight"
    )
    assert names[-2:] == ["classifier.weight", "classifier.bias"]


@pytest.mark.parametrize("name", NAMES)
def test_prefix_and_old_names_change_nothing(tmp_path, name):
    folder = copy_model(name, tmp_path)
    expected = canonical_arrays_of(name)
    old = {
        key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for key, value in expected.items()
    }
    assert sum(key.endswith(("gamma", "beta")) for key in old) == 10
    prefixed = {key if key.startswith("classifier") else f"bert.{key}": value for key, value in old.items()}
    for arrays in (old, prefixed):
        write_safetensors(folder / "model.safetensors", arrays, metadata={"format": "pt"})
        check_tensors(folder, expected)


@pytest.mark.parametrize("name", NAMES)
def test_shards_change_nothing(tmp_path, name):
    folder = copy_model(name, tmp_path)
    write_shards(folder, arrays_of(name), shards=3)
    check_tensors(folder, canonical_arrays_of(name))


def test_float16_is_widened(tmp_path):
    folder = copy_model("encoder", tmp_path)
    halves = {key: value.astype(np.float16) for key, value in canonical_arrays_of("encoder").items()}
    write_safetensors(folder / "model.safetensors", halves)
    check_tensors(folder, {key: value.astype(np.float32) for key, value in halves.items()})


def test_float64_is_rounded(tmp_path):
    folder = copy_model("encoder", tmp_path)
    arrays = canonical_arrays_of("encoder")
    doubles = {key: value.astype(np.float64) / 3 for key, value in arrays.items()}
    write_safetensors(folder / "model.safetensors", doubles)
    tensors = open_checkpoint(folder).tensors
    assert all(tensors[key].dtype == np.float32 for key in tensors)
    assert all((tensors[key] == doubles[key].astype(np.float32)).all() for key in tensors)


def test_a_float64_that_float32_cannot_hold(tmp_path):
    folder = copy_model("encoder", tmp_path)
    arrays = canonical_arrays_of("encoder")
    arrays["embeddings.LayerNorm.bias"] = np.full(48, 1e300)
    write_safetensors(folder / "model.safetensors", arrays)
    tensors = open_checkpoint(folder).tensors
    with pytest.raises(CheckpointError, match="0 NaN and 48 infinite values"):
        _ = tensors["embeddings.LayerNorm.bias"]


def test_bfloat16_is_widened(tmp_path):
    folder = copy_model("encoder", tmp_path)
    upper = {
        key: (value.view(np.uint32) >> 16).astype(np.uint16) for key, value in canonical_arrays_of("encoder").items()
    }
    write_safetensors(folder / "model.safetensors", upper)
    # The upper half of a float32 with zeros behind it is the number that the bfloat16 stands for.
    cleared = {
        key: (value.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
        for key, value in canonical_arrays_of("encoder").items()
    }
    check_tensors(folder, cleared)


def test_dtypes_may_differ_between_tensors(tmp_path):
    folder = copy_model("encoder", tmp_path)
    arrays = canonical_arrays_of("encoder")
    arrays["embeddings.LayerNorm.bias"] = arrays["embeddings.LayerNorm.bias"].astype(np.float16)
    write_safetensors(folder / "model.safetensors", arrays)
    check_tensors(folder, {key: value.astype(np.float32) for key, value in arrays.items()})


def test_the_hash_is_that_of_the_bytes(tmp_path):
    whole = (GOLDEN / "encoder" / "model.safetensors").read_bytes()
    assert open_checkpoint(GOLDEN / "encoder").info.source_sha256 == hashlib.sha256(whole).hexdigest()
    folder = copy_model("encoder", tmp_path)
    names = write_shards(folder, arrays_of("encoder"))
    shards = b"".join((folder / name).read_bytes() for name in names)
    assert open_checkpoint(folder).info.source_sha256 == hashlib.sha256(shards).hexdigest()


def test_tensors_are_read_when_asked_for_and_not_kept(tmp_path):
    folder = copy_model("encoder", tmp_path)
    tensors = open_checkpoint(folder).tensors
    name = "encoder.layer.1.output.dense.weight"
    first = tensors[name]
    first[:] = 0
    np.testing.assert_array_equal(tensors[name], arrays_of("encoder")[name])
    (folder / "model.safetensors").unlink()
    assert name in tensors
    assert "nonsense" not in tensors
    assert "model.safetensors cannot be read" in refusal(tensors.__getitem__, name)
    with pytest.raises(KeyError):
        tensors["nonsense"]


@pytest.mark.parametrize(
    ("value", "counted"), [(np.inf, "0 NaN and 1 infinite"), (-np.inf, "0 NaN and 1 infinite"), (np.nan, "1 NaN and 0")]
)
def test_one_value_that_is_not_finite(tmp_path, value, counted):
    folder, arrays = copy_model("encoder", tmp_path), arrays_of("encoder")
    arrays["embeddings.LayerNorm.bias"][0] = value
    write_safetensors(folder / "model.safetensors", arrays)
    assert f"has {counted}" in refusal(open_checkpoint(folder).tensors.__getitem__, "embeddings.LayerNorm.bias")


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_values_that_are_not_finite_are_counted(tmp_path, dtype):
    folder = copy_model("encoder", tmp_path)
    arrays = {key: value.astype(dtype) for key, value in arrays_of("encoder").items()}
    bad = arrays["encoder.layer.1.intermediate.dense.weight"]
    bad[3, 5] = bad[0, 0] = np.nan
    bad[7, 7] = -np.inf
    write_safetensors(folder / "model.safetensors", arrays)
    tensors = open_checkpoint(folder).tensors
    message = refusal(tensors.__getitem__, "encoder.layer.1.intermediate.dense.weight")
    assert "encoder.layer.1.intermediate.dense.weight in " in message
    assert f"has 2 NaN and 1 infinite values of {bad.size}" in message
    assert np.isfinite(tensors["encoder.layer.0.intermediate.dense.weight"]).all()


def test_a_folder_without_weights(tmp_path):
    folder = copy_model("encoder", tmp_path)
    (folder / "model.safetensors").unlink()
    assert "has no weights, edgebert needs model.safetensors" in open_refusal(folder)


@pytest.mark.parametrize(
    "name",
    ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "tf_model.h5", "model.onnx", "onnx/model.onnx"],
)
def test_a_folder_with_weights_of_another_format(tmp_path, name):
    folder = copy_model("encoder", tmp_path)
    (folder / "model.safetensors").unlink()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"weights")
    message = open_refusal(folder)
    assert f"has its weights in {name.rpartition('/')[2]}, edgebert needs model.safetensors" in message
    assert "save_pretrained(..., safe_serialization=True)" in message


def test_missing_shards_are_all_named(tmp_path):
    folder = copy_model("encoder", tmp_path)
    names = write_shards(folder, arrays_of("encoder"), shards=4)
    for name in names[1:3]:
        (folder / name).unlink()
    message = open_refusal(folder)
    assert names[1] in message
    assert names[2] in message
    assert names[0] not in message


def test_a_truncated_shard_is_named(tmp_path):
    folder = copy_model("encoder", tmp_path)
    names = write_shards(folder, arrays_of("encoder"))
    whole = (folder / names[1]).read_bytes()
    (folder / names[1]).write_bytes(whole[:-4])
    message = open_refusal(folder)
    assert names[1] in message
    assert "is not a whole safetensors file" in message


def test_an_index_that_disagrees_with_its_files(tmp_path):
    folder = copy_model("encoder", tmp_path)
    arrays = arrays_of("encoder")
    first, second = write_shards(folder, arrays)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    names = list(arrays)
    index["weight_map"][names[0]] = second
    del index["weight_map"][names[1]]
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    message = open_refusal(folder)
    assert f"'{names[0]}' is in {first}, by model.safetensors.index.json in {second}" in message
    assert f"'{names[1]}' is in {second}, by model.safetensors.index.json in no file" in message


def test_a_tensor_in_two_shards(tmp_path):
    folder = copy_model("encoder", tmp_path)
    arrays = arrays_of("encoder")
    first, second = write_shards(folder, arrays)
    twice = next(iter(arrays))
    write_safetensors(folder / second, {twice: arrays[twice]} | dict(list(arrays.items())[1::2]))
    assert f"'{twice}' is in {first} and {second}" in open_refusal(folder)


def test_a_tensor_that_only_the_index_has_is_missing(tmp_path):
    folder = copy_model("encoder", tmp_path)
    arrays = arrays_of("encoder")
    first, _ = write_shards(folder, arrays)
    lost, *kept = list(arrays)[0::2]
    write_safetensors(folder / first, {name: arrays[name] for name in kept})
    assert f"missing {lost} {arrays[lost].shape}" in open_refusal(folder)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "sub/m.safetensors", 3, ".."])
def test_an_index_must_name_files_beside_it(tmp_path, name):
    folder = copy_model("encoder", tmp_path)
    write_shards(folder, arrays_of("encoder"))
    index = {"weight_map": {"pooler.dense.bias": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    message = open_refusal(folder)
    assert "model.safetensors.index.json names" in message
    assert str(name) in message


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', "\xff"])
def test_an_index_that_cannot_be_read(tmp_path, text):
    folder = copy_model("encoder", tmp_path)
    write_shards(folder, arrays_of("encoder"))
    (folder / "model.safetensors.index.json").write_text(text, encoding="latin-1")
    assert "model.safetensors.index.json" in open_refusal(folder)
