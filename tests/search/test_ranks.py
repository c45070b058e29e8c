"""Ranks that are merged, and what a query's words become."""

from __future__ import annotations

import sqlite3

import pytest

from edgebert.search.ranks import expression, merged, plain


def test_merged_by_reciprocal_ranks():
    found = merged([[7, 8, 9], [9, 7]])
    assert list(found) == [7, 9, 8]
    assert found[7] == pytest.approx((61 / 61 + 61 / 62) / 2)
    assert found[9] == pytest.approx((61 / 63 + 61 / 61) / 2)
    assert found[8] == pytest.approx(61 / 62 / 2)
    assert merged([[3], [3]]) == {3: 1.0}
    assert list(merged([[1, 2], [2, 1]])) == [1, 2]
    assert merged([[], []]) == {}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("lost keys", '"lost" OR "keys"'),
        ("keys  keys\tKeys", '"keys" OR "Keys"'),
        ('say "no"', '"say" OR """no"""'),
        ("- * ( \u2026", ""),
        ("the keys", '"keys"'),
        ("The, the", '"The," OR "the"'),
        ("a\0b", '"a" OR "b"'),
    ],
)
def test_expression(query, expected):
    assert expression(query, {"the"}) == expected


def test_long_queries_are_bounded():
    assert expression(" ".join(f"w{i}" for i in range(5000)), ()).count(" OR ") == 63


HOSTILE = [
    '"',
    "*",
    "a*",
    "NEAR(a b)",
    "-a",
    "a AND",
    "NOT",
    "text:a",
    "{text}: a",
    "(a",
    "a^2",
    "a\0b",
    "\u00e9\u0301",
    '"" OR ""',
    "a" * 5000,
    "a " * 999,
]


@pytest.mark.parametrize("query", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_is_asked_sqlite_takes(query):
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5 (text)")
    connection.execute("INSERT INTO words VALUES ('a note')")
    asked = expression(query, ())
    if asked:
        connection.execute("SELECT rowid FROM words WHERE words MATCH ?", (asked,)).fetchall()
    connection.close()


@pytest.mark.parametrize(
    ("word", "expected"),
    [("Caf\u00e9!", "cafe"), ("\ud55c\uae00", "\ud55c\uae00"), ("don't", "don't"), ("(x)", "x"), ("--", "")],
)
def test_plain(word, expected):
    assert plain(word) == expected
