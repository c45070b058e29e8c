"""What labels say is read from all of them: no name loses what only looks like a tag."""

from __future__ import annotations

import pytest

from edgebert.schemes import Tag, tags_of


def told(*labels):
    return {label: tag.name for label, tag in tags_of(labels).items()}


@pytest.mark.parametrize("form", ["{place}-{name}", "{place}_{name}", "{name}-{place}", "{name}_{place}"])
@pytest.mark.parametrize("places", ["BI", "BIES", "BILU", "BMES", "BMEW", "BIS", "I"])
@pytest.mark.parametrize("names", [("PER", "LOC"), ("date-of-birth", "GIVEN_NAME"), ("E-MAIL", "S_X")])
def test_every_scheme_in_every_form(form, places, names):
    labels = {form.format(place=place, name=name): (place, name) for name in names for place in places}
    assert tags_of(["O", *labels]) == {"O": Tag("O")} | {
        label: Tag(name, place in "BSUW", place in "ELSUW") for label, (place, name) in labels.items()
    }


@pytest.mark.parametrize(
    "labels",
    [
        ("O", "E-MAIL", "NAME"),
        ("E-MAIL", "S-EXPRESSION"),
        ("date-of-birth", "name-of-mother"),
        ("LABEL_0", "LABEL_1"),
        ("O", "B-vitamin", "C-vitamin"),
        ("vitamin-B", "vitamin-C", "vitamin-E"),
        ("I-9", "W-2", "PASSPORT"),
        ("STAGE_I", "STAGE_II", "STAGE_III"),
        ("B", "I", "O"),
        ("B-", "-I", "O"),
        (),
    ],
)
def test_labels_that_are_names(labels):
    assert tags_of(labels) == {label: Tag(label) for label in labels}


def test_a_name_neither_begins_nor_ends_a_span():
    assert tuple(tags_of(["NAME"])["NAME"]) == ("NAME", False, False)


def test_names_beside_tags():
    assert told("O", "B-PER", "I-PER", "E-MAIL") == {"O": "O", "B-PER": "PER", "I-PER": "PER", "E-MAIL": "E-MAIL"}
    found = told("O", "B-PER", "I-PER", "E-PER", "S-PER", "S-NORP", "E-MAIL", "PHONE-B")
    assert (found["S-NORP"], found["E-MAIL"], found["PHONE-B"]) == ("NORP", "E-MAIL", "PHONE-B")
    assert told("B-PER", "I-PER", "S-EXPRESSION")["S-EXPRESSION"] == "S-EXPRESSION"
    assert told("B-PER", "I-PER", "B-MONEY")["B-MONEY"] == "MONEY"
    assert told("B-x-y", "I-x-y", "x-y") == dict.fromkeys(("B-x-y", "I-x-y", "x-y"), "x-y")


def test_labels_of_no_span_are_no_evidence():
    assert told("[PAD]", "<s>", "X", "O", "I-PER", "I-LOC")["I-LOC"] == "LOC"
    assert told("OTHER", "I-PER", "I-LOC")["I-LOC"] == "I-LOC"
