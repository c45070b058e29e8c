"""The safetensors reader: exact values of every dtype, and no damaged file accepted."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgebert.checkpoint.stored import read_header, read_tensor
from edgebert.errors import CheckpointError
from tests.checkpoint.folders import arrays_of, refusal, write_raw, write_safetensors
from tests.golden import GOLDEN, NAMES

RNG = np.random.default_rng(7)


@pytest.mark.parametrize("name", NAMES)
def test_golden_files_read_as_the_safetensors_library_reads_them(name):
    header = read_header(GOLDEN / name / "model.safetensors")
    expected = arrays_of(name)
    assert sorted(header) == sorted(expected)
    for key, tensor in header.items():
        got = read_tensor(tensor)
        assert got.dtype == np.float32
        assert got.flags.c_contiguous
        np.testing.assert_array_equal(got, expected[key])


@pytest.mark.parametrize("shape", [(), (1,), (0, 4), (3, 5), (9, 11, 13)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_any_shape_comes_back(tmp_path, shape, dtype):
    array = np.asarray(RNG.standard_normal(shape), dtype=dtype)
    other = np.asarray(RNG.standard_normal((2, 3)), dtype=dtype)
    save_file({"a": array, "b": other}, tmp_path / "m.safetensors")
    header = read_header(tmp_path / "m.safetensors")
    for name, expected in (("a", array), ("b", other)):
        got = read_tensor(header[name])
        assert got.shape == expected.shape
        np.testing.assert_array_equal(got, expected.astype(np.float32))


def test_every_float16_and_bfloat16_is_widened_exactly(tmp_path):
    patterns = np.arange(2**16, dtype=np.uint16)
    write_safetensors(tmp_path / "m", {"half": patterns.view(np.float16), "brain": patterns})
    header = read_header(tmp_path / "m")
    np.testing.assert_array_equal(read_tensor(header["half"]), patterns.view(np.float16).astype(np.float32))
    # A bfloat16 is sign, 8 bits of exponent, 7 of fraction: computed here in float64, from its definition.
    sign = np.where(patterns >> 15, -1.0, 1.0)
    exponent = (patterns >> 7 & 255).astype(int)
    fraction = (patterns & 127) / 128
    value = np.where(exponent == 0, fraction * 2.0**-126, (1 + fraction) * 2.0 ** (exponent - 127.0)) * sign
    finite = exponent < 255
    got = read_tensor(header["brain"])
    np.testing.assert_array_equal(got[finite], value[finite].astype(np.float32))
    assert np.isnan(got[~finite & (fraction > 0)]).all()
    assert np.isinf(got[~finite & (fraction == 0)]).all()


def test_a_file_cut_anywhere_is_refused(tmp_path):
    whole = (GOLDEN / "classifier" / "model.safetensors").read_bytes()
    header_end = 8 + struct.unpack("<Q", whole[:8])[0]
    cuts = [*range(12), *range(12, header_end + 20, 13), *range(header_end, len(whole), 9973), len(whole) - 1]
    path = tmp_path / "model.safetensors"
    for cut in cuts:
        path.write_bytes(whole[:cut])
        message = refusal(read_header, path)
        assert str(path) in message, cut
        assert "fetch it again" in message, cut
        assert "\n" not in message, cut


def test_a_file_with_bytes_behind_its_tensors_is_refused(tmp_path):
    write_safetensors(tmp_path / "m", {"a": np.ones((2, 3), np.float32)})
    with (tmp_path / "m").open("ab") as file:
        file.write(b"\0")
    assert "is not a whole safetensors file: " in refusal(read_header, tmp_path / "m")


def test_one_flipped_bit_in_the_header_never_escapes_as_another_error(tmp_path):
    arrays = {"a.weight": np.ones((2, 3), np.float32), "b": np.zeros(4, np.float16)}
    path = tmp_path / "m"
    write_safetensors(path, arrays, metadata={"format": "pt"})
    whole = bytearray(path.read_bytes())
    refusals, accepted = [], 0
    for i in range(len(whole) - sum(array.nbytes for array in arrays.values())):
        for bit in range(8):
            damaged = whole.copy()
            damaged[i] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                header = read_header(path)
            except CheckpointError as error:
                refusals.append(str(error))
            else:
                # Names, the metadata and dtypes of one width may change unnoticed; sizes may not.
                assert sum(np.prod(tensor.shape, dtype=int) for tensor in header.values()) == 10
                accepted += 1
    assert not any("\n" in message for message in refusals)
    assert len(refusals) > accepted > 0


def entry(begin, end, *, dtype="F32", shape=(2,)):
    """Return one entry of a header."""
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ([], 0),
        ({"a": 1}, 0),
        ({"a": {"dtype": "F32", "shape": [2]}}, 8),
        ({"a": entry(0, 8) | {"shape": "2"}}, 8),
        ({"a": entry(0, 8, shape=(-2,))}, 8),
        ({"a": entry(0, 8, shape=(2.0,))}, 8),
        ({"a": entry(0, 8) | {"data_offsets": [0, 4, 8]}}, 8),
        ({"a": entry(8, 0, dtype="X9")}, 8),
        ({"a": entry(0, 8, shape=(3,))}, 8),
        ({"a": entry(0, 8, shape=(10**30,))}, 8),
        ({"a": entry(0, 8, shape=(2**40, 2**40))}, 8),
        ({"a": entry(4, 12)}, 12),
        ({"a": entry(0, 8), "b": entry(4, 12)}, 12),
        ({"a": entry(0, 8), "b": entry(12, 20)}, 20),
        ({"a": entry(0, 8)}, 4),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(tmp_path, header, size):
    write_raw(tmp_path / "m", header, bytes(size))
    assert f"{tmp_path / 'm'} is not a whole safetensors file: " in refusal(read_header, tmp_path / "m")


@pytest.mark.parametrize(
    ("dtype", "shape", "size"),
    [("BOOL", [3], 3), ("F4", [16], 8), ("F6_E2M3", [4], 3), ("F8_E4M3", [5], 5), ("BF16", [3], 6), ("C64", [2], 16)],
)
def test_a_tensor_of_any_dtype_takes_its_bytes(tmp_path, dtype, shape, size):
    """Between two others in the file, whose order is not that of the names."""
    header = {
        "b": entry(0, 8),
        "z": {"dtype": dtype, "shape": shape, "data_offsets": [8, 8 + size]},
        "a": entry(8 + size, 16 + size),
    }
    write_raw(tmp_path / "m", header, np.float32([1, 2]).tobytes() + bytes(size) + np.float32([3, 4]).tobytes())
    found = read_header(tmp_path / "m")
    assert (found["z"].dtype, found["z"].shape) == (dtype, tuple(shape))
    assert read_tensor(found["b"]).tolist() == [1, 2]
    assert read_tensor(found["a"]).tolist() == [3, 4]


def test_a_name_that_is_there_twice_is_refused(tmp_path):
    first, second = json.dumps(entry(0, 8)), json.dumps(entry(8, 16))
    text = f'{{"a": {first}, "a": {second}}}'.encode()
    (tmp_path / "m").write_bytes(struct.pack("<Q", len(text)) + text + bytes(16))
    assert "is not a whole safetensors file: " in refusal(read_header, tmp_path / "m")


def test_what_is_no_safetensors_file_is_refused(tmp_path):
    for content in (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        b"PK\3\4" * 100,
        b"",
    ):
        (tmp_path / "m").write_bytes(content)
        assert "not a whole safetensors file" in refusal(read_header, tmp_path / "m")
    text = b"[" * 100_000
    (tmp_path / "m").write_bytes(struct.pack("<Q", len(text)) + text)
    assert "not a whole safetensors file" in refusal(read_header, tmp_path / "m")


def test_a_missing_file_is_named(tmp_path):
    assert f"{tmp_path / 'm'} cannot be read: No such file" in refusal(read_header, tmp_path / "m")


def test_a_file_that_shrinks_after_its_header_was_read_is_refused(tmp_path):
    write_safetensors(tmp_path / "m", {"a": np.ones((20, 3), np.float32)})
    tensor = read_header(tmp_path / "m")["a"]
    with (tmp_path / "m").open("r+b") as file:
        file.truncate(100)
    assert "has become shorter" in refusal(read_tensor, tensor)
