"""Letters: how much of the personal data in them the model that comes with edgebert finds, with the rules."""

from __future__ import annotations

import pytest

import edgebert
from edgebert.bundled import default_model
from tests.redact.letters import letters, measure


@pytest.fixture(scope="module")
def model() -> edgebert.Model:
    return edgebert.load(default_model("redact"))


def test_most_is_found_and_little_else(model: edgebert.Model) -> None:
    """Measured: 236 of 238, and 13 of 245 wrong."""
    figures = measure(model)
    assert figures.marks == 238
    assert figures.recall >= 0.985, figures.missed
    assert figures.precision >= 0.94, figures.wrong
    assert figures.half == []


def test_letters_that_nothing_was_made_for(model: edgebert.Model) -> None:
    """Measured: 62 of 62, and 1 of 62 wrong."""
    figures = measure(model, "letters_unseen")
    assert figures.marks == 62
    assert figures.recall >= 0.98, figures.missed
    assert figures.precision >= 0.95, figures.wrong


def test_rules_and_repetitions_find_what_the_model_does_not(model: edgebert.Model) -> None:
    assert measure(model, patterns=False).recall < measure(model).recall - 0.02


def test_nothing_of_a_stand_in_is_found_in_the_letters(model: edgebert.Model) -> None:
    texts = [each.text for each in letters()]
    for result in model.redact(texts, stand_ins=True):
        assert all(each["word"].casefold() != each["replacement"].casefold() for each in result["entities"])
    labelled, stood_in = (model.redact(texts, stand_ins=wanted) for wanted in (False, True))
    places = [[(each["start"], each["end"]) for each in result["entities"]] for result in labelled]
    assert places == [[(each["start"], each["end"]) for each in result["entities"]] for result in stood_in]
