"""all-MiniLM-L6-v2, a real model: converted here, and compared with what transformers computes in fp32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgebert

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def path(material, tmp_path_factory):
    return edgebert.convert(material("minilm-l6"), tmp_path_factory.mktemp("minilm") / "minilm.edgebert")


def test_vectors_are_close_to_fp32(path):
    model = edgebert.load(path)
    vectors = model.embed((DATA / "reviews.txt").read_text(encoding="utf-8").splitlines())
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    with np.load(DATA / "minilm_fp32_vectors.npz") as file:
        cosines = (vectors * file["reviews"]).sum(axis=1)
    assert cosines.mean() >= 0.998
    assert cosines.min() >= 0.990


def test_it_is_a_sentence_transformer(path):
    model = edgebert.load(path)
    assert model.max_length == 256
    assert (model.info["pooling"], model.info["normalize"]) == ("mean", True)
    assert path.stat().st_size < 24_000_000
    similar = model.embed(["A man is eating food.", "Someone eats a meal.", "The stock market fell sharply."])
    assert similar[0] @ similar[1] > similar[0] @ similar[2] + 0.3
