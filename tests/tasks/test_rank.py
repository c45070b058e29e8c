"""Documents ranked by vectors, where a model has no head that scores pairs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import edgebert
from edgebert.errors import InputError
from edgebert.tasks import rank

DOCUMENTS = ["a book of water", " ", "the film was good", "the film was good", "film " * 100 + "water"]


@pytest.fixture(scope="module")
def encoder(golden_files):
    return edgebert.load(golden_files["encoder"])


def test_scores_are_cosines_and_equal_ones_keep_their_order(encoder):
    found = encoder.rank("the film", DOCUMENTS[:4])
    assert {each["index"] for each in found} == {0, 2, 3}  # a blank one is not ranked
    query, *others = encoder.embed(["the film", *(each["text"] for each in found)], normalize=True)
    assert [each["score"] for each in found] == pytest.approx([float(query @ other) for other in others], abs=1e-6)
    assert [each["score"] for each in found] == sorted((each["score"] for each in found), reverse=True)
    assert [each["index"] for each in found if each["text"] == "the film was good"] == [2, 3]
    assert encoder.rank("the film", DOCUMENTS[:4], 1) == found[:1]
    encoder.require("rank")


def test_a_long_document_is_worth_what_its_best_window_is(encoder):
    seen = {}
    (found,) = encoder.rank("water", [DOCUMENTS[4]], stride=0, on_coverage=seen.__setitem__)
    assert (seen[0].windows > 1, seen[0].truncated) == (True, False)
    words = DOCUMENTS[4].split()
    size = encoder.max_length - 2
    windows = [" ".join(words[first : first + size]) for first in range(0, len(words), size)]
    query, *vectors = encoder.embed(["water", *windows], normalize=True)
    assert found["score"] == pytest.approx(max(float(query @ vector) for vector in vectors), abs=1e-6)
    (cut,) = encoder.rank("water", [DOCUMENTS[4]], truncate=True, on_coverage=seen.__setitem__)
    assert cut["score"] == pytest.approx(float(query @ vectors[0]), abs=1e-6)
    assert seen[0].truncated


def test_a_query_that_was_cut_is_told(encoder):
    seen = {}
    encoder.rank("film " * 200, ["water"], on_coverage=seen.__setitem__)
    assert seen[0].truncated


@pytest.mark.parametrize("name", ["document", "passage", "corpus"])
def test_the_prompts_for_queries_and_documents(name, encoder, monkeypatch):
    runner = encoder._runner
    prompts = {"query": "the book ", name: "water ", "other": "film "}
    before = runner.info
    monkeypatch.setattr(
        runner, "info", dataclasses.replace(before, prompts=prompts, default_prompt="other", include_prompt=True)
    )
    (found,) = encoder.rank("film", ["good"])
    query, document = encoder.embed(["the book film", "water good"], normalize=True, prompt="")
    assert found["score"] == pytest.approx(float(query @ document), abs=1e-6)
    monkeypatch.setattr(runner, "info", dataclasses.replace(before, prompts={"other": "film "}, default_prompt="other"))
    (found,) = encoder.rank("book", ["good"])
    query, document = encoder.embed(["book", "good"], normalize=True)  # with the default prompt
    assert found["score"] == pytest.approx(float(query @ document), abs=1e-6)


@pytest.mark.parametrize("include_prompt", [False, True])
def test_every_window_has_the_prompt(include_prompt, encoder, monkeypatch):
    """As in an index and in `embed`: the same text has the same vectors everywhere."""
    runner = encoder._runner
    told = {"prompts": {"document": "the book "}, "default_prompt": "", "include_prompt": include_prompt}
    monkeypatch.setattr(runner, "info", dataclasses.replace(runner.info, **told))
    text, coverages = DOCUMENTS[4], []
    query = encoder.embed(["water"], normalize=True)[0]
    for options in ({"windows": "each", "stride": 0}, {}):
        told = {"prompt_name": "document", "on_coverage": lambda *_: None}
        (vectors,) = encoder.embed([text], normalize=True, **told, **options)
        cut = {"stride": 0} if options else {"truncate": True}
        (found,) = encoder.rank("water", [text], **cut, on_coverage=lambda _, coverage: coverages.append(coverage))
        best = max(float(query @ vector) for vector in (vectors.vectors if options else [vectors]))
        assert found["score"] == pytest.approx(best, abs=1e-6)
    assert [each.truncated for each in coverages] == [False, True]
    assert coverages[0].windows > coverages[1].windows == 1


def test_what_is_refused(encoder, model_of):
    with pytest.raises(InputError, match=r"label is 'x', but encoder\.edgebert has no labels: it ranks by"):
        encoder.rank("a", ["b"], label="x")
    for name in ("bert-masked", "bert-token"):  # they have a head, for something else
        with pytest.raises(InputError, match="for rank"):
            model_of(name).rank("a", ["b"])
        with pytest.raises(InputError, match="for rank"):
            model_of(name).require("rank")


def test_best_of_none():
    assert rank.best(["a"], [None], None) == []
    assert rank.best(["a", "b", "c"], [np.float64(1), None, 2.0], 5) == [
        {"index": 2, "score": 2.0, "text": "c"},
        {"index": 0, "score": 1.0, "text": "a"},
    ]
