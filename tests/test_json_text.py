"""JSON of files that anyone may have written."""

import json

import pytest

from edgebert.json_text import MOST_LEVELS, parse_json


def nested(levels):
    return "[" * levels + "]" * levels


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, True, "naïve 漢字 😀 \\ud800"]}, [], "", 10**30, nested(3)])
@pytest.mark.parametrize("finite", [True, False])
def test_what_json_holds_comes_back(value, finite):
    assert parse_json(json.dumps(value), finite=finite) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode(), finite=finite) == value


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        (b"{\0}\0", "Expecting property name"),  # which json.loads takes for UTF-16
        (b"\x80", "invalid start byte"),
        ('"\\ud800"', "surrogates not allowed"),
        ('{"\\udfff": 1}', "surrogates not allowed"),
        (b'"\xed\xa0\x80"', "invalid continuation byte"),
        (nested(MOST_LEVELS + 1), "nested more than 100 deep"),
        (nested(100_000), "nested more than 100 deep"),
        ('{"a":' * 500 + "1" + "}" * 500, "nested more than 100 deep"),
    ],
)
def test_what_would_surprise_is_refused(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_json(text)


def test_nesting_up_to_the_limit_is_read():
    assert parse_json(nested(MOST_LEVELS)) is not None


@pytest.mark.parametrize("text", ["[NaN]", "Infinity", '{"a": -Infinity}', "1e999", "-1e999"])
def test_numbers_that_are_not_finite_can_be_refused(text):
    parse_json(text)
    with pytest.raises(ValueError, match="no finite number"):
        parse_json(text, finite=True)
