"""From texts to texts without what was found: nothing half-covered, everything else as it was."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebert.errors import InputError
from edgebert.redact import PATTERN_LABELS, Redactor, Settings, redact
from edgebert.watch import watched


class Tagger:
    """A model that finds what it is told: label -> expression."""

    labels = ("O", "B-GIVEN_NAME", "I-GIVEN_NAME", "B-SURNAME", "I-SURNAME", "B-CITY", "I-CITY", "B-PASSPORT")

    def __init__(self, **expressions: str) -> None:
        self.expressions = expressions
        self.asked: list[str] = []
        self.options: dict[str, Any] = {}

    def require(self, task: str) -> None:
        if task != "redact":
            raise AssertionError(task)

    def tag(self, texts: Sequence[str], strategy: str, **options: Any) -> list[list[dict[str, Any]]]:
        self.asked += texts
        self.options = {"strategy": strategy, **options}
        return [
            [
                {"entity_group": label, "score": 0.75, "start": match.start(), "end": match.end(), "word": match[0]}
                for label, expression in self.expressions.items()
                for match in re.finditer(expression, text)
            ]
            for text in texts
        ]


def texts_of(model: Any, texts: Iterable[str], **options: Any) -> list[str]:
    return [each["text"] for each in redact(model, texts, Settings(**options))]


def test_labels_stand_for_what_was_found() -> None:
    text = "Dear Alice\r\n\tJohnson's cat\u00a0is here.\r\n"
    (result,) = redact(Tagger(GIVEN_NAME="Alice", SURNAME="Johnson's"), [text], Settings())
    assert result["text"] == "Dear [GIVEN_NAME]\r\n\t[SURNAME]'s cat\u00a0is here.\r\n"
    assert result["entities"] == [
        {
            "entity_group": label,
            "score": 0.75,
            "word": word,
            "start": start,
            "end": start + len(word),
            "source": "model",
            "replacement": f"[{label}]",
        }
        for label, word, start in [("GIVEN_NAME", "Alice", 5), ("SURNAME", "Johnson", 13)]
    ]


def test_what_is_found_in_one_text_is_covered_in_all() -> None:
    model = Tagger(SURNAME="Johnson(?= lives)")
    result = redact(model, ["JOHNSON was here", "", "Johnson lives. So does Johnson"], Settings())
    assert [each["text"] for each in result] == ["[SURNAME] was here", "", "[SURNAME] lives. So does [SURNAME]"]
    assert [(one["source"], one["score"]) for each in result for one in each["entities"]] == [
        ("repeat", None),
        ("model", 0.75),
        ("repeat", None),
    ]


def test_paragraphs_are_read_by_themselves() -> None:
    model = Tagger()
    text = "one\ntwo\n \t\n\nthree\r\n\r\nfour"
    assert texts_of(model, [text, "  \n"], threshold=0.25) == [text, "  \n"]
    assert model.asked == ["one\ntwo\n", "three\r\n", "four"]
    assert model.options == {"strategy": "max", "threshold": 0.25, "stride": None}
    model.asked.clear()
    texts_of(model, ["word word\n" * 10_000])
    assert 1 < len(model.asked) < 10
    assert "".join(model.asked) == "word word\n" * 10_000


def test_progress_is_told() -> None:
    told: list[float] = []
    with watched(told.append):
        Redactor(Tagger(), Settings()).find(["a\n\nb", "", *["c"] * 600])
    assert told == [1 / 3, 2 / 3]


def test_spans_that_overlap_are_one() -> None:
    """Of the model's and a rule's nothing is left, and the rule says what it is."""
    model = Tagger(SURNAME=r"write to al", GIVEN_NAME="example now")
    assert texts_of(model, ["Please write to al@mail.example now."]) == ["Please [EMAIL]."]
    assert texts_of(model, ["Please write to al@mail.example now."], patterns=False) == [
        "Please [SURNAME]@mail.[GIVEN_NAME]."
    ]
    assert texts_of(Tagger(SURNAME="Ann", GIVEN_NAME="Ann Lee"), ["Ann Lee"]) == ["[GIVEN_NAME]"]


def test_a_number_is_covered_with_all_its_groups() -> None:
    model = Tagger(PASSPORT="12 34 56")
    assert texts_of(model, ["No. QQ 12 34 56 C.", "12 34 56 A man", "x 12 34 56-7, 8"]) == [
        "No. [PASSPORT].",
        "[PASSPORT] A man",
        "x [PASSPORT], 8",
    ]
    assert texts_of(Tagger(PASSPORT="020"), ["ring 020 7946 0301 or 030", "020 2 pm"]) == [
        "ring [PASSPORT] or 030",
        "[PASSPORT] pm",
    ]
    assert texts_of(Tagger(BUILDING_NUMBER="12"), ["12 34 5"]) == ["[BUILDING_NUMBER] 34 5"]
    assert texts_of(Tagger(CITY="1"), ["AB 1 C"]) == ["AB [CITY] C"]
    # However much stands behind it, and before.
    for text in ("12 34 56 78, " + "and so on " * 9, "and so on " * 9 + "12 34 56 78, no"):
        (found,) = texts_of(Tagger(PASSPORT="78"), [text], patterns=False)
        assert found == text.replace("12 34 56 78", "[PASSPORT]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The SSN is 123-45-6789SMITH.", "The SSN is [TAX_ID]."),
        ("SMITH123-45-6789, 123-45-6789Smith's", "[TAX_ID], [TAX_ID]'s"),
        ("card 4111 1111 1111 1111Jo is", "card [CREDIT_CARD] is"),
        ("ring 415-555-0132Jo (now)", "ring [PHONE] (now)"),
        ("IBAN:DE89370400440532013000Jo", "IBAN:[IBAN]"),
        ("from 203.0.113.7\u00fcber", "from [IP_ADDRESS]"),
        ("\u96fb\u8a71219-09-9999\u3067\u3059", "\u96fb\u8a71[TAX_ID]\u3067\u3059"),  # no word goes on there
    ],
)
def test_a_number_is_covered_with_the_letters_that_it_is_glued_to(text: str, expected: str) -> None:
    assert texts_of(Tagger(), [text]) == [expected]


@pytest.mark.parametrize("part", ["-6789SMITH", "6789", "123", "45", "-45-", "123-45", "5-6", "89SM"])
def test_of_a_number_that_the_model_found_in_part_nothing_is_left(part: str) -> None:
    for text in ("is 123-45-6789SMITH.", "is 123-45-6789SMITH", "SMITH123-45-6789"):
        if part in text:
            (found,) = texts_of(Tagger(PASSPORT=part), [text], patterns=False)
            assert not re.search(r"\d|SM", found), (text, found)
    assert texts_of(Tagger(GIVEN_NAME="li", CITY="9"), ["Alice\u0301s R\u00e9my9x"]) == ["[GIVEN_NAME] [CITY]"]


def test_a_number_is_found_again_where_it_is_glued() -> None:
    first, second = texts_of(Tagger(), ["123-45-6789SMITH", "is 123 45 6789, x123456789, 1234567890"])
    assert (first, second) == ("[TAX_ID]", "is [TAX_ID], [TAX_ID], 1234567890")


def test_labels_that_are_kept() -> None:
    model = Tagger(CITY="(?<=in )Paris", GIVEN_NAME="Paris(?= Lee)", SURNAME="Lee")
    text = "Paris Lee is in Paris, Paris."
    assert texts_of(model, [text]) == ["[GIVEN_NAME] [SURNAME] is in [CITY], [CITY]."]
    assert texts_of(model, [text], keep=["CITY"]) == ["[GIVEN_NAME] [SURNAME] is in Paris, [GIVEN_NAME]."]
    assert texts_of(model, [text], only=["SURNAME"]) == ["Paris [SURNAME] is in Paris, Paris."]
    assert texts_of(Tagger(), ["a@b.example"], keep=["EMAIL"]) == ["a@b.example"]
    assert texts_of(Tagger(), ["a@b.example, 203.0.113.7"], only=["EMAIL"]) == ["[EMAIL], 203.0.113.7"]


def test_stand_ins() -> None:
    model = Tagger(GIVEN_NAME="Alice|BO")
    first, second = texts_of(model, ["Alice and BO", "BO, ALICE"], stand_ins=True)
    alice, bo = first.split(" and ")
    assert second == f"{bo}, {alice.upper()}"
    assert bo.isupper()
    assert not {alice, bo.capitalize()} & {"Alice", "Bo"}
    (keyed,) = texts_of(model, ["BO"], stand_ins=True, key="k")
    assert texts_of(model, ["Alice, BO"], stand_ins=True, key="k")[0].endswith(f", {keyed}")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"keep": ["TOWN"]}, r"keep has the label 'TOWN', expected some of GIVEN_NAME, SURNAME, CITY, PASSPORT, EMAIL"),
        ({"only": ["B-CITY"]}, "only has the label 'B-CITY', expected some of"),
        ({"keep": "CITY"}, "keep is one string, expected a list"),
        ({"keep": ["IBAN"], "patterns": False}, "keep has the label 'IBAN'"),
        ({"only": []}, "leave no label to replace"),
        ({"only": ["CITY"], "keep": ["CITY"]}, "leave no label to replace"),
        ({"key": "k"}, "key is for stand-ins"),
        ({"key": "", "stand_ins": True}, "not empty"),
        ({"key": b"k", "stand_ins": True}, "key is b'k', expected a string"),
        ({"stand_ins": "no"}, "stand_ins is 'no'"),
        ({"patterns": None}, "patterns is None"),
    ],
)
def test_settings_that_cannot_be(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=re.escape(complaint)):
        Redactor(Tagger(), Settings(**options))


def test_labels_are_those_of_the_model_and_of_the_rules() -> None:
    assert Redactor(Tagger(), Settings()).labels == ("GIVEN_NAME", "SURNAME", "CITY", "PASSPORT", *PATTERN_LABELS)


@given(text=st.text("aAlice @.\n\r\t19-é\u0308山"), stand_ins=st.booleans())
@settings(max_examples=200, deadline=None)
def test_entities_tell_the_whole_change(text: str, stand_ins: bool) -> None:
    """What is not replaced is as it was, and the spans are in order and apart."""
    model = Tagger(GIVEN_NAME="Al?", SURNAME="i.", PASSPORT=r"\d[^a]")
    (result,) = redact(model, [text], Settings(stand_ins=stand_ins))
    at, made = 0, ""
    for each in result["entities"]:
        assert at <= each["start"] < each["end"] <= len(text)
        for border in (each["start"], each["end"]):  # is in no word
            assert not re.fullmatch(r"[aAlice19é\u0308]{2}", text[max(border - 1, 0) : border + 1])
        assert each["word"] == text[each["start"] : each["end"]]
        made += text[at : each["start"]] + each["replacement"]
        at = each["end"]
    assert result["text"] == made + text[at:]
