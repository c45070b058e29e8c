"""Columns of the embeddings that are a thousand times as large as the others: each is kept with a factor."""

from __future__ import annotations

import numpy as np
import pytest

import edgebert
from edgebert.artifact import read_artifact, write_artifact
from edgebert.errors import ArtifactError
from edgebert.evaluate.compare import cosines, evaluate
from edgebert.quantize import encoder as quantize_encoder
from edgebert.quantize.law import column_factors
from tests.export.tiny import CAUSAL, OUTLIERS, plant, write_tiny
from tests.golden import GOLDEN
from tests.kernels.calls import assert_equal
from tests.selection import AVAILABLE, of_families

TEXTS = ["the film was good and nobody saw it", "Tom saw 3 red films", "a bad film about a good dog in the rain"]
WORDS = "embeddings.word_embeddings"
IDS = [[5, 9, 30, 31, 32], [7] * 20, list(range(5, 60))]


def with_factor(path, target, factor):
    """Write an .edgebert file anew, with factors of the words' columns."""
    artifact = read_artifact(path)
    metadata = {name: value for name, value in artifact.metadata.items() if name != "crc32"}
    write_artifact(target, {**artifact.tensors, f"{WORDS}.factor": factor}, metadata)
    return target


def test_factors_are_powers_of_two_of_far_larger_or_smaller_columns():
    sizes = np.array([1, 3, 15.9, 16, 40, 1000, 1 / 15, 1 / 17, 0, 1, 1, 1])
    expected = [1, 1, 1, 16, 32, 512, 1, 1 / 32, 1, 1, 1, 1]
    np.testing.assert_array_equal(column_factors(100 * np.square(sizes)), np.float32(expected))
    np.testing.assert_array_equal(column_factors(np.zeros(3)), np.ones(3, np.float32))


@pytest.mark.parametrize(("embeddings", "least"), [("int8", 0.999), ("int4", 0.99)])
def test_outliers_keep_their_accuracy(tmp_path, monkeypatch, embeddings, least):
    """The bar of a model with planted outliers; and what becomes of it without the factors."""
    folder = plant(write_tiny(CAUSAL, tmp_path / "model"))
    path = edgebert.convert(folder, tmp_path / "m.edgebert", evaluate=TEXTS, embeddings=embeddings, min_agreement=0)
    artifact = read_artifact(path)
    factor = artifact.tensors[f"{WORDS}.factor"]
    assert np.flatnonzero(factor != 1).tolist() == list(OUTLIERS)
    line = artifact.json("receipt")["embeddings"]
    assert (line["columns_with_factors"], line["cosine_worst"] > least) == (len(OUTLIERS), True)
    assert evaluate(path, folder, TEXTS).token_cosines.mean() >= least
    monkeypatch.setattr(quantize_encoder, "column_factors", lambda energies: np.ones(len(energies), np.float32))
    path = edgebert.convert(folder, tmp_path / "m.edgebert", evaluate=TEXTS, embeddings=embeddings, min_agreement=0)
    assert evaluate(path, folder, TEXTS).token_cosines.mean() < 0.9


@pytest.mark.parametrize("family", of_families(AVAILABLE))
@pytest.mark.parametrize("embeddings", ["int8", "int4"])
def test_the_kernels_multiply_by_the_factors(tmp_path, monkeypatch, embeddings, family):
    path = edgebert.convert(GOLDEN / "encoder", tmp_path / "m.edgebert", embeddings=embeddings, min_agreement=0)
    plain = with_factor(path, tmp_path / "plain.edgebert", np.ones(64, np.float32))
    factored = with_factor(path, tmp_path / "factored.edgebert", np.ldexp(np.float32(1), np.arange(64) % 7 - 3))
    found = {}
    for each in (family, "reference"):
        monkeypatch.setenv("EDGEBERT_FAMILY", each)
        found[each] = [
            np.concatenate(edgebert.load(file, threads=1).hidden_states(IDS)) for file in (path, plain, factored)
        ]
    without, ones, got = found[family]
    assert_equal(ones, without)
    expected = found["reference"][2]
    assert cosines(got, expected).min() > 0.999
    assert cosines(without, expected).min() < 0.99


@pytest.mark.parametrize("factor", [np.ones(63, np.float32), np.ones(64, np.float16), np.full(64, np.inf, np.float32)])
def test_factors_that_do_not_fit_are_damage(golden_files, tmp_path, factor):
    path = with_factor(golden_files["encoder"], tmp_path / "m.edgebert", factor)
    with pytest.raises(ArtifactError, match=rf"{WORDS}\.factor (is float|has values that are not finite)"):
        edgebert.load(path)
