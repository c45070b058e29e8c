"""The .edgebert file: a safetensors file, checked completely, written whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import shutil
import struct
import zlib

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import edgebert
from edgebert.artifact import FORMAT_VERSION, _checksum, _head_checksum, read_artifact, write_artifact
from edgebert.errors import ArtifactError, OutputError
from edgebert.layout import TOKENIZER, pack_tokenizer, unpack_tokenizer
from edgebert.model_file import ModelFile

TENSORS = {
    "odd": np.arange(5, dtype=np.float32),
    "weight": np.arange(-128, 128, dtype=np.int8).reshape(4, 64),
    "half": np.linspace(-1, 1, 32, dtype=np.float16).reshape(2, 16),
    "sums": np.arange(16, dtype=np.int32),
    "none": np.zeros((0, 16), np.float32),
}
METADATA = {"scheme": "w8a8", "labels": ["naïve", "漢字"], "normalize": True}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "m.edgebert"
    write_artifact(path, TENSORS, METADATA)
    return path


def test_round_trip(path):
    artifact = read_artifact(path)
    assert artifact.size == path.stat().st_size
    assert artifact.tensors.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        assert artifact.tensors[name].dtype == array.dtype
        np.testing.assert_array_equal(artifact.tensors[name], array)
    assert artifact.metadata["scheme"] == "w8a8"
    assert artifact.json("labels") == ["naïve", "漢字"]
    assert artifact.json("normalize") is True


def test_any_safetensors_reader_opens_it(path):
    with safe_open(path, framework="numpy") as file:
        assert set(file.keys()) == TENSORS.keys()
        for name, array in TENSORS.items():
            np.testing.assert_array_equal(file.get_tensor(name), array)
        assert file.metadata()["format_version"] == str(FORMAT_VERSION)


def test_tensors_of_whole_cache_lines_are_aligned_and_read_only(path):
    tensors = read_artifact(path).tensors
    assert [name for name, array in tensors.items() if array.nbytes and array.ctypes.data % 64 == 0] == [
        "weight",
        "half",
        "sums",
        "odd",
    ]
    with pytest.raises(ValueError, match="read-only"):
        tensors["weight"][0, 0] = 1


def test_every_changed_byte_is_noticed(path):
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x11]) + whole[at + 1 :])
        with pytest.raises(ArtifactError):
            read_artifact(path)


def test_every_truncation_and_extension_is_noticed(path):
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 13), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match=r"m\.edgebert"):
            read_artifact(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ArtifactError, match="damaged"):
        read_artifact(path)


def _with_version(path, version):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"]["format_version"] = version
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + data[8 + length :])


def _write_raw(path, header, data=b""):
    """Write a file with any header, text or value, and a right checksum where it can have one."""
    if isinstance(header, dict) and isinstance(header.get("__metadata__"), dict):
        texts, entries = header["__metadata__"], {key: header[key] for key in header if key != "__metadata__"}
        texts["crc32"] = f"{zlib.crc32(data, zlib.crc32(json.dumps([texts, entries]).encode())):08x}"
    head = header if isinstance(header, str) else json.dumps(header)
    path.write_bytes(struct.pack("<Q", len(head)) + head.encode() + data)


FORMAT = {"format": "edgebert", "format_version": str(FORMAT_VERSION)}


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("{" + "[" * 100_000, "not readable JSON"),
        ('{"a":' * 200 + "1" + "}" * 200, "nested more than 100 deep"),
        ('{"a": "\\ud800"}', "not readable JSON"),
        ({"__metadata__": {**FORMAT, "labels": ["a"]}}, "values that are no strings"),
        ({"__metadata__": {**FORMAT, "scheme": None}}, "values that are no strings"),
        ({"__metadata__": {**FORMAT, "format_version": 4}}, "values that are no strings"),
        ({"__metadata__": {**FORMAT, "format_version": "\u00b2"}}, r"format version '\\xb2', this edgebert"),
        ({"__metadata__": {**FORMAT, "format_version": "9" * 5000}}, "convert the model again"),
        ({"__metadata__": {**FORMAT, "format_version": "\x1b[31m5"}}, r"format version '\\x1b\[31m5'"),
        ({"__metadata__": FORMAT, "a": {"dtype": "I8", "shape": [0, 2**70], "data_offsets": [0, 0]}}, "do not fit"),
        ({"__metadata__": FORMAT, "a": {"dtype": "I8", "shape": [-1], "data_offsets": [0, -1]}}, "do not fit"),
        ({"__metadata__": FORMAT, "a": {"dtype": "I8", "shape": [1.0], "data_offsets": [0, 1]}}, "do not fit"),
        ({"__metadata__": FORMAT, "a": {"dtype": "I8", "shape": [True], "data_offsets": [0, 1]}}, "do not fit"),
        ({"__metadata__": FORMAT, "a": {"dtype": [], "shape": [1], "data_offsets": [0, 1]}}, "do not fit"),
        ({"__metadata__": FORMAT, "a": {"dtype": "I8", "shape": [1], "data_offsets": [0, 1], "b": 1}}, "do not fit"),
        ({"__metadata__": FORMAT, "a": None}, "do not fit"),
        ({"__metadata__": FORMAT, "a\x1b]0;b\n": None}, r"do not fit \(a\\x1b\]0;b\\n\)"),
    ],
)
def test_a_hostile_header_is_one_clear_error(tmp_path, header, complaint):
    _write_raw(tmp_path / "m.edgebert", header, b"\0")
    with pytest.raises(ArtifactError, match=complaint) as raised:
        read_artifact(tmp_path / "m.edgebert")
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 2000


def test_a_header_of_unlikely_size_is_not_read(tmp_path):
    """Read as JSON, a hundred megabytes take some two gigabytes."""
    _write_raw(tmp_path / "m.edgebert", "{" + " " * 16_000_000 + "}")
    with pytest.raises(ArtifactError, match="does not begin like a safetensors file"):
        read_artifact(tmp_path / "m.edgebert")


@pytest.mark.parametrize("size", [1, 7])
def test_a_file_of_a_few_bytes_is_none(tmp_path, size):
    (tmp_path / "m.edgebert").write_bytes(b"\0" * size)
    with pytest.raises(ArtifactError, match="does not begin like a safetensors file"):
        read_artifact(tmp_path / "m.edgebert")


def test_a_newer_format_says_to_upgrade(path):
    _with_version(path, str(FORMAT_VERSION + 1))
    found = rf"has format version '{FORMAT_VERSION + 1}', this edgebert reads {FORMAT_VERSION}; upgrade edgebert"
    with pytest.raises(ArtifactError, match=found):
        read_artifact(path)


def _rewritten(path, change):
    """Change the header of a file, and give it the checksum that belongs to it."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, rest = json.loads(data[8 : 8 + length]), data[8 + length :]
    change(header)
    texts = header.pop("__metadata__")
    texts.pop("crc32", None)
    texts["crc32"] = _checksum(_head_checksum(texts, header), [np.frombuffer(rest, np.uint8)])
    head = json.dumps({"__metadata__": texts, **header}).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + rest)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda header: header["odd"].update(data_offsets=[0, 20]), "tensors that do not fit"),
        (lambda header: header["weight"].update(shape=[64, 5]), "tensors that do not fit"),
        (lambda header: header["weight"].update(shape=[-4, -64]), "tensors that do not fit"),
        (lambda header: header["weight"].update(dtype="I64"), "tensors that do not fit"),
        (lambda header: header["weight"].pop("shape"), "tensors that do not fit"),
        (lambda header: header.pop("odd"), "it holds 404 bytes of weights, expected 384"),
        (lambda header: header["__metadata__"].update(format="pt"), r"a safetensors file but no \.edgebert file"),
        (lambda header: header["__metadata__"].pop("format"), r"a safetensors file but no \.edgebert file"),
    ],
)
def test_a_header_that_does_not_fit_its_data_is_refused_with_any_checksum(path, change, complaint):
    _rewritten(path, lambda header: None)
    assert read_artifact(path).tensors.keys() == TENSORS.keys()
    _rewritten(path, change)
    with pytest.raises(ArtifactError, match=complaint):
        read_artifact(path)


