"""The float32 path: what transformers computes, on the golden models and on MiniLM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebert.batch import pack
from edgebert.checkpoint import open_checkpoint
from edgebert.evaluate.float32 import Float32Backend, load_float32
from edgebert.heads import HEADS
from tests.golden import (
    FAMILIES,
    GOLDEN,
    KINDS,
    NAMES,
    family_outputs,
    kind_outputs,
    load_inputs,
    load_outputs,
    read_by,
)

TOLERANCE = 2e-5
DATA = Path(__file__).parent.parent / "data"


def head_of(checkpoint, backend, name):
    return HEADS[name](checkpoint.tensors, checkpoint.info.config, backend)


@pytest.mark.parametrize("name", NAMES)
def test_golden_models(name):
    checkpoint = open_checkpoint(GOLDEN / name)
    backend = Float32Backend(checkpoint.info.config, checkpoint.tensors)
    hidden = backend.encode(pack(load_inputs(name)))
    outputs = load_outputs(name)
    np.testing.assert_allclose(hidden, np.concatenate(outputs["last_hidden_state"]), rtol=0, atol=TOLERANCE)
    if checkpoint.info.heads:
        first = np.cumsum([0, *map(len, load_inputs(name)[:-1])])
        logits = head_of(checkpoint, backend, "sequence_classification").logits(hidden[first])
        np.testing.assert_allclose(logits, np.stack(outputs["logits"]), rtol=0, atol=TOLERANCE)


def check_outputs(folder, outputs, tolerance):
    """Compare hidden states and the logits of every head with what transformers computes."""
    checkpoint = open_checkpoint(folder)
    backend = Float32Backend(checkpoint.info.config, checkpoint.tensors)
    batch = pack(outputs.input_ids, outputs.token_type_ids, checkpoint.info.config.padding)
    hidden = backend.encode(batch)
    np.testing.assert_allclose(hidden, np.concatenate(outputs.last_hidden_state), rtol=0, atol=TOLERANCE)
    assert set(outputs.logits) == set(checkpoint.info.heads)
    for name, expected in outputs.logits.items():
        head, each = head_of(checkpoint, backend, name), np.split(hidden, batch.cu_seqlens[1:-1])
        rows = [read_by(head, states, logits) for states, logits in zip(each, expected, strict=True)]
        logits = head.logits(np.concatenate(rows))
        np.testing.assert_allclose(logits, np.concatenate(expected), rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_and_head(name):
    check_outputs(GOLDEN / "families" / name, family_outputs(name), TOLERANCE)


@pytest.mark.parametrize("name", KINDS)
def test_unusual_models(name):
    """Padding inside of a text, other activations than GELU, no number that is a default."""
    check_outputs(GOLDEN / "kinds" / name, kind_outputs(name), 10 * TOLERANCE)


def test_minilm(material):
    model = load_float32(material("minilm-l6"))
    vectors = model.embed((DATA / "reviews.txt").read_text(encoding="utf-8").splitlines())
    with np.load(DATA / "minilm_fp32_vectors.npz") as file:
        np.testing.assert_allclose(vectors, file["reviews"], rtol=0, atol=TOLERANCE)


def test_an_albert_of_twelve_passes(prepared):
    model = load_float32(prepared("chemistry-albert"))
    with np.load(DATA / "reactions_fp32.npz") as file:
        expected = dict(file)
    texts = (DATA / "reactions.txt").read_text(encoding="utf-8").splitlines()[: len(expected["logits"])]
    found = model.hidden_states([model._runner.tokenizer.single(text).ids.tolist() for text in texts])
    first, token = (np.stack([states[at] for states in found]) for at in (0, expected["token"]))
    np.testing.assert_allclose(first, expected["hidden_states"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(
        model._runner.heads["masked_lm"].logits(token), expected["logits"], rtol=0, atol=TOLERANCE
    )


def test_neighbours_do_not_matter():
    checkpoint = open_checkpoint(GOLDEN / "encoder")
    backend = Float32Backend(checkpoint.info.config, checkpoint.tensors)
    inputs = load_inputs("encoder")
    alone = np.concatenate([backend.encode(pack([ids])) for ids in inputs])
    np.testing.assert_allclose(backend.encode(pack(inputs)), alone, rtol=0, atol=TOLERANCE)
