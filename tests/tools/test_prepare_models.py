"""Preparing models, with sources made here: 4-bit weights, names out of a graph, tokenizers, folders."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import prepare_models
import pytest
from fetch_material import MaterialError, material_folder
from prepare_models import MODELS, RESIDUE, SMILES, Recipe, graph_tensors, prepared, tokenizer_of, unpack_4bit
from safetensors.numpy import load_file
from tokenizers import Tokenizer

RNG = np.random.default_rng(0)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def u8(*rows):
    """Return bytes as an array."""
    return np.array(rows, np.uint8)


def f32(*rows):
    """Return floats as an array."""
    return np.array(rows, np.float32)


def test_4_bits_low_ones_first_and_the_last_block_cut():
    # Values 0 8 15 9 | 7 and 1 2 3 4 | 10, in blocks of 4; what is beyond the fifth is filled with 15s.
    packed = u8([[0x80, 0x9F], [0xF7, 0xFF]], [[0x21, 0x43], [0xFA, 0xFF]])
    scales = f32([0.5, 2], [1, -0.25])
    expected = f32([-4, 0, 3.5, 0.5, -2], [-7, -6, -5, -4, -0.5])
    for each in (scales, scales.ravel()):
        unpacked = unpack_4bit(packed, each, K=5)
        assert unpacked.dtype == np.float32
        np.testing.assert_array_equal(unpacked, expected)


def test_4_bits_with_zero_points_of_an_odd_number_of_blocks():
    packed = u8([[0x10], [0x32], [0x54]], [[0x10], [0x32], [0x54]])
    zero_points = u8([0x21, 0xF3], [0xF0, 0xA8])  # 1 2 3 and 0 15 8; every row begins a byte
    expected = f32([-1, 0, 0, 1, 1, 2], [0, 1, -13, -12, -4, -3])
    for each in (zero_points, zero_points.ravel()):
        np.testing.assert_array_equal(unpack_4bit(packed, np.ones((2, 3), np.float32), each, K=6), expected)


@pytest.mark.parametrize(("N", "K", "block"), [(1, 1, 16), (3, 5, 2), (5, 31, 32), (9, 33, 16), (2, 96, 32)])
def test_4_bits_one_at_a_time(N, K, block):
    blocks = -(-K // block)
    packed = RNG.integers(0, 256, (N, blocks, block // 2), dtype=np.uint8)
    scales = RNG.standard_normal((N, blocks)).astype(np.float32)
    unpacked = unpack_4bit(packed, scales, K=K)
    assert unpacked.shape == (N, K)
    for n, k in np.ndindex(N, K):
        byte = int(packed[n, k // block, k % block // 2])
        value = byte >> 4 if k % 2 else byte & 15
        assert unpacked[n, k] == np.float32(value - 8) * scales[n, k // block], (n, k)


def node(kind, name, *inputs, **attributes):
    """Return what `graph_tensors` reads of an ONNX node."""
    attribute = [SimpleNamespace(name=key, i=value) for key, value in attributes.items()]
    return SimpleNamespace(op_type=kind, name=name, input=inputs, attribute=attribute)


def test_a_graph_s_weights_get_their_names_back():
    matrix = f32([1, 2, 3], [4, 5, 6])
    initializers = {
        "bert.encoder.layer.0.output.dense.bias": f32(1, 2, 3),
        "onnx::MatMul_1": matrix,
        "onnx::MatMul_2_Q4": u8([[0xA9]]),
        "onnx::MatMul_2_scales": f32([0.5]),
        "bert.embeddings.word_embeddings.weight_quantized": u8([3, 130], [128, 255]),
        "bert.embeddings.word_embeddings.weight_scale": np.float32(0.5),
        "bert.embeddings.word_embeddings.weight_zero_point": np.uint8(130),
        "onnx::Slice_9": np.arange(3),
    }
    nodes = [
        node("MatMul", "/bert/encoder/layer.0/output/dense/MatMul", "x", "onnx::MatMul_1"),
        node("MatMul", "/bert/encoder/layer.0/attention/self/MatMul", "query", "key"),  # no weight
        node("MatMulNBits", "/classifier/MatMul_Q4", "x", "onnx::MatMul_2_Q4", "onnx::MatMul_2_scales", K=2, N=1),
        node("Add", "/bert/encoder/layer.0/output/dense/Add", "bias", "onnx::MatMul_1"),
    ]
    expected = {
        "bert.encoder.layer.0.output.dense.bias": f32(1, 2, 3),
        "bert.encoder.layer.0.output.dense.weight": matrix.T,
        "bert.embeddings.word_embeddings.weight": f32([-63.5, 0], [-1, 62.5]),
        "classifier.weight": f32([0.5, 1]),
    }
    found = graph_tensors(nodes, initializers)
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_graph_of_sentence_transformers():
    initializers = {"model.0.auto_model.embeddings.LayerNorm.weight": f32(1), "onnx::MatMul_4": f32([1])}
    nodes = [node("MatMul", "/model/model.0/auto_model/encoder/layer.2/output/dense/MatMul", "x", "onnx::MatMul_4")]
    assert set(graph_tensors(nodes, initializers)) == {
        "embeddings.LayerNorm.weight",
        "encoder.layer.2.output.dense.weight",
    }


def tokenizer(pattern, tokens):
    """Return the tokenizer of a pattern and a tiny vocabulary."""
    return Tokenizer.from_str(json.dumps(tokenizer_of(pattern, tokens)))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("CCl", ["C", "Cl"]),
        ("BrC(C)>>[nH+]", ["Br", "C", "(", "C", ")", ">>", "[nH+]"]),
        ("C%10C%(123)", ["C", "%10", "C", "[UNK]"]),  # one token, which the vocabulary lacks
        ("[13CH]C", ["[UNK]", "C"]),
        ("c C\n>>éKC", ["[UNK]", "C", ">>", "C"]),  # c is not C; spaces, é and K match nothing
        ("C[MASK](C", ["C", "[MASK]", "(", "C"]),
        ("", []),
    ],
)
def test_tokens_of_a_reaction(text, tokens):
    # As in rxnfp's vocabulary, [UNK] and its like are not at the beginning.
    encoding = tokenizer(SMILES, ["[PAD]", "C", "Cl", "Br", "(", ")", ">>", "%10", "[nH+]", *SPECIAL[1:]]).encode(text)
    assert encoding.tokens == ["[CLS]", *tokens, "[SEP]"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("EVQ", ["E", "V", "Q"]),
        ("E V  Q\n", ["E", "V", "Q"]),
        ("EV[MASK]Q", ["E", "V", "[MASK]", "Q"]),
        ("E [MASK] [MASK]Q", ["E", "[MASK]", "[MASK]", "Q"]),
        ("eXQ", ["[UNK]", "[UNK]", "Q"]),
        ("", []),
    ],
)
def test_tokens_of_a_protein(text, tokens):
    assert tokenizer(RESIDUE, [*SPECIAL, "E", "Q", "V"]).encode(text).tokens == ["[CLS]", *tokens, "[SEP]"]


def test_ids_are_the_vocabulary_s_and_a_pair_has_two_types():
    made = tokenizer(RESIDUE, ["[PAD]", "E", *SPECIAL[1:], "Q"])
    encoding = made.encode("EQ", "Q")
    assert encoding.ids == [3, 1, 6, 4, 6, 4]
    assert encoding.type_ids == [0, 0, 0, 0, 1, 1]
    assert made.get_vocab_size() == 7
    assert made.decode(made.encode("E Q Q").ids) == "EQQ"


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_vocabulary_has_one_token_a_line(tmp_path, end):
    path = tmp_path / "vocab.txt"
    path.write_bytes(("[PAD]\na\u2028b\n#" + end).encode())
    assert prepare_models.read_vocabulary(path) == ["[PAD]", "a\u2028b", "#"]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Use an empty material folder."""
    monkeypatch.setenv("EDGEBERT_MATERIAL", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_finished_folder_needs_no_module_and_no_source(cache, monkeypatch):
    for name in MODELS:
        prepare_models.place(name).mkdir(parents=True)
    monkeypatch.delattr(prepare_models, "find_spec")
    monkeypatch.delattr(prepare_models, "fetch")
    assert [prepared(name) for name in MODELS] == [prepare_models.place(name) for name in MODELS]


@pytest.mark.parametrize(("name", "module"), [("rampart", "onnx"), ("protein", "torch")])
def test_a_missing_module_is_named_before_anything_is_fetched(cache, monkeypatch, name, module):
    monkeypatch.setattr(prepare_models, "find_spec", lambda _: None)
    monkeypatch.delattr(prepare_models, "fetch")
    with pytest.raises(MaterialError, match=f"{name} is not prepared yet, and preparing it needs {module}: install"):
        prepared(name)
    assert not cache.exists()


def test_an_unknown_name_lists_the_known_ones(cache):
    with pytest.raises(MaterialError, match="choose from rampart, chemistry-pretrained, chemistry-classes"):
        prepared("rampart-onnx")


def test_a_folder_is_written_once_and_whole(cache, monkeypatch):
    calls = []

    def write(folder):
        calls.append(folder)
        (folder / "config.json").touch()
        if len(calls) == 1:
            raise ValueError("halfway")

    monkeypatch.setitem(MODELS, "made", Recipe((), "json", write))
    with pytest.raises(ValueError, match="halfway"):
        prepared("made")
    assert list(material_folder().iterdir()) == []
    assert prepared("made") == prepared("made")
    assert [path.name for path in prepared("made").iterdir()] == ["config.json"]
    assert len(calls) == 2


def test_a_new_pin_or_version_is_not_answered_from_the_old_folder(cache, monkeypatch):
    folders = {prepare_models.place("protein")}
    changed = dataclasses.replace(prepare_models.MATERIAL["antiberty"], sha256="0" * 64)
    with monkeypatch.context() as patch:
        patch.setitem(prepare_models.MATERIAL, "antiberty", changed)
        folders.add(prepare_models.place("protein"))
    monkeypatch.setattr(prepare_models, "VERSION", prepare_models.VERSION + 1)
    folders.add(prepare_models.place("protein"))
    assert len(folders) == 3


@pytest.fixture
def pickle(tmp_path, monkeypatch):
    """Return a function that writes a source folder, and serves these tensors from its pickle."""

    def write(place, config, tensors):
        monkeypatch.setattr(prepare_models, "read_pickle", lambda _: tensors)
        (tmp_path / place).mkdir()
        (tmp_path / place / "config.json").write_text(json.dumps(config))
        for folder in (tmp_path, tmp_path / place):
            (folder / "vocab.txt").write_text("\n".join([*SPECIAL, "C", "N"]))
        (tmp_path / "out").mkdir()
        return tmp_path, tmp_path / "out"

    return write


def test_the_pretrained_chemistry_model_says_what_it_is(pickle):
    transposed = f32([1, 2, 3], [4, 5, 6]).T
    source, out = pickle("bert_pretrained", {"hidden_size": 2}, {"bert.pooler.dense.weight": transposed})
    prepare_models.write_chemistry_pretrained(out, source)
    assert json.loads((out / "config.json").read_text()) == {
        "hidden_size": 2,
        "architectures": ["BertForPreTraining"],
    }
    np.testing.assert_array_equal(load_file(out / "model.safetensors")["bert.pooler.dense.weight"], transposed)
    assert Tokenizer.from_file(str(out / "tokenizer.json")).encode("NC").ids == [2, 6, 5, 3]
    assert not (out / "vocab.txt").exists()


def test_the_chemistry_classifier_keeps_its_config(pickle):
    config = {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "num_labels": 50}
    source, out = pickle("bert_ft_10k_25s", config, {"classifier.bias": np.zeros(50, np.float32)})
    prepare_models.write_chemistry_classes(out, source)
    assert json.loads((out / "config.json").read_text()) == config
    assert load_file(out / "model.safetensors")["classifier.bias"].shape == (50,)


def test_the_albert_of_chemistry_is_taken_as_it_is(pickle):
    config = {"architectures": ["AlbertForMaskedLM"], "model_type": "albert"}
    source, out = pickle("unused", config, {"predictions.bias": f32(1, 2)})
    (source / "config.json").write_text(json.dumps(config))
    prepare_models.write_chemistry_albert(out, source)
    assert json.loads((out / "config.json").read_text()) == config
    assert set(load_file(out / "model.safetensors")) == {"predictions.bias"}
    assert Tokenizer.from_file(str(out / "tokenizer.json")).encode("NC|").ids == [2, 6, 5, 3]  # | is no token here


def test_the_protein_model_keeps_encoder_and_language_head(pickle):
    kept = ["bert.embeddings.LayerNorm.bias", "bert.encoder.layer.0.output.dense.bias", "cls.predictions.bias"]
    left = ["bert.embeddings.position_ids", "bert.pooler.dense.bias", "cls.species.bias", "cls.graft.weight"]
    config = {"architectures": ["AntiBERTy"], "_name_or_path": "/somewhere", "hidden_size": 2}
    source, out = pickle("AntiBERTy_md_smooth", config, {name: f32(1, 2) for name in kept + left})
    prepare_models.write_protein(out, source)
    assert set(load_file(out / "model.safetensors")) == set(kept)
    assert json.loads((out / "config.json").read_text()) == {"architectures": ["BertForMaskedLM"], "hidden_size": 2}
    assert Tokenizer.from_file(str(out / "tokenizer.json")).encode("NC").ids == [2, 6, 5, 3]


def test_minilm_l3_takes_what_its_package_lacks_from_minilm_l6(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_models, "read_onnx", lambda _: {"embeddings.LayerNorm.bias": f32(1, 2)})
    six, out = tmp_path / "six", tmp_path / "out"
    (six / "1_Pooling").mkdir(parents=True)
    out.mkdir()
    files = {
        "config.json": {"num_hidden_layers": 6, "hidden_size": 384, "_name_or_path": "six"},
        "tokenizer.json": {"model": {}, "truncation": {"max_length": 128}, "padding": {}},
        "tokenizer_config.json": {"do_lower_case": True, "name_or_path": "six"},
        "vocab.txt": {},
        "modules.json": [{"type": "Transformer"}, {"type": "Pooling"}, {"type": "Normalize"}],
        "1_Pooling/config.json": {"pooling_mode_mean_tokens": True},
    }
    for name, value in files.items():
        (six / name).write_text(json.dumps(value))
    prepare_models.write_minilm_l3(out, tmp_path, six)
    assert set(load_file(out / "model.safetensors")) == {"embeddings.LayerNorm.bias"}
    written = {name: json.loads((out / name).read_text()) for name in files}
    assert written == {
        "config.json": {"num_hidden_layers": 3, "hidden_size": 384},
        "tokenizer.json": {"model": {}, "truncation": None, "padding": None},
        "tokenizer_config.json": {"do_lower_case": True},
        "vocab.txt": {},
        "modules.json": [{"type": "Transformer"}, {"type": "Pooling"}],
        "1_Pooling/config.json": {"pooling_mode_mean_tokens": True},
    }
