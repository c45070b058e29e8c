"""Stand-ins: the same for the same, different for different, of the same shape, and nobody's."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebert.redact.patterns import find_patterns, iban_remainder, luhn_digit
from edgebert.redact.stand_ins import StandIns

KEYS = (None, b"secret")


@pytest.mark.parametrize("key", KEYS)
def test_the_same_value_has_the_same_stand_in(key: bytes | None) -> None:
    stand_in = StandIns(key)
    alice = stand_in("Alice", "GIVEN_NAME")
    assert stand_in("ALICE", "GIVEN_NAME") == alice.upper()
    assert stand_in("alice", "GIVEN_NAME") == alice.lower()
    assert stand_in("Alice", "GIVEN_NAME") == alice
    assert stand_in("415-555-0132", "PHONE") == stand_in("415-555-0132", "PHONE")


@pytest.mark.parametrize("key", KEYS)
def test_what_stands_beside_a_value_is_no_part_of_it(key: bytes | None) -> None:
    stand_in = StandIns(key)
    surname, number = stand_in("M\xfcller", "SURNAME"), stand_in("DE89370400440532013000", "IBAN")
    assert stand_in("M\xfcller's Haus", "SURNAME").startswith(f"{surname}'s ")
    assert stand_in("IBAN: DE89 3704 0044 0532 0130 00", "IBAN") == f"IBAN: {number}"
    assert (number[:2], iban_remainder(number)) == ("DE", 1)


@pytest.mark.parametrize("key", KEYS)
def test_different_values_have_different_ones(key: bytes | None) -> None:
    stand_in = StandIns(key)
    names = [f"Name{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(200)]
    for label in ("GIVEN_NAME", "SURNAME", "CITY", "STREET_NAME", "EMAIL", "ORG"):
        assert len({stand_in(name, label) for name in names}) == len(names), label
    phones = 100 if key is None else 10
    assert len({stand_in(f"415-321-{i:04}", "PHONE") for i in range(phones)}) == phones


@pytest.mark.parametrize(
    ("label", "values"),
    [
        ("BUILDING_NUMBER", [str(i) for i in range(1, 100)]),
        ("ZIP_CODE", [f"{i:05}" for i in range(2000)]),
        (
            "SECONDARY_ADDRESS",
            [f"{kind} {i}{letter}" for kind in ("Apt", "#") for i in range(1, 9) for letter in "ABCD"],
        ),
        ("PHONE", [f"321-{i:04}" for i in range(300)]),
        ("IP_ADDRESS", [f"10.0.{i // 256}.{i % 256}" for i in range(900)]),
        ("EMAIL", [f"a{i}@b.example" for i in range(300)]),
        ("CITY", [f"Town{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(300)]),
    ],
)
@pytest.mark.parametrize("avoids", [False, True])
def test_without_a_key_no_two_values_meet(label: str, values: list[str], avoids: bool) -> None:
    stand_in = StandIns()
    if avoids:
        stand_in.avoid(" ".join(values))
    found = {stand_in(value, label).casefold() for value in values}
    assert len(found) == len(values)
    if label in ("BUILDING_NUMBER", "ZIP_CODE"):
        assert all(each.isdecimal() for each in found)
        assert not avoids or not found & {*values}


def spelled(number: int) -> str:
    return "".join(chr(97 + int(digit)) for digit in f"{number:03}")


def test_labels_do_not_meet_either() -> None:
    stand_in = StandIns()
    labels = ("GIVEN_NAME", "PER", "SURNAME", "CITY", "STATE", "STREET_NAME", "BUILDING_NUMBER", "ZIP_CODE")
    values = [
        (f"{100 * k + i}" if label in labels[-2:] else "XYZABCDEFG"[k] + spelled(i), label)
        for i in range(60)
        for k, label in enumerate(labels, start=1)
    ]
    found = [stand_in(*each) for each in values]
    assert len({each.casefold() for each in found}) == len(values)
    assert not any("-" in each for each in found)  # every name is a name, no number a label


def test_with_a_key_no_order_decides_whatever_the_value_is() -> None:
    values = [("Suite", "SECONDARY_ADDRESS"), ("my cell", "PHONE"), ("12", "BUILDING_NUMBER"), ("Floor", "ZIP_CODE")]
    first, second = StandIns(b"k"), StandIns(b"k")
    assert [first(*each) for each in values] == [second(*each) for each in values[::-1]][::-1]


@pytest.mark.parametrize("key", KEYS)
def test_a_part_of_a_name_has_its_own_part(key: bytes | None) -> None:
    stand_in = StandIns(key)
    given, family = stand_in("Alice Johnson", "PER").split(" ")
    assert (stand_in("Johnson", "PER"), stand_in("Alice", "PER")) == (family, given)
    assert stand_in("Johnson-Alice", "PER") == f"{family}-{given}"


def test_without_a_key_they_count_and_tell_nothing() -> None:
    values = [("Alice", "GIVEN_NAME"), ("Bo", "GIVEN_NAME"), ("219-09-9999", "TAX_ID"), ("ACME", "ORG")]
    others = [("Carol", "GIVEN_NAME"), ("Dan", "GIVEN_NAME"), ("123-45-6789", "TAX_ID"), ("Shop", "ORG")]
    first, second = StandIns(), StandIns()
    assert [first(*each) for each in values] == [second(*each) for each in others]
    assert first("Next", "ORG") == "ORG-2"


@pytest.mark.parametrize("key", KEYS)
def test_a_value_has_one_stand_in_whatever_it_was_taken_for(key: bytes | None) -> None:
    stand_in = StandIns(key)
    assert stand_in("Rahman", "SURNAME") == stand_in("Rahman", "GIVEN_NAME")
    assert stand_in("O\u2019Brien", "SURNAME") == stand_in("O'BRIEN", "PER").capitalize()


@pytest.mark.parametrize("key", KEYS)
def test_nothing_stands_for_itself(key: bytes | None) -> None:
    stand_in = StandIns(key)
    assert all(stand_in(str(i), "BUILDING_NUMBER") != str(i) for i in range(1, 10))
    assert "robin" not in StandIns()("Robin", "GIVEN_NAME").casefold()


def test_with_a_key_they_depend_on_it_and_on_no_order() -> None:
    values = [("Alice", "GIVEN_NAME"), ("219-09-9999", "TAX_ID"), ("415-555-0132", "PHONE"), ("ACME", "ORG")]
    first, second, other = StandIns(b"k"), StandIns(b"k"), StandIns(b"other")
    one = [first(*each) for each in values]
    assert [second(*each) for each in reversed(values)] == one[::-1]
    assert StandIns(b"k")("Paris", "CITY") == StandIns(b"k")("Paris", "GIVEN_NAME")
    assert all(a != other(*each) for a, each in zip(one, values, strict=True))


def test_no_name_of_the_texts_is_taken() -> None:
    first = StandIns()("Alice", "GIVEN_NAME")
    stand_in = StandIns()
    stand_in.avoid(f"I know {first.upper()}.")
    assert stand_in("Alice", "GIVEN_NAME") != first


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("(415) 555-0132", "PHONE"),
        ("+44 20 7946 0958", "PHONE"),
        ("12-345", "PHONE"),
        ("4111-1111-1111-1111", "CREDIT_CARD"),
        ("DE89 3704 0044 0532 0130 00", "IBAN"),
        ("219-09-9999", "TAX_ID"),
        ("Apt 4B", "SECONDARY_ADDRESS"),
        ("X4471902", "PASSPORT"),
        ("12", "BUILDING_NUMBER"),
    ],
)
def test_the_shape_stays(word: str, label: str, key: bytes | None) -> None:
    def shape(text: str) -> str:
        return re.sub("[a-z]", "a", re.sub("[A-Z]", "A", re.sub(r"\d", "0", text)))

    made = StandIns(key)(word, label)
    assert made != word
    assert shape(made) == shape(word)


@pytest.mark.parametrize("key", KEYS)
def test_they_are_valid_and_belong_to_nobody(key: bytes | None) -> None:
    stand_in = StandIns(key)
    card = re.sub(r"\D", "", stand_in("4111 1111 1111 1111", "CREDIT_CARD"))
    assert (card[0], card[-1]) == ("0", luhn_digit(card[:-1]))
    account = stand_in("GB29 NWBK 6016 1331 9268 19", "IBAN").replace(" ", "")
    assert (account[:2], iban_remainder(account)) == ("GB", 1)
    assert stand_in("DE89370400440532013000", "IBAN")[4:8] == "0000"
    assert re.search(r"55501\d\d$", re.sub(r"\D", "", stand_in("+44 20 7946 0958", "PHONE")))
    assert stand_in("+44 20 7946 0958", "PHONE").startswith("+44 ")
    assert stand_in("415-555-0132 x77", "PHONE").endswith(" x00")
    assert stand_in("219-09-9999", "TAX_ID").startswith("000-")
    assert stand_in("a@b.example", "EMAIL").endswith("@example.com")
    assert stand_in("https://x.com/jo", "URL").startswith("https://example.com/")
    assert stand_in("8.8.8.8", "IP_ADDRESS").rpartition(".")[0] in ("192.0.2", "198.51.100", "203.0.113")
    assert stand_in("2a00::1", "IP_ADDRESS").startswith("2001:db8::")
    assert [label for _, _, label in find_patterns(stand_in("8.8.4.4", "IP_ADDRESS"))] == ["IP_ADDRESS"]


LABELS = (
    *(
        "GIVEN_NAME",
        "SURNAME",
        "PER",
        "CITY",
        "STREET_NAME",
        "PHONE",
        "EMAIL",
        "URL",
        "IBAN",
        "CREDIT_CARD",
        "IP_ADDRESS",
    ),
    *("TAX_ID", "BUILDING_NUMBER", "SECONDARY_ADDRESS", "ORG"),
)


@given(st.text("aA1 -.:+'é\u0661DE89", min_size=1, max_size=20), st.sampled_from(LABELS), st.sampled_from(KEYS))
@settings(max_examples=300, deadline=None)
def test_any_value_has_one(word: str, label: str, key: bytes | None) -> None:
    """Whatever a model takes for a number or a name; also where there is nothing in it that could be another."""
    stand_in = StandIns(key)
    made = stand_in(word, label)
    assert stand_in(word, label) == made
    if any(map(str.isalnum, word)):
        assert made != word


def test_words_that_no_number_stands_for() -> None:
    assert StandIns()("Suite", "SECONDARY_ADDRESS") == "SECONDARY_ADDRESS-1"
    assert StandIns()("my cell", "PHONE") == "PHONE-1"


def test_a_house_has_no_number_that_begins_with_zero() -> None:
    stand_in = StandIns()
    assert all(stand_in(str(100 + i), "BUILDING_NUMBER")[0] != "0" for i in range(100))


def test_with_a_key_no_text_changes_a_stand_in() -> None:
    """What stands for a value is the same in every text; even one that has the stand-in itself."""
    usual = StandIns(b"key")("Alice", "GIVEN_NAME")
    stand_in = StandIns(b"key")
    stand_in.avoid(f"{usual} met Alice")
    assert stand_in("Alice", "GIVEN_NAME") == usual
