"""What is written around the peers: padding, order, and models made or left out."""

import numpy as np
import pytest

from benchmarks import prepare
from benchmarks.engines import Engine
from benchmarks.worker import PeerVectors

TEXTS = ["good", "the battery died after a week", "a fine film", "", "bad bad bad"]


class Echo(Engine):
    """Hidden states that say where they come from: (id, position), and nonsense where there is padding."""

    def __init__(self):
        self.shapes = []

    def run(self, inputs):
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        self.shapes.append(ids.shape)
        assert not inputs["token_type_ids"].any()
        hidden = np.stack([ids, np.broadcast_to(np.arange(ids.shape[1]), ids.shape)], axis=-1)
        return np.where(mask[..., None] == 1, hidden, 10**6).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 99])
@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_a_peers_vectors_come_in_order_and_without_padding(folder, batch, pooling):
    from tokenizers import Tokenizer

    engine = Echo()
    got = PeerVectors(engine, folder, 6, pooling)(TEXTS, batch)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(6)
    for vector, text in zip(got, TEXTS, strict=True):
        ids = tokenizer.encode(text).ids
        hidden = np.stack([ids, np.arange(len(ids))], axis=-1).astype(np.float32)
        expected = {"mean": hidden.mean(axis=0), "cls": hidden[0], "max": hidden.max(axis=0)}[pooling]
        np.testing.assert_allclose(vector, expected, rtol=1e-6)
    assert len(engine.shapes) == -(-len(TEXTS) // batch)
    # Sorted by length: the batches only grow.
    assert [tokens for _, tokens in engine.shapes] == sorted(tokens for _, tokens in engine.shapes)


def test_what_is_there_is_kept_and_what_cannot_be_made_is_named(tmp_path, monkeypatch, capsys):
    def not_installed(source, out):
        raise ImportError("No module named 'torch'")

    (tmp_path / "source").mkdir()
    (tmp_path / "ctranslate2").mkdir()
    monkeypatch.setattr(prepare, "export_onnx", not_installed)
    prepare.prepare(tmp_path, ["a text"])
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "model.onnx: left out, No module named 'torch'"
    assert said[1] == "ort_fp32.onnx: left out, model.onnx is not there to make it from"
    assert said[-1] == "ctranslate2: kept"


def test_half_a_model_is_not_kept(tmp_path, monkeypatch):
    def interrupted(source, out):
        out.write_bytes(b"half")
        raise KeyboardInterrupt

    (tmp_path / "source").mkdir()
    monkeypatch.setattr(prepare, "export_onnx", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare.prepare(tmp_path, ["a text"])
    assert not (tmp_path / "model.onnx").exists()
