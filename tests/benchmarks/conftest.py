"""A tiny model to measure: what is tested is the measuring."""

import pytest

import edgebert
from benchmarks.random_bert import write_random_bert
from benchmarks.shapes import SHAPES
from tests.golden import GOLDEN


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Return a Hugging Face folder of a tiny BERT with random weights."""
    folder = tmp_path_factory.mktemp("tiny")
    write_random_bert(folder, SHAPES["tiny"], GOLDEN / "encoder")
    return folder


@pytest.fixture(scope="session")
def model(folder, tmp_path_factory):
    """Return its .edgebert file."""
    return edgebert.convert(folder, tmp_path_factory.mktemp("model") / "tiny.edgebert")
