"""The exported library gives Python's bits, and refuses what Python refuses."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import edgebert
from edgebert.artifact import read_artifact, write_artifact
from edgebert.choices import FUNCTIONS
from edgebert.engine.kernel_file import this_platform
from edgebert.export.image import write_image
from edgebert.export.records import HEADER, POOLINGS
from edgebert.heads.classification import scores
from edgebert.heads.pooling import pool, unit
from edgebert.kernels.plan import WINDOW_BLOCK
from edgebert.model_file import ModelFile
from tests.export.c_model import CModel, Refused, Status
from tests.export.conftest import FAMILY
from tests.export.tiny import LONGEST, TINY, VOCABULARY, convert_tiny, slopes
from tests.golden import FAMILIES, GOLDEN, KINDS, NAMES, family_outputs, hidden_of, kind_outputs, load_inputs
from tests.kernels.calls import assert_equal
from tests.selection import few

pytestmark = pytest.mark.skipif(not this_platform().startswith("linux"), reason="libraries are exported for Linux")

EXPORTED_KINDS = [name for name in KINDS if name != "esm-token"]
"""All but the one that takes no masked words, which C would have to refuse."""


@pytest.fixture
def open_both(native_library, exported, monkeypatch):
    """Return a function from the name of a golden model to the C library's and Python's, on the same kernels."""
    monkeypatch.setenv("EDGEBERT_FAMILY", FAMILY)
    opened = []

    def both(name, threads=1):
        model, image = exported(name)
        opened.append(CModel(native_library, image, threads))
        return opened[-1], edgebert.load(model, threads=1)

    yield both
    for model in opened:
        model.close()


def inputs_of(name):
    if name in NAMES:
        ids = load_inputs(name)
        return ids, [[0] * len(each) for each in ids]
    outputs = kind_outputs(name) if name in KINDS else family_outputs(name)
    return [list(each) for each in outputs.input_ids], [list(each) for each in outputs.token_type_ids]


@pytest.mark.parametrize("name", few([*NAMES, *FAMILIES, *EXPORTED_KINDS], *NAMES, "electra-token", "mpnet-odd"))
def test_it_gives_pythons_bits(open_both, name):
    c, python = open_both(name)
    ids, types = inputs_of(name)
    states = hidden_of(python, ids, types)
    assert (c.hidden_size, c.max_length) == (python.hidden_size, python.max_length)
    assert_equal(c.encode(ids, types), np.concatenate(states))
    description = python._runner.source
    vectors = np.stack([pool(rows, description.info.pipeline.pooling) for rows in states])
    if description.info.pipeline.normalize:
        vectors = np.stack([unit(vector) for vector in vectors])
    assert c.vector_size == python.dimensions
    assert_equal(c.embed(ids, types), vectors)
    first = np.stack([rows[0] for rows in states])
    heads = python._runner.heads
    if "sequence_classification" in heads:
        assert c.labels == list(python.labels)
        head = heads["sequence_classification"]
        logits = head.logits(np.stack([head.of_text(rows) for rows in states]))
        expected = scores(logits, FUNCTIONS[description.info.problem_type])
        assert_equal(c.classify(ids, types), expected.astype(np.float32))
    elif "next_sentence" in heads:
        assert c.labels == ["IsNext", "NotNext"]
        assert_equal(c.classify(ids, types), scores(heads["next_sentence"].logits(first), "softmax").astype(np.float32))
    else:
        with pytest.raises(Refused, match="the model has no classifier of texts"):
            c.classify(ids, types)
    if "token_classification" in heads:
        assert c.labels == list(python.labels)
        logits = heads["token_classification"].logits(np.concatenate(states))
        assert_equal(c.tag(ids, types), scores(logits, "softmax").astype(np.float32))
    else:
        with pytest.raises(Refused, match="the model has no classifier of tokens") as caught:
            c.tag(ids, types)
        assert caught.value.status == Status.TASK


def same_bits(c, python):
    """Compare texts of many lengths, in a batch and each alone; all types are 0 but the last."""
    assert 2 * WINDOW_BLOCK < LONGEST
    rng = np.random.default_rng(0)
    lengths = (1, 9, 10, 11, 40, 255, 256, 257, 300, 511, 513, LONGEST - 1, LONGEST)
    ids = [rng.integers(5, VOCABULARY, size=length).tolist() for length in lengths]
    last = python._runner.config.type_vocab_size - 1
    types = [[0] * (length - 1) + [last] for length in lengths]
    expected = np.concatenate(hidden_of(python, ids, types))
    assert_equal(c.encode(ids, types), expected)
    assert_equal(np.concatenate([c.encode([a], [b]) for a, b in zip(ids, types, strict=True)]), expected)


@pytest.mark.parametrize("causal", [False, True])
def test_scores_that_fall_with_distances(native_library, tmp_path, monkeypatch, causal):
    """ALiBi; and embeddings of positions without token types, or of token types without positions."""
    monkeypatch.setenv("EDGEBERT_FAMILY", FAMILY)
    with slopes(tmp_path / "model", causal=causal) as folder:
        path = convert_tiny(folder, tmp_path / "m.edgebert")
        write_image(ModelFile(path), tmp_path / "model.image")
        python = edgebert.load(path, threads=1)
        header = np.fromfile(tmp_path / "model.image", HEADER, 1)[0]
        assert (header["has_position_embeddings"], header["has_token_type_embeddings"]) == (causal, not causal)
        assert header["bias_count"] == 1 + causal
        for threads in (1, 2):
            c = CModel(native_library, tmp_path / "model.image", threads)
            same_bits(c, python)
            c.close()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", TINY)
def test_windows_and_rotations(open_both, name, threads):
    """Texts longer than a window, and than what attention does at a time; each alone, and in a batch."""
    c, python = open_both(name, threads)
    same_bits(c, python)
    with pytest.raises(Refused, match=f"text 0 has {LONGEST + 1} tokens, the model takes 1 to {LONGEST}"):
        c.encode([[5] * (LONGEST + 1)])
    with pytest.raises(Refused, match="type 1 of text 0 is 1, expected 0 to 0"):
        c.encode([[5, 6]], [[0, 1]])


@pytest.mark.parametrize("pooling", [name for name in POOLINGS if name])
def test_vectors(native_library, golden_files, tmp_path, monkeypatch, pooling):
    monkeypatch.setenv("EDGEBERT_FAMILY", FAMILY)
    artifact = read_artifact(golden_files["encoder"])
    write_artifact(tmp_path / "m.edgebert", artifact.tensors, artifact.metadata | {"pooling": pooling})
    write_image(ModelFile(tmp_path / "m.edgebert"), tmp_path / "model.image")
    c, python = CModel(native_library, tmp_path / "model.image"), edgebert.load(tmp_path / "m.edgebert", threads=1)
    ids, types = inputs_of("encoder")
    vectors = [pool(rows, pooling) for rows in hidden_of(python, ids, types)]
    normalize = python._runner.source.info.pipeline.normalize
    assert_equal(c.embed(ids, types), np.stack([unit(each) if normalize else each for each in vectors]))
    c.close()


@pytest.mark.slow
def test_word_embeddings_in_four_bits(native_library, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEBERT_FAMILY", FAMILY)
    path = edgebert.convert(GOLDEN / "encoder", tmp_path / "m.edgebert", embeddings="int4", force=True)
    write_image(ModelFile(path), tmp_path / "model.image")
    c, python = CModel(native_library, tmp_path / "model.image"), edgebert.load(path, threads=1)
    ids, _ = inputs_of("encoder")
    assert_equal(c.encode(ids), np.concatenate(python.hidden_states(ids)))
    c.close()


def test_threads_batches_and_neighbours_change_nothing(open_both):
    """More texts than a forward pass takes, on some threads, alone, and with types that are all zero."""
    rng = np.random.default_rng(0)
    one, python = open_both("classifier", 1)
    vocabulary, longest = python._runner.config.vocab_size, python._runner.config.max_position_embeddings
    ids = [rng.integers(vocabulary, size=rng.integers(1, longest + 1)).tolist() for _ in range(100)]
    expected = one.encode(ids)
    assert_equal(expected, np.concatenate(python.hidden_states(ids)))
    for threads in (2, 3, 0):
        several, _ = open_both("classifier", threads)
        for _ in range(10):
            assert_equal(several.encode(ids, [[0] * len(each) for each in ids]), expected)
    assert_equal(np.concatenate([one.classify([each]) for each in ids]), several.classify(ids))
    assert several.threads >= 1


def test_several_threads_call_one_model(open_both):
    c, _ = open_both("encoder", 2)
    ids, _ = inputs_of("encoder")
    expected = c.encode(ids)
    with ThreadPoolExecutor(4) as workers:
        for got in workers.map(lambda _: c.encode(ids), range(200)):
            assert_equal(got, expected)


def test_no_text_at_all(open_both):
    c, _ = open_both("classifier")
    assert c.classify([]).shape == (0, 3)


@pytest.mark.parametrize(
    ("ids", "types", "message"),
    [
        ([[1, 2], [3, -1]], None, "token 1 of text 1 is -1, expected 0 to "),
        ([[1, 2**31 - 1]], None, "token 1 of text 0 is 2147483647, expected 0 to "),
        ([[1, 2]], [[0, 2]], "type 1 of text 0 is 2, expected 0 to 1"),
        ([[1], []], None, "text 1 has 0 tokens, the model takes 1 to 50"),
        ([[1], [5] * 51], None, "text 1 has 51 tokens, the model takes 1 to 50"),
    ],
)
def test_input_out_of_range_is_refused(open_both, ids, types, message):
    c, _ = open_both("classifier")
    with pytest.raises(Refused, match=message) as caught:
        c.encode(ids, types)
    assert caught.value.status == Status.INPUT
    assert c.encode([[1, 2]]).shape == (2, 36)


def flipped(data):
    return data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        (lambda data: data[:-1], Status.DAMAGED, r"has \d+ bytes, expected \d+; copy it anew"),
        (lambda data: data + b"x", Status.DAMAGED, r"has \d+ bytes, expected \d+; copy it anew"),
        (flipped, Status.DAMAGED, "is damaged: its checksum is wrong; copy it anew"),
        (lambda data: data[:100], Status.DAMAGED, "is no model that edgebert exported"),
        (lambda data: b"EDGEBIRD" + data[8:], Status.DAMAGED, "is no model that edgebert exported"),
        (lambda data: data[:8] + b"x" + data[9:], Status.VERSION, "was exported by another version of edgebert"),
        (lambda data: b"", Status.FILE, "cannot be mapped: Invalid argument"),
    ],
)
def test_a_damaged_model_is_refused(native_library, exported, tmp_path, change, status, message):
    path = tmp_path / "model.image"
    path.write_bytes(change(exported("classifier")[1].read_bytes()))
    with pytest.raises(Refused, match=message) as caught:
        CModel(native_library, path)
    assert caught.value.status == status


def test_what_cannot_be_opened(native_library, exported, tmp_path):
    with pytest.raises(Refused, match="cannot be read: No such file or directory") as caught:
        CModel(native_library, tmp_path / "nothing")
    assert caught.value.status == Status.FILE
    image = exported("classifier")[1]
    for threads in (-1, 1025):
        with pytest.raises(Refused, match=f"{threads} threads, expected 1 to 1024, or 0 for all processors") as caught:
            CModel(native_library, image, threads)
        assert caught.value.status == Status.THREADS


def test_a_model_can_be_opened_again_and_again(native_library, exported):
    """Threads and memory are given back."""
    image = exported("classifier")[1]
    before = resident()
    for _ in range(200):
        model = CModel(native_library, image, 4)
        model.encode([[1, 2, 3]])
        model.close()
    assert resident() - before < 20e6


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
