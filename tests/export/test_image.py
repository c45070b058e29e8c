"""No file, whatever it holds, is used but one that was written whole; and no answer is other than a number."""

import dataclasses
import random
import struct
import subprocess

import numpy as np
import pytest

from edgebert.engine.kernel_file import this_platform
from edgebert.engine.linker import find_compiler
from edgebert.engine.memory import SLACK_ROWS, row_bytes
from edgebert.engine.model_plan import ModelPlan
from edgebert.errors import ArtifactError, SettingError
from edgebert.export import image as image_module
from edgebert.export import records
from edgebert.export.image import write_image
from edgebert.export.records import HEADER, interface, records_h
from edgebert.families import encoder_of
from edgebert.kernels.simd.families import FAMILIES
from edgebert.model_file import ModelFile
from tests.export.c_model import CModel, Refused, Status
from tests.export.compiled import compile_c, compile_library
from tests.export.tiny import CAUSAL, DEBERTA, MODERNBERT
from tools.fuzz.images import mutate, places_of_shapes, resealed

pytestmark = pytest.mark.skipif(find_compiler(this_platform()) is None, reason="there is no C compiler")

SIZES = "its sizes are not those of its arrays"
STEPS = r"its step \d+ cannot be taken"
MODELS = ("classifier", "bert-token", "electra-classifier", "mpnet-padding", MODERNBERT, CAUSAL, "qwen3", DEBERTA)
"""Plain; for tokens; with a projection of the embeddings; with learned distances and counted positions; with windows,
rotations and gates; and with fewer keys, norms of heads and of what is added; without these; with distances that
queries and keys score."""


def test_every_bit_of_the_header_counts(opened, exported):
    data = exported("classifier")[1].read_bytes()
    for bit in range(8 * HEADER.itemsize):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Refused) as caught:
            opened(bytes(damaged))
        assert caught.value.status in (Status.DAMAGED, Status.VERSION), f"bit {bit}"


def test_every_byte_counts(native_library, exported, tmp_path):
    """All that describe arrays, and some of each array and of each gap."""
    data = exported("bert-token")[1].read_bytes()
    shapes = places_of_shapes(data)
    header = np.frombuffer(data, HEADER, 1)[0]
    assert len(shapes) == header["linear_count"] + header["norm_count"] + header["head_layers"]
    described = [place + i for place in shapes for i in range(64)]
    others = random.Random(0).sample(range(HEADER.itemsize, len(data)), 500)
    path = tmp_path / "model.image"
    path.write_bytes(data)
    with open(path, "r+b", buffering=0) as file:
        for place in [*described, *others]:
            file.seek(place)
            file.write(bytes([data[place] ^ 0xFF]))
            with pytest.raises(Refused, match="its checksum is wrong"):
                CModel(native_library, path)
            file.seek(place)
            file.write(data[place : place + 1])
    CModel(native_library, path).close()


def test_a_layer_norm_of_a_head_is_checked(opened, exported):
    data = exported("modernbert-classifier")[1].read_bytes()
    places = [place for place in places_of_shapes(data) if np.frombuffer(data, np.int64, 3, place)[2] > 2**20]
    assert len(places) == 1
    outputs = int(np.frombuffer(data, np.int64, 1, places[0])[0])
    for offset, value in (
        (0, struct.pack("<q", outputs - 1)),
        (8, struct.pack("<q", 1)),  # an activation
        *((16, struct.pack("<d", eps)) for eps in (-1e-5, 1.0, float("nan"), float("inf"), 0.0)),
    ):
        damaged = bytearray(data)
        damaged[places[0] + offset : places[0] + offset + 8] = value
        with pytest.raises(Refused, match=SIZES):
            opened(resealed(bytes(damaged)))


