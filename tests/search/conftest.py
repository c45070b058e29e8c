"""A small model, and notes."""

from __future__ import annotations

import pytest

import edgebert


@pytest.fixture(scope="session")
def model(golden_files):
    return edgebert.load(golden_files["encoder"], threads=2)


@pytest.fixture
def notes(tmp_path):
    """A folder with three notes."""
    folder = tmp_path / "notes"
    (folder / "sub").mkdir(parents=True)
    (folder / "keys.txt").write_text("# House\n\nThe keys lie in the blue pot.\n", "utf-8")
    (folder / "film.txt").write_text("the film was good\n", "utf-8")
    (folder / "sub" / "tax.txt").write_text("Taxes are due\nin May.\n", "utf-8")
    return folder
