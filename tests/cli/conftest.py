"""Models for the command line: one that answers by rule, and the golden ones for the whole way."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgebert
from tests.cli.command import FakeModel
from tests.golden import GOLDEN


@pytest.fixture(autouse=True)
def buffered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes buffer their output as they do by default, wherever the tests run."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """What `edgebert.load` returns for the length of the test."""
    fake = FakeModel()
    monkeypatch.setattr(edgebert, "load", lambda path=None, threads=None: fake)
    return fake


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden classifier as an .edgebert file."""
    return edgebert.convert(GOLDEN / "classifier", tmp_path_factory.mktemp("models") / "classifier.edgebert")


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden encoder as an .edgebert file."""
    return edgebert.convert(GOLDEN / "encoder", tmp_path_factory.mktemp("models") / "encoder.edgebert")