def test_an_unknown_format_says_to_convert_again(path):
    _with_version(path, "first")
    with pytest.raises(ArtifactError, match="convert the model again"):
        read_artifact(path)


def test_other_files_are_named_for_what_they_are(tmp_path):
    with pytest.raises(ArtifactError, match=r"there is no file .*none\.edgebert"):
        read_artifact(tmp_path / "none.edgebert")
    with pytest.raises(ArtifactError, match="is a folder"):
        read_artifact(tmp_path)
    (tmp_path / "text").write_text("It was a dark and stormy night, and no tensor was to be seen.")
    with pytest.raises(ArtifactError, match=r"no \.edgebert file"):
        read_artifact(tmp_path / "text")
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "plain.safetensors")
    with pytest.raises(ArtifactError, match=r"is a safetensors file but no \.edgebert file"):
        read_artifact(tmp_path / "plain.safetensors")


def test_a_failure_leaves_what_was_there(path):
    before = path.read_bytes()
    with pytest.raises(KeyError):
        write_artifact(path, TENSORS | {"complex": np.zeros(3, np.complex64)}, METADATA)
    with pytest.raises(OutputError, match="there is no folder"):
        write_artifact(path.parent / "no" / "m.edgebert", TENSORS, METADATA)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("embeddings.LayerNorm.weight", lambda a: a[:16], "embeddings.LayerNorm.weight is float32 (16,), expected"),
        ("embeddings.LayerNorm.bias", lambda a: a * np.float32(np.nan), "embeddings.LayerNorm.bias has values that"),
        ("classifier.weight", lambda a: None, "classifier.weight is missing"),
        ("encoder.layer.0.output.dense.scale", lambda a: a.astype(np.int32), "scale is int32"),
    ],
)
def test_a_file_with_other_tensors_than_the_table_is_refused(golden_files, tmp_path, name, change, complaint):
    artifact = read_artifact(golden_files["classifier"])
    tensors = dict(artifact.tensors)
    changed = change(tensors.pop(name))
    if changed is not None:
        tensors[name] = changed
    tensors["extra"] = np.zeros(1, np.int8)
    write_artifact(tmp_path / "m.edgebert", tensors, artifact.metadata)
    with pytest.raises(ArtifactError) as raised:
        edgebert.load(tmp_path / "m.edgebert")
    assert complaint in str(raised.value)
    assert "extra is unknown" in str(raised.value)


