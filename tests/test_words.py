"""Words and graphemes are Unicode's, in every script, and found the same with and without the quick way."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebert import words as module
from edgebert.words import Words

PLAIN = "aZ09_ .,:;'\"\u2018\u2019\u201c\u201d\u2013\u2026@-/()\t\n\xa0\xab\xa1\xe9\xd8\u0160\u024f"


def split(text, borders):
    places = np.flatnonzero(borders).tolist()
    return [text[begin:end] for begin, end in itertools.pairwise(places)]


@pytest.mark.parametrize(
    "words",
    [
        ['"', "Bob", '"', " ", "said", ":", " ", "hello", "."],
        ["(", "Carol", ")", " ", "and", " ", "Dave", ",", " ", "ran", "!"],
        ["don't", " ", "can\u2019t", " ", "O'Brien's", " ", "l'\xe9t\xe9"],
        ["U.S", ".", " ", "1,000.5", "%", " ", "3", "-", "4", " ", "10", ":", "30"],
        ["bob.smith", "@", "example.co.uk"],
        ["http", ":", "/", "/", "a.b", "/", "c", "?", "d", "=", "1"],
        ["CamelCase", " ", "snake_case", " ", "x2", "-", "y"],
        ["\xab", "Caf\xe9", "\xbb", "\u201c", "na\xefve", "\u201d", "\u2026"],
        ["e\u0301te\u0301", ",", " ", "Zoe\u0308"],  # accents of their own
        ["東", "京", "タワー", "は", "高", "い", "。"],
        ["กำ", "ลั", "ง", " ", "Bob"],  # a vowel that is not a mark belongs to its letter
        ["한국어", " ", "\u1112\u1161\u11ab", "."],
        ["नमस्ते", " ", "दुनिया", "।"],
        ["مُحَمَّد", "،", " ", "ٱلله"],
        ["ខ្មែ", "រ"],  # a stacked letter
        ["👩\u200d👩\u200d👧", "👍🏽", "👎", "🇩🇪", "🇫🇷", "1️⃣"],
        ["Боб", ",", " ", "это"],
        [],
    ],
)
def test_words(words):
    text = "".join(words)
    assert split(text, Words(text).borders) == words


@pytest.mark.parametrize(
    ("text", "span", "apart"),
    [
        ("Alice/", (0, 6), "Alice"),
        ('("Bob', (0, 5), "Bob"),
        ("a  (Bob) , b", (1, 10), "Bob"),
        (" \tBob \n", (0, 7), "Bob"),
        (", Bob ,", (0, 7), "Bob"),
        ("a-b", (0, 3), "a-b"),
        ("(...)", (0, 5), "(...)"),
        ("x Bob", (2, 5), "Bob"),
    ],
)
def test_a_span_without_the_punctuation_at_its_ends(text, span, apart):
    start, end = Words(text).apart(*span)
    assert text[start:end] == apart
    assert span[0] <= start <= end <= span[1]


@pytest.mark.parametrize(
    "graphemes",
    [
        ["a", "e\u0301", "b"],
        ["👩\u200d👩\u200d👧", "🇩🇪", "🇫🇷", "👍🏽"],
        ["\u1112\u1161\u11ab", "한"],
        ["क्ष", "त्रि", "य"],
        ["ក្ក", "ក"],
        ["กำ", "ลั", "ง"],
        ["x\u0300\u0301\u0302"],
        ["a", "\xe9"],
    ],
)
def test_graphemes(graphemes):
    text = "".join(graphemes)
    assert split(text, Words(text).graphemes) == graphemes


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet=PLAIN, max_size=12))
def test_the_quick_way_finds_the_same_words(text):
    words = Words(text)
    assert words.plain
    space = np.array([True, *(character.isspace() for character in text), True])
    beside = space[:-1] | space[1:]  # how spaces fall into words is of no use to anyone
    assert (words.borders | beside).tolist() == (module._cuts(module._WORD, text) | beside).tolist()


def test_every_character_that_is_taken_for_plain_stands_for_itself():
    plain = [chr(i) for i in range(0x3000) if Words(chr(i)).plain]
    assert len(plain) > 500
    for character in plain:
        text = f"a{character}a"
        assert module._cuts(module._GRAPHEME, text).all(), hex(ord(character))
        if not character.isspace():
            assert Words(text).borders.tolist() == module._cuts(module._WORD, text).tolist(), hex(ord(character))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_no_word_ends_within_a_grapheme(text):
    words = Words(text)
    assert not (words.borders & ~words.graphemes).any()
    assert words.borders[0]
    assert words.borders[-1]
    for start in range(len(text)):
        begin, end = words.whole(start, start + 1)
        if begin < end:
            assert words.graphemes[begin]
            assert words.graphemes[end]
            assert begin <= start < end


@pytest.mark.parametrize(
    ("text", "unspaced"),
    [
        ("Bob 한국어 नमस्ते שלום Боб 12", ""),
        ("見a,2ที่é", "見ที่"),
        ("ひらがな カタカナ", "ひらがなカタカナ"),
        ("ລາວ မြန် ខ្មែ", "ລາວမြန်ខ្មែ"),
    ],
)
def test_scripts_without_spaces(text, unspaced):
    assert "".join(c for c, of_such in zip(text, Words(text).unspaced, strict=True) if of_such) == unspaced


@pytest.mark.parametrize(
    ("text", "at", "connects"),
    [
        *((f"a{sign}b", at, True) for sign in "=$^" for at in (1, 2)),  # signs of all kinds
        ("bob@a.b", 3, True),
        ("bob@a.b", 4, True),
        ("bob", 1, True),
        ("bob al", 3, False),
        ("bob al", 4, False),
        ("王明", 1, False),
        ("Bob王", 3, False),
        ("bob", 0, False),
        ("bob", 3, False),
        ("👍👎", 1, False),
    ],
)
def test_what_belongs_together_without_being_one_word(text, at, connects):
    assert Words(text).connects(at) is connects


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Alice/", "Alice"),
        ('("Bob', "Bob"),
        (" (Bob", "Bob"),
        ("«Zoë»,", "Zoë"),
        ("5%", "5%"),
        ("$5", "$5"),
        ("@bob", "@bob"),
        ("U.S.", "U.S"),
        ("...", "..."),
        ("東京,", "東京"),
    ],
)
def test_a_token_of_a_word_and_its_punctuation(text, left):
    start, end = Words(text).apart(0, len(text))
    assert text[start:end] == left


def test_whole_spans():
    text = " Zoe\u0308 \xa0x"
    assert Words(text).whole(0, 4) == (1, 5)
    assert Words(text).whole(4, 6) == (3, 5)  # the mark brings its letter
    assert Words("a  b").whole(1, 3) == (1, 1)
    assert Words("a  b").whole(0, 2) == (0, 1)
    assert Words("").whole(0, 0) == (0, 0)