@pytest.mark.parametrize("offset", [0, 8, 16, 24], ids=["N", "K", "groups", "depth"])
def test_what_describes_a_layer_is_checked(opened, exported, offset):
    data = exported("bert-token")[1].read_bytes()
    first = places_of_shapes(data)[0]
    assert struct.unpack_from("<qqqq", data, first)[3] in (1, 2)
    (own,) = struct.unpack_from("<q", data, first + offset)
    for value in {-(2**63), -1, 0, 3, 64, 2**31, 2**62, 2**63 - 1} - {own}:
        damaged = bytearray(data)
        struct.pack_into("<q", damaged, first + offset, value)
        with pytest.raises(Refused, match=SIZES):
            opened(resealed(bytes(damaged)))


@pytest.mark.parametrize("value", [-(2**63), -1, 2, 2**62])
@pytest.mark.parametrize("name", ["classifier", CAUSAL])
def test_a_norm_takes_the_mean_off_or_not(opened, exported, name, value):
    data = bytearray(exported(name)[1].read_bytes())
    linears = np.frombuffer(data, HEADER, 1)[0]["linear_count"]
    place = places_of_shapes(data)[linears]
    assert struct.unpack_from("<q", data, place + 8)[0] == (name == CAUSAL)
    struct.pack_into("<q", data, place + 8, value)
    with pytest.raises(Refused, match=SIZES):
        opened(resealed(bytes(data)))


def test_heads_are_normalised_without_a_mean(opened, exported):
    data = exported(CAUSAL)[1].read_bytes()
    heads = [place for place in places_of_shapes(data) if struct.unpack_from("<qqq", data, place) == (36, 1, 0)]
    assert len(heads) == 2 * 3
    for place in heads:
        damaged = bytearray(data)
        struct.pack_into("<q", damaged, place + 8, 0)
        with pytest.raises(Refused, match=STEPS):
            opened(resealed(bytes(damaged)))


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data[:-5000], lambda data: data + bytes(64)])
def test_arrays_end_with_the_file(opened, exported, change):
    with pytest.raises(Refused, match=SIZES):
        opened(resealed(change(exported("classifier")[1].read_bytes())))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_image_with_values_that_are_no_numbers_is_refused(opened, exported, value):
    """Its last float is of the last bias, before the labels."""
    data = exported("classifier")[1].read_bytes()
    labels = int(np.frombuffer(data, HEADER, 1)[0]["label_bytes"])
    place = (len(data) - labels) // 64 * 64 - 64
    damaged = bytearray(data)
    struct.pack_into("<f", damaged, place, value)
    with pytest.raises(Refused, match="it holds values that are no numbers; export it again") as caught:
        opened(resealed(bytes(damaged)))
    assert caught.value.status == Status.DAMAGED


@pytest.fixture
def changed(golden_files, native_library, tmp_path):
    """Return a function that opens the classifier with some tensors replaced by what a function makes of them."""

    def make(name, change):
        file = ModelFile(golden_files["classifier"])
        file.tensors = dict(file.tensors) | {name: change(file.tensors[name].copy())}
        write_image(file, tmp_path / "model.image")
        return CModel(native_library, tmp_path / "model.image")

    return make


def full(value):
    return lambda array: np.full_like(array, value)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("embeddings.LayerNorm.weight", "encode"),
        ("embeddings.LayerNorm.weight", "classify"),
        ("classifier.weight", "classify"),
    ],
)
def test_answers_that_are_no_numbers_are_an_error(changed, name, asked):
    """Finite weights, so large that the sums are not; a softmax or a relu would hide some of it."""
    model = changed(name, full(np.finfo(np.float32).max))
    with pytest.raises(Refused, match="the model gives values that are no numbers") as caught:
        getattr(model, asked)([[1, 2, 3]])
    assert caught.value.status == Status.RESULT
    model.close()


def test_a_model_that_the_library_would_refuse_is_not_written(changed, golden_files, tmp_path):
    with pytest.raises(ArtifactError, match="it holds values that are no numbers"):
        changed("classifier.bias", full(np.nan))
    file = ModelFile(golden_files["classifier"])
    file.info = dataclasses.replace(file.info, labels=("good\0bad", *file.info.labels[1:]))
    with pytest.raises(SettingError, match="a label has a zero byte"):
        write_image(file, tmp_path / "model.image")
    assert not (tmp_path / "model.image").exists()