@pytest.mark.parametrize(
    ("part", "change", "complaint"),
    [
        ("depth", lambda a: np.zeros_like(a), "output.dense.depth is 0, expected 1 or 2"),
        ("depth", lambda a: np.full_like(a, 3), "output.dense.depth is 3, expected 1 or 2"),
        ("column_sums", lambda a: np.concatenate([a, a]), "output.dense.column_sums has 2 groups"),
        ("scale", lambda a: np.concatenate([a] * 99), "output.dense.scale: .* inputs cannot fall into 99 groups"),
    ],
)
def test_a_linear_layer_that_does_not_fit_together_is_refused(golden_files, tmp_path, part, change, complaint):
    """An unknown depth has no tile: its outputs would never be written."""
    artifact = read_artifact(golden_files["classifier"])
    name = f"encoder.layer.0.output.dense.{part}"
    tensors = dict(artifact.tensors) | {name: change(artifact.tensors[name])}
    write_artifact(tmp_path / "m.edgebert", tensors, artifact.metadata)
    with pytest.raises(ArtifactError, match=complaint):
        edgebert.load(tmp_path / "m.edgebert")


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("config", "{}", "is missing|expected"),
        ("config", "[1]", "damaged"),
        ("config", "nonsense", "no readable 'config'"),
        ("max_length", "100000", "max_length is 100000"),
        ("pooling", "median", "pooling is 'median'"),
        ("config", "[" * 100_000, "no readable 'config'"),
        ("config", '{"hidden_size": ' + "[" * 500 + "]" * 500 + "}", "no readable 'config'"),
        ("labels", '["\\ud800"]', "no readable 'labels'"),
        ("receipt", '{"agreement": NaN}', "no readable 'receipt'"),
        ("heads", '["sequence_classification"]', "there are no labels"),
        ("heads", "3", "its heads is 3, expected a list"),
        ("heads", "[3]", r"its heads is \[3\], expected a list"),
        ("heads", '["poetry"]', "there is no head 'poetry'"),
        ("labels", '{"a": 1}', "its labels is"),
        ("prompts", '["a"]', "its prompts is"),
        ("prompts", '{"a": 3}', "its prompts is"),
        ("default_prompt", "query", "default_prompt is 'query'"),
        ("include_prompt", '"yes"', "its include_prompt is 'yes', expected a bool"),
        ("normalize", "1", "its normalize is 1, expected a bool"),
        ("dense", "[3]", r"its dense is \[3\], expected a list"),
        ("dense", '[[3, 4, "sin"]]', "dense is"),
        ("pooling", "mean+median", r"pooling is 'mean\+median'"),
        ("dense", "[[3, 48]]", "its dense is"),
        ("dense", '[[3, 48, "tanh", 1]]', "dense is"),
        ("dense", '[[0, 48, "tanh"]]', "dense is"),
        ("dense", '[[3, 48, "tanh"], [3, 4, "tanh"]]', "dense is"),
        ("truncate_dim", "-1", "truncate_dim is -1, expected a number of values"),
        ("truncate_dim", "true", "its truncate_dim is True, expected a int"),
        ("dense", '[[3, 48, "tanh"]]', "sentence_dense.0.weight is missing"),
        ("embeddings", "int2", "embeddings is 'int2'"),
        ("language", '"en"', "its language is 'en', expected a list"),
        ("language", "[1]", r"its language is \[1\], expected a list"),
    ],
)
def test_metadata_that_makes_no_sense_is_refused(golden_files, tmp_path, key, value, complaint):
    artifact = read_artifact(golden_files["encoder"])
    write_artifact(tmp_path / "m.edgebert", artifact.tensors, artifact.metadata | {key: value})
    with pytest.raises(ArtifactError, match=complaint):
        _ = edgebert.load(tmp_path / "m.edgebert").info


