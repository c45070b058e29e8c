"""The float32 path: what transformers computes, on the golden models and on MiniLM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebert.batch import TextTokenizer, pack
from edgebert.checkpoint import open_checkpoint
from edgebert.evaluate.float32 import Float32Backend
from edgebert.heads.classification import SequenceClassification
from edgebert.heads.pooling import pool, unit
from tests.golden import GOLDEN, NAMES, load_inputs, load_outputs

TOLERANCE = 2e-5
DATA = Path(__file__).parent.parent / "data"


@pytest.mark.parametrize("name", NAMES)
def test_golden_models(name):
    checkpoint = open_checkpoint(GOLDEN / name)
    backend = Float32Backend(checkpoint.config, checkpoint.tensors)
    hidden = backend.encode(pack(load_inputs(name)))
    outputs = load_outputs(name)
    np.testing.assert_allclose(hidden, np.concatenate(outputs["last_hidden_state"]), rtol=0, atol=TOLERANCE)
    if checkpoint.head == "sequence_classification":
        head = SequenceClassification(checkpoint.tensors, checkpoint.labels, checkpoint.problem_type, backend)
        first = np.cumsum([0, *map(len, load_inputs(name)[:-1])])
        np.testing.assert_allclose(head.logits(hidden[first]), np.stack(outputs["logits"]), rtol=0, atol=TOLERANCE)


def test_minilm(material):
    checkpoint = open_checkpoint(material("minilm-l6"))
    backend = Float32Backend(checkpoint.config, checkpoint.tensors)
    tokenizer = TextTokenizer(checkpoint.tokenizer_json, checkpoint.max_length)
    texts = (DATA / "reviews.txt").read_text(encoding="utf-8").splitlines()
    batch = pack([tokenizer(text).ids for text in texts])
    hidden = np.split(backend.encode(batch), batch.cu_seqlens[1:-1])
    vectors = np.stack([unit(pool(rows, "mean")) for rows in hidden])
    with np.load(DATA / "minilm_fp32_vectors.npz") as file:
        np.testing.assert_allclose(vectors, file["reviews"], rtol=0, atol=TOLERANCE)


def test_neighbours_do_not_matter():
    checkpoint = open_checkpoint(GOLDEN / "encoder")
    backend = Float32Backend(checkpoint.config, checkpoint.tensors)
    inputs = load_inputs("encoder")
    alone = np.concatenate([backend.encode(pack([ids])) for ids in inputs])
    np.testing.assert_allclose(backend.encode(pack(inputs)), alone, rtol=0, atol=TOLERANCE)
