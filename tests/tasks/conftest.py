"""Golden models of the families, converted once for all tests of tasks."""

from __future__ import annotations

import functools

import pytest

import edgebert
from tests.golden import GOLDEN


@pytest.fixture(scope="session")
def model_of(tmp_path_factory):
    """Return a function: name of a golden model of a family -> its int8 model, loaded."""
    folder = tmp_path_factory.mktemp("families")

    @functools.cache
    def load(name):
        path = edgebert.convert(GOLDEN / "families" / name, folder / f"{name}.edgebert", min_agreement=0)
        return edgebert.load(path, threads=2)

    return load
