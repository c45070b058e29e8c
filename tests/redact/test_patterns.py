"""Rules find what has a form and passes its check, and nothing that only looks so."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebert.redact.patterns import PATTERN_LABELS, find_patterns, iban_remainder, luhn_digit

FOUND = [
    ("write to o'neil@post.example, please", [("EMAIL", "o'neil@post.example")]),
    ("'bob.b+shop@mail.co.example'.", [("EMAIL", "bob.b+shop@mail.co.example")]),
    ("jürgen@straße.example", [("EMAIL", "jürgen@straße.example")]),
    ("ju\u0308rgen@mu\u0308ller.example", [("EMAIL", "ju\u0308rgen@mu\u0308ller.example")]),
    ("https://www.linkedin.com/in/jo-doe,", [("URL", "https://www.linkedin.com/in/jo-doe")]),
    ("(www.github.com/jodoe)", [("URL", "www.github.com/jodoe")]),
    ("http://home.example/~jo!", [("URL", "http://home.example/~jo")]),
    ("+44 20 7946 0958.", [("PHONE", "+44 20 7946 0958")]),
    ("+442079460958", [("PHONE", "+442079460958")]),
    ("0049 30 123456", [("PHONE", "0049 30 123456")]),
    ("(415) 555-0132 x12", [("PHONE", "(415) 555-0132 x12")]),
    ("1-415-555-0132, 415.555.0132", [("PHONE", "1-415-555-0132"), ("PHONE", "415.555.0132")]),
    ("pay DE89 3704 0044 0532 0130 00 NOW", [("IBAN", "DE89 3704 0044 0532 0130 00")]),
    ("gb29nwbk60161331926819", [("IBAN", "gb29nwbk60161331926819")]),
    ("2 4111 1111 1111 1111 3", [("CREDIT_CARD", "4111 1111 1111 1111")]),
    ("5500-0000-0000-0004", [("CREDIT_CARD", "5500-0000-0000-0004")]),
    ("378282246310005", [("CREDIT_CARD", "378282246310005")]),
    ("219-09-9999", [("TAX_ID", "219-09-9999")]),
    ("219-09-9999SMITH, ID219-09-9999", [("TAX_ID", "219-09-9999")]),
    ("219-09-9999_x", [("TAX_ID", "219-09-9999")]),
    ("no4111 1111 1111 1111Smith", [("CREDIT_CARD", "4111 1111 1111 1111")]),
    ("415-555-0132Smith, tel415-555-0133", [("PHONE", "415-555-0132"), ("PHONE", "415-555-0133")]),
    ("+442079460958\u00e9t\u00e9", [("PHONE", "+442079460958")]),
    ("DE89370400440532013000Schmidt", [("IBAN", "DE89370400440532013000")]),
    ("gb29nwbk60161331926819Featherstonehaughs", [("IBAN", "gb29nwbk60161331926819")]),
    ("DE89 3704 0044 0532 0130 00Jo", [("IBAN", "DE89 3704 0044 0532 0130 00")]),
    ("203.0.113.7alice", [("IP_ADDRESS", "203.0.113.7")]),
    ("from 203.0.113.7.", [("IP_ADDRESS", "203.0.113.7")]),
    ("[2001:db8::1]", [("IP_ADDRESS", "2001:db8::1")]),
    ("::ffff:203.0.113.7", [("IP_ADDRESS", "::ffff:203.0.113.7")]),
]


@pytest.mark.parametrize(("text", "expected"), FOUND, ids=[text for text, _ in FOUND])
def test_found(text: str, expected: list[tuple[str, str]]) -> None:
    found = {(label, text[start:end]) for start, end, label in find_patterns(text)}
    # What stands within something longer is joined with it later.
    assert {each for each in found if not any(each[1] in other[1] and each != other for other in found)} == {*expected}


@pytest.mark.parametrize(
    "text",
    [
        "at 12:30:45 on 20-12-2024, 3.4.5 and 1.234.567,89",
        "a@b, @home, alice @ work.example",
        "https://shop.example/kettles?id=7 and www.shop.example",
        "DE88 3704 0044 0532 0130 00",  # a check digit is wrong
        "4111 1111 1111 1112",
        "978-3-16-148410-0 and 9783161484100",
        "000-12-3456, 666-12-3456, 912-12-3456, 219-00-9999, 219-09-0000, 12-219-09-9999",
        "127.0.0.1, ::1, 0.0.0.0, 1.2.3.4.5, 999.1.1.1, std::vector, dead::beef",
        "115-555-0132, 415-055-0132, 415-555-01321",
        "219-09-99990x, 1219-09-9999x, x-219-09-9999, v1.2.3.4, x+1234567",
        "",
    ],
)
def test_not_found(text: str) -> None:
    assert find_patterns(text) == []


@given(st.text("aA1 @.:-+()/'kK\u017f\u212a\u0661\u00e9DE89gb29\n", max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_can_be_looked_at(text: str) -> None:
    for start, end, label in find_patterns(text):
        assert 0 <= start < end <= len(text)
        assert label in PATTERN_LABELS


def test_a_card_begins_as_cards_do() -> None:
    assert [match.label for match in find_patterns(f"4{'0' * 14}{luhn_digit('4' + '0' * 14)}")] == ["CREDIT_CARD"]
    assert find_patterns(f"9{'0' * 14}{luhn_digit('9' + '0' * 14)}") == []


def test_check_digits() -> None:
    assert luhn_digit("411111111111111") == "1"
    assert luhn_digit("") == "0"
    assert iban_remainder("GB29NWBK60161331926819") == 1


def test_all_labels_are_found_somewhere() -> None:
    assert {label for _, expected in FOUND for label, _ in expected} == {*PATTERN_LABELS}


PIECES = (
    "a",
    "1",
    "a.",
    "a'",
    "1 ",
    "1-",
    "ab12",
    "AB12 ",
    "a:",
    "www.",
    "+1",
    "@",
    "x@y.",
    "//",
    "DE89a",
    "219-09-9999A",
    "4111a",
)


@pytest.mark.parametrize("piece", PIECES)
def test_time_grows_with_the_text_and_no_faster(piece: str) -> None:
    """Of 50,000 characters that almost match everywhere; where time grew by the square, it would be minutes."""
    started = time.perf_counter()
    find_patterns(piece * (50_000 // len(piece)))
    assert time.perf_counter() - started < 5
