"""The merge on tiny arrays, and the default model's folder built twice."""

import hashlib
import json

import numpy as np
import pytest
from adapter import load_adapter, merge, save_adapter
from build_default_model import build
from safetensors.numpy import load_file

RNG = np.random.default_rng(0)


def floats(*shape):
    """Return seeded float32 noise."""
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("out", "width", "rank"), [(1, 1, 1), (3, 5, 2), (5, 3, 4), (9, 11, 1)])
def test_merge_is_the_sum_with_the_product(out, width, rank):
    base = {"a.weight": floats(out, width), "a.bias": floats(out)}
    adapter = {"a.lora_A": floats(rank, width), "a.lora_B": floats(out, rank)}
    merged = merge(base, adapter)
    x = floats(7, width).astype(np.float64)
    expected = x @ base["a.weight"].T + (x @ adapter["a.lora_A"].T) @ adapter["a.lora_B"].T
    assert set(merged) == {"a.weight", "a.bias"}
    assert merged["a.weight"].dtype == np.float32
    np.testing.assert_allclose(x @ merged["a.weight"].T, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(merged["a.bias"], base["a.bias"])


def test_merge_replaces_and_adds_whole_tensors_and_leaves_the_base_alone():
    base = {"pooler.weight": floats(2, 2), "a.weight": floats(2, 2)}
    before = {name: tensor.copy() for name, tensor in base.items()}
    adapter = {
        "pooler.weight": floats(2, 2),
        "classifier.bias": floats(2),
        "a.lora_A": floats(1, 2),
        "a.lora_B": floats(2, 1),
    }
    merged = merge(base, adapter)
    np.testing.assert_array_equal(merged["pooler.weight"], adapter["pooler.weight"])
    np.testing.assert_array_equal(merged["classifier.bias"], adapter["classifier.bias"])
    for name, tensor in before.items():
        np.testing.assert_array_equal(base[name], tensor)


def test_merge_names_every_fault():
    base = {"a.weight": floats(3, 5), "b.weight": floats(3, 5), "c.weight": floats(3, 5), "d": floats(2)}
    adapter = {
        "a.lora_A": floats(2, 5),  # no other half
        "b.lora_A": floats(2, 4),  # another width
        "b.lora_B": floats(3, 2),
        "c.lora_A": floats(2, 5),  # another rank
        "c.lora_B": floats(3, 1),
        "e.lora_B": floats(3, 2),  # no other half
        "d": floats(3),  # another shape
    }
    with pytest.raises(ValueError, match="does not fit") as caught:
        merge(base, adapter)
    assert [fault.split()[0] for fault in str(caught.value).split(": ", 1)[1].split("; ")] == [
        "a.lora_A",
        "b.lora_A",
        "c.lora_B",
        "e.lora_B",
        "d",
    ]


def test_the_file_holds_the_rounded_values(tmp_path):
    tensor = floats(4, 3)
    save_adapter(tmp_path / "a.safetensors", {"x": tensor})
    loaded = load_adapter(tmp_path / "a.safetensors")["x"]
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, tensor.astype(np.float16).astype(np.float32))


def test_the_folder_is_ordinary_and_the_same_every_time(material, tmp_path):
    base = material("minilm-l6")
    digests = []
    for name in ("first", "second"):
        folder = tmp_path / "made" / name
        build(base, folder)
        digests.append({p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()})
    assert digests[0] == digests[1]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["first", "second"]

    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "NEGATIVE", "1": "POSITIVE"}
    assert config["label2id"] == {"NEGATIVE": 0, "POSITIVE": 1}
    assert config["problem_type"] == "single_label_classification"
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert tokenizer["truncation"] is None
    assert tokenizer["padding"] is None

    # What every machine must build; it changes with the adapter alone.
    after = load_file(folder / "model.safetensors")
    digest = hashlib.sha256(b"".join(after[name].tobytes() for name in sorted(after))).hexdigest()
    assert digest == "72615379d99912c23f137f3c52d9a35d334398e18559f432711dcdc7bd3b729e"
    before = load_file(base / "model.safetensors")
    assert set(after) == {
        *(f"bert.{name}" for name in before if name != "embeddings.position_ids"),
        "classifier.weight",
        "classifier.bias",
    }
    assert {tensor.dtype for tensor in after.values()} == {np.dtype(np.float32)}
    changed = {name for name in before if not np.array_equal(before[name], after.get(f"bert.{name}", 0))}
    dense = ("query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense")
    assert changed == {
        "embeddings.position_ids",
        "pooler.dense.weight",
        "pooler.dense.bias",
        *(name for name in before if name.endswith(tuple(f"{layer}.weight" for layer in dense))),
    } - {name for name in before if "LayerNorm" in name}


def test_an_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("keep me")
    with pytest.raises(FileExistsError, match="choose another name"):
        build(tmp_path, tmp_path)
    assert (tmp_path / "mine").read_text() == "keep me"
