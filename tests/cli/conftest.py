"""Models for the command line: one that answers by rule, and the golden ones for the whole way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import edgebert
from edgebert.cli import model_option
from tests.cli.fake_model import FakeModel, FakeTagger
from tests.golden import GOLDEN


@pytest.fixture(autouse=True)
def buffered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes buffer their output as they do by default, wherever the tests run."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """What `edgebert.load` returns for the length of the test."""
    return _instead_of_all(monkeypatch, FakeModel())


@pytest.fixture
def tagger(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """What `edgebert.load` returns for the length of the test: a model with tags."""
    return _instead_of_all(monkeypatch, FakeTagger())


def _instead_of_all(monkeypatch: pytest.MonkeyPatch, fake: FakeModel) -> FakeModel:
    """Let a model answer whatever is asked for; no command lacks one, and none says which it took."""
    monkeypatch.setattr(edgebert, "load", lambda path=None, threads=None, max_memory=None, device=None: fake)
    monkeypatch.setattr(model_option, "check_model", lambda task, name: None)
    monkeypatch.setattr(model_option, "open_model", lambda task, name, **options: edgebert.load(name, **options))
    return fake


@pytest.fixture(scope="session")
def classifier(golden_files: dict[str, Path]) -> Path:
    """The golden classifier as an .edgebert file; its kernels are compiled, and no process says that it does so."""
    edgebert.load(golden_files["classifier"])
    return golden_files["classifier"]


@pytest.fixture(scope="session")
def encoder(golden_files: dict[str, Path], classifier: Path) -> Path:
    """The golden encoder as an .edgebert file; its kernels are those of the classifier."""
    return golden_files["encoder"]


@pytest.fixture(scope="session")
def family_file(tmp_path_factory: pytest.TempPathFactory, classifier: Path) -> Callable[[str], Path]:
    """Return a function that converts the golden model of a family and head, once: ``"bert-token"``."""
    folder = tmp_path_factory.mktemp("families")

    def file(name: str) -> Path:
        path = folder / f"{name}.edgebert"
        if not path.exists():  # untrained, its decisions are close ones: a few turn over
            edgebert.convert(GOLDEN / "families" / name, path, force=True)
        return path

    return file