def test_sizes_beyond_what_the_library_takes_are_refused(exported, tmp_path, monkeypatch):
    for name, value, message in (
        ("MOST_OUTPUTS", 100, "a layer has 512 outputs, expected up to 100"),
        ("SCALES", (1.0, 2.0), r"its softmax_scale is 0\.26\d+, expected 1\.0 to 2\.0"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(image_module, name, value)
            with pytest.raises(SettingError, match=message):
                write_image(ModelFile(exported(CAUSAL)[0]), tmp_path / "model.image")
    assert not (tmp_path / "model.image").exists()


def test_the_library_works_in_as_much_memory_as_python(exported, tmp_path):
    program = compile_c(tmp_path, "sizes.c", "workspace.c")
    fields = ["num_attention_heads", "num_key_value_heads", "head_dim", "hidden_stride", "intermediate_stride"]
    fields += ["context_stride", "embedding_stride", "step_count"]
    for name in MODELS:
        file = ModelFile(exported(name)[0])
        model = ModelPlan(encoder_of(file.info.config), file.tensors, lambda array: 1)
        plan = model.record[0]
        for longest, threads, wanted in ((50, 1, 640), (515, 3, 12800)):
            numbers = [*(int(plan[field]) for field in fields), model.most_groups, longest, threads, wanted]
            said = subprocess.run([program, *map(str, numbers)], capture_output=True, text=True, check=True).stdout
            *places, scratch = map(int, said.split())
            assert scratch == wanted
            rows = [(longest + SLACK_ROWS) * size for size in row_bytes(model).values()]
            stages = 64 * len(model.stage_names) * (1 + threads)
            sizes = [*rows, threads * scratch, stages, 8, 8]
            assert places == np.cumsum([0, *(-(-size // 64) * 64 for size in sizes)]).tolist()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "ALIGNMENT",
            "SLACK_ROWS",
            "STAGE_BYTES",
            "TOKEN_BUDGET",
            "LANES",
            "BEYOND_WINDOW",
            "K_MULTIPLE",
            "INT16_STEPS",
            "GROUP_LARGEST",
            "MOST_OUTPUTS",
        ),
        *("INT4_GROUP", "STEP_CODES", "SIGNATURES", "_FORMAT", "LIMITS"),
        *("HEADS", "FUNCTIONS", "POOLINGS", "ACTIVATIONS", "HEADER", "LINEAR", "NORM", "STEP", "PLAN"),
    ],
)
def test_the_interface_covers_all_that_c_is_told(monkeypatch, name):
    """An image of another edgebert is refused, whatever differs."""
    before, value = interface(), getattr(records, name)
    if isinstance(value, np.dtype):
        changed = np.dtype([*((field, value[field]) for field in value.names), ("another", np.int64)])
    elif isinstance(value, dict):
        first, *others = value.items()
        changed = dict([*others, ("another" if isinstance(first[0], str) else int, first[1])])
    else:
        changed = (*value, 9) if isinstance(value, tuple) else 2 * value
    monkeypatch.setattr(records, name, changed)
    assert interface() != before


def test_images_serve_all_families():
    texts = {name: records_h(family) for name, family in FAMILIES.items()}
    lines = {next(line for line in text.splitlines() if "_INTERFACE " in line) for text in texts.values()}
    assert len(lines) == 1
    assert len(set(texts.values())) == len(FAMILIES)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_sanitizers_find_nothing_in_mutated_images(exported, tmp_path, name):
    program = compile_library(tmp_path, "try_images.c", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    data, rng = exported(name)[1].read_bytes(), random.Random(name)
    images = [tmp_path / f"{i}.image" for i in range(150)]
    images[0].write_bytes(data)
    for image in images[1:]:
        image.write_bytes(mutate(data, rng))
    paths = "".join(f"{image}\n" for image in images)
    done = subprocess.run([program], input=paths, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    assert len(lines) == len(images)
    assert {sound for _, sound in lines} == {"sound"}
    assert lines[0][0] == str(Status.OK)
    refused = [int(status) for status, _ in lines if int(status) == Status.DAMAGED]
    assert len(images) > len(refused) > len(images) / 2
