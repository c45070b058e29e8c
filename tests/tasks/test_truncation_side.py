"""A model whose tokenizer cuts texts on the left: the end of a text is what it sees, in int8 and in float32."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import edgebert
from edgebert.artifact import read_artifact, write_artifact
from edgebert.checkpoint import open_checkpoint
from edgebert.coverage import Cut
from edgebert.errors import ArtifactError, CheckpointError
from edgebert.evaluate.float32 import load_float32
from tests.checkpoint.folders import change_json
from tests.golden import GOLDEN
from tests.kernels.calls import assert_equal

START, END = "Bob liked the long story and the film", "Alice and Carol were good, but unbelievable"
LENGTH = 16


def folder_of(name, path, **settings):
    shutil.copytree(GOLDEN / "families" / name, path)
    change_json(path / "tokenizer_config.json", model_max_length=LENGTH, **settings)
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return a model of tags that cuts on the left, the same in float32, and one that cuts on the right."""
    root = tmp_path_factory.mktemp("sides")
    left = folder_of("bert-token", root / "left", truncation_side="left")
    path = edgebert.convert(left, root / "left.edgebert", force=True)
    right = rewritten(path, root / "right.edgebert", truncation_side="right")
    return edgebert.load(path, threads=1), load_float32(left), edgebert.load(right, threads=1)


def rewritten(path, target, **metadata):
    """Write an .edgebert file anew with other metadata; ... leaves an entry out."""
    artifact = read_artifact(path)
    changed = {**artifact.metadata, "crc32": ..., **metadata}
    write_artifact(target, artifact.tensors, {name: value for name, value in changed.items() if value is not ...})
    return target


def ids_of(model, text):
    return [model._runner.tokenizer.content(text).ids.tolist(), model._runner.tokenizer.single("").ids.tolist()]


def test_vectors_are_of_the_end(models):
    coverages = []
    for model in models[:2]:
        (vector,) = model.embed([f"{START} {END}"], on_coverage=lambda _, coverage: coverages.append(coverage))
        ids, (cls, sep) = ids_of(model, f"{START} {END}")
        (states,) = model.hidden_states([[cls, *ids[-(LENGTH - 2) :], sep]])
        mean = states.mean(axis=0)
        scale = np.linalg.norm(mean) if abs(np.linalg.norm(vector) - 1) < 1e-3 else 1
        np.testing.assert_allclose(vector, mean / scale, rtol=0, atol=1e-6)
        assert coverages[-1] == (len(ids) + 2, 1, True)
    assert models[0].info["truncation_side"] == "left"
    assert models[2].info["truncation_side"] == "right"


def test_a_text_that_fits_is_whole(models):
    coverages = []
    model, _, right = models
    assert_equal(model.embed(["Bob"], on_coverage=lambda _, coverage: coverages.append(coverage)), right.embed(["Bob"]))
    assert not coverages[0].truncated


def test_tags_of_one_window_are_of_the_end(models):
    """Each tag stands where it does in the whole text."""
    model, _, right = models
    text, options = f"{START} {END}", {"ignore_labels": [], "aggregation_strategy": "none"}
    content = model._runner.tokenizer.content(text, offsets=True)
    first = len(content.ids) - (LENGTH - 2)
    (found,) = model.tag([text], truncate=True, on_coverage=lambda *_: None, **options)
    assert [entry["start"] for entry in found] == content.starts[first:].tolist()
    assert [entry["end"] for entry in found] == content.ends[first:].tolist()
    (expected,) = right.tag([text[content.starts[first] :]], **options)
    assert text[content.starts[first] - 1] == " "
    assert [entry["score"] for entry in found] == [entry["score"] for entry in expected]
    (beginning,) = right.tag([text], truncate=True, on_coverage=lambda *_: None, **options)
    assert beginning[-1]["start"] < found[-1]["start"]


def test_windows_are_those_of_any_model(models):
    model, _, right = models
    text = f"{START} {END} {START}"
    assert model.tag([text]) == right.tag([text])


def test_how_much_was_seen(models):
    runner = models[0]._runner
    content = runner.tokenizer.content(f"{START} {END}")
    for cut, truncated in ((Cut(truncate=True), True), (Cut(), False)):
        (windows,), (coverage,) = runner.cut([content], cut)
        assert (coverage.windows, coverage.truncated) == (len(windows), truncated)
        assert windows[-1].last == len(content.ids)


def test_a_file_that_does_not_say_it_cuts_on_the_right(models, tmp_path):
    path = models[0].info["file"]
    old = edgebert.load(rewritten(path, tmp_path / "old.edgebert", truncation_side=...), threads=1)
    assert old.info["truncation_side"] == "right"
    text, told = [f"{START} {END}"], {"on_coverage": lambda *_: None}
    assert_equal(old.embed(text, **told), models[2].embed(text, **told))
    odd = rewritten(path, tmp_path / "odd.edgebert", truncation_side="middle")
    with pytest.raises(ArtifactError, match="truncation_side is 'middle', expected right or left"):
        edgebert.load(odd)


def test_what_a_folder_may_say(tmp_path):
    folder = folder_of("bert-token", tmp_path / "m")
    assert open_checkpoint(folder).info.truncation_side == "right"
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["truncation"] = {"direction": "Left", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    assert open_checkpoint(folder).info.truncation_side == "left"
    change_json(folder / "tokenizer_config.json", truncation_side="right")
    assert open_checkpoint(folder).info.truncation_side == "right"
    change_json(folder / "tokenizer_config.json", truncation_side="top")
    with pytest.raises(CheckpointError, match="has truncation_side 'top', expected 'right' or 'left'"):
        open_checkpoint(folder)