def test_licence_and_languages_are_kept(golden_files, tmp_path):
    before = read_artifact(golden_files["encoder"])
    assert not {"license", "language"} & before.metadata.keys()  # the folder has no card: its file is as it was
    file = ModelFile(golden_files["encoder"])
    assert (file.facts["license"], file.facts["language"]) == ("", [])
    info = dataclasses.replace(file.info, licence="apache-2.0", languages=("en", "de"))
    write_artifact(tmp_path / "m.edgebert", before.tensors, before.metadata | info.to_json())
    file = ModelFile(tmp_path / "m.edgebert")
    assert (file.facts["license"], file.facts["language"]) == ("apache-2.0", ["en", "de"])
    assert file.info == info


def test_a_model_survives_its_file_being_replaced(golden_files, tmp_path):
    path = tmp_path / "m.edgebert"
    shutil.copy(golden_files["encoder"], path)
    model = edgebert.load(path, threads=1)
    before = model.embed(["red green blue"])
    write_artifact(path, TENSORS, METADATA)  # another file under the same name
    np.testing.assert_array_equal(model.embed(["red green blue"]), before)


def test_a_tokenizer_that_is_none_is_refused(golden_files, tmp_path):
    artifact = read_artifact(golden_files["encoder"])
    tensors = artifact.tensors | {TOKENIZER: pack_tokenizer("{}")}
    write_artifact(tmp_path / "m.edgebert", tensors, artifact.metadata)
    with pytest.raises(ArtifactError, match="tokenizer cannot be read"):
        edgebert.load(tmp_path / "m.edgebert")


def test_a_tokenizer_that_cannot_be_unpacked(golden_files, tmp_path):
    artifact = read_artifact(golden_files["encoder"])
    tensors = artifact.tensors | {TOKENIZER: np.frombuffer(b"nonsense", np.uint8)}
    write_artifact(tmp_path / "m.edgebert", tensors, artifact.metadata)
    with pytest.raises(ArtifactError, match=r"tokenizer\.json\.zlib cannot be unpacked"):
        edgebert.load(tmp_path / "m.edgebert")


@pytest.mark.parametrize(
    ("packed", "complaint"),
    [
        (zlib.compress(bytes(1 << 27)), "unpacks to 67108864 bytes or more"),
        (zlib.compress(b"{}")[:-1], "its end is missing"),
        (zlib.compress(b"{}") + b"x", "its end is missing, or not the end"),
        (zlib.compress(b"\x80"), "invalid start byte"),
    ],
    ids=["bomb", "cut", "more", "no text"],
)
def test_a_tokenizer_that_unpacks_to_something_else(golden_files, tmp_path, packed, complaint):
    artifact = read_artifact(golden_files["encoder"])
    tensors = artifact.tensors | {TOKENIZER: np.frombuffer(packed, np.uint8)}
    write_artifact(tmp_path / "m.edgebert", tensors, artifact.metadata)
    with pytest.raises(ArtifactError, match=complaint):
        edgebert.load(tmp_path / "m.edgebert")


def test_a_tokenizer_that_does_not_fit_the_model_reads_nothing_beyond_its_tables(golden_files, tmp_path):
    artifact = read_artifact(golden_files["encoder"])
    description = unpack_tokenizer(artifact.tensors[TOKENIZER])
    assert '"type_id":0' in description
    other = pack_tokenizer(description.replace('"type_id":0', '"type_id":7'))
    write_artifact(tmp_path / "m.edgebert", artifact.tensors | {TOKENIZER: other}, artifact.metadata)
    with pytest.raises(ArtifactError, match=r"another model's: token_type_ids\[0\]\[0\] is 7, expected 0 to 1"):
        edgebert.load(tmp_path / "m.edgebert").embed(["a good film"])
