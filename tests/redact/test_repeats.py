"""What was found once is found wherever it stands again, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from edgebert.redact.repeats import Repeats


def again(word: str, label: str, *texts: str) -> list[str]:
    """Return what is found in the last of some texts when a word was found in one of them."""
    repeats = Repeats()
    for text in texts:
        repeats.read(text)
    repeats.add(word, label)
    return [texts[-1][start:end] for start, end, _ in repeats.find(texts[-1])]


@pytest.mark.parametrize(
    ("word", "label", "text", "expected"),
    [
        ("Johnson", "SURNAME", "JOHNSON's case is Johnson, johnson, Johnsons", ["Johnson"]),
        ("Johnson", "SURNAME", "JOHNSON's case: Johnson, Johnsons", ["JOHNSON", "Johnson"]),
        ("johnson", "SURNAME", "ask johnson or Johnson", ["johnson", "Johnson"]),
        ("\u738b\u82b3", "PER", "\u738b\u82b3 and \u738b\u82b3", ["\u738b\u82b3", "\u738b\u82b3"]),
        ("A\u738b", "PER", "A\u738b and A\u738b", []),
        ("Alice", "GIVEN_NAME", "Alice_Johnson.pdf by Alice\u2019s", ["Alice", "Alice"]),
        ("Alice Johnson", "PER", "Ms Johnson, Alice\nJohnson", ["Johnson", "Alice\nJohnson"]),
        ("van der Berg", "SURNAME", "van der Berg, Berg, van, der", ["van der Berg", "Berg"]),
        ("Smith-Jones", "SURNAME", "Smith-Jones, Jones", ["Smith-Jones", "Jones"]),
        ("Elm Street", "STREET_NAME", "Elm  Street, elm street, Elm, Street", ["Elm  Street"]),
        ("Li", "SURNAME", "Mr Li and Lily", ["Li"]),
        ("OR", "STATE", "this OR that", []),
        ("X", "SURNAME", "X marks it", []),
        ("AB1", "LICENCE", "AB1, ab1, AB 1", ["AB1"]),
        ("12", "BUILDING_NUMBER", "12 chairs", []),
        ("94105", "ZIP_CODE", "94105 is not 94105.20, 1,94105 or 941055", ["94105"]),
        ("4B", "SECONDARY_ADDRESS", "4B or 4b", []),
        ("X12B79", "PASSPORT", "X12B79, x12b79", ["X12B79"]),
        ("123 456", "BANK_ACCOUNT", "123456, 123-456, 9 123 456, 9123456", ["123456", "123-456", "123 456"]),
        ("José", "GIVEN_NAME", "JOSÉ, Jose", ["JOSÉ"]),
        ("Smith", "SURNAME", "\U0001f600Smith\U0001f600, \u2605Smith\ufe0f", ["Smith", "Smith"]),
        ("Zoe\u0308", "GIVEN_NAME", "Zoe\u0308 is no Zoe", ["Zoe\u0308"]),
        ("山田", "SURNAME", "我是山田太郎", ["山田"]),
        ("สมชาย", "GIVEN_NAME", "คุณสมชายมา", ["สมชาย"]),
        ("a.b@c.example", "EMAIL", "A.B@c.example, a b@c.example", ["A.B@c.example"]),
    ],
)
def test_what_is_found_again(word: str, label: str, text: str, expected: list[str]) -> None:
    assert again(word, label, text) == expected


def test_a_word_that_is_also_an_ordinary_one() -> None:
    assert again("Will", "GIVEN_NAME", "Will came. I saw Will.") == ["Will", "Will"]
    assert again("Will", "GIVEN_NAME", "it will rain", "Will it? He told Will.") == ["Will"]
    assert again("Rose", "SURNAME", "a rose\n- Rose, and Ann Rose") == ["Rose"]


def test_the_longest_comes_first() -> None:
    repeats = Repeats()
    for word in ("New", "New York", "York"):
        repeats.add(word, "CITY")
    assert [*repeats.find("New York, York")] == [(0, 8, "CITY"), (10, 14, "CITY")]


def test_a_common_first_word_costs_nothing() -> None:
    """Each word of a text asks about forms by their lengths, not about every form that begins so."""
    repeats = Repeats()
    lookups = 0

    class Counted(dict[Any, Any]):
        def get(self, *arguments: Any) -> Any:
            nonlocal lookups
            lookups += 1
            return super().get(*arguments)

        def values(self) -> Any:
            nonlocal lookups
            lookups += len(self)
            return super().values()

    for i in range(2000):
        repeats.add(f"Rue {spelled(i)}", "STREET_NAME")
        repeats.add(f"Rue {spelled(i)} Nord", "STREET_NAME")
    repeats._forms = Counted(repeats._forms)
    text = "Rue de " * 1000 + f"Rue {spelled(7)} Nord, Rue {spelled(1999)}"
    found = [text[start:end] for start, end, _ in repeats.find(text)]
    assert found == [f"Rue {spelled(7)} Nord", f"Rue {spelled(1999)}"]
    assert lookups < 3000


def spelled(number: int) -> str:
    return "X" + "".join(chr(97 + int(digit)) for digit in str(number))


def test_nothing_was_found() -> None:
    assert [*Repeats().find("Alice 123456")] == []
