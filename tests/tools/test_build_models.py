"""The files that come with edgebert are built from folders with our cards, and say where they come from."""

from __future__ import annotations

import shutil

import build_models
import pytest

from edgebert.bundled import BUNDLED
from edgebert.model_file import ModelFile
from tests.golden import GOLDEN


def test_every_model_has_a_recipe_and_a_card():
    assert [*build_models.RECIPES] == [model.name for model in BUNDLED]
    for model in BUNDLED:
        assert build_models.RECIPES[model.name].source == (model.hub or "sentiment-hf")


@pytest.mark.slow
def test_a_file_is_named_by_its_source_and_by_no_place(tmp_path, monkeypatch):
    def make_folder(folder):
        shutil.copytree(GOLDEN / "encoder", folder)
        (folder / "README.md").write_text("---\nlicense: x\n---\n# A card\n")

    recipe = build_models.Recipe("org/name", make_folder, "int4")
    monkeypatch.setattr(build_models, "RECIPES", {"encoder": recipe})
    path = build_models.build("encoder", tmp_path)
    assert path == tmp_path / "encoder.edgebert"
    file = ModelFile(path)
    assert (file.info.source, file.info.card, file.embeddings) == ("org/name", "# A card", "int4")
    data = path.read_bytes()
    assert b"model_card" in data
    assert str(tmp_path).encode() not in data
    assert build_models.build("encoder", tmp_path).read_bytes() == data
