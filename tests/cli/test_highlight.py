"""Spans stand out where they are, and nothing else that a text holds changes the terminal."""

from __future__ import annotations

import re

import pytest

from edgebert.cli.highlight import Span, excerpt, highlight
from edgebert.cli.terminal import Terminal, display_width, escape
from edgebert.schemes import kinds_of

ANSI = re.compile(r"\x1b\[[0-9;]*m")
HOSTILE = "\x1b[31mAlice\x1b]0;x\x07 \u202eof 日本\n met\tBo"
COLOUR = {"PER": "\x1b[30;43m", "LOC": "\x1b[30;46m"}


def spans_of(text: str, **words: str) -> list[Span]:
    return [Span(text.index(word), text.index(word) + len(word), kind) for word, kind in words.items()]


def test_kinds_are_those_of_the_labels_once() -> None:
    assert kinds_of(("O", "B-PER", "I-PER", "B-LOC", "GIVEN_NAME", "B-x-y")) == ("PER", "LOC", "GIVEN_NAME", "x-y")
    assert kinds_of(("O", "PER_B", "PER_I", "E-MAIL")) == ("PER", "E-MAIL")


def test_brackets_without_colour() -> None:
    text = "My name is Alice."
    shown = highlight(text, [Span(11, 16, "GIVEN_NAME")], ["GIVEN_NAME"], Terminal())
    assert shown == "My name is [Alice](GIVEN_NAME).\n"


@pytest.mark.parametrize("kinds", [("PER", "LOC"), ("PER", "LOC", "ORG")])
def test_a_kind_has_its_colour(kinds: tuple[str, ...]) -> None:
    text = "Ada met Bo in Bonn"
    spans = [*spans_of(text, Ada="PER", Bonn="LOC"), Span(8, 10, "PER")]
    shown = highlight(text, spans, kinds, Terminal(80, True))
    assert shown == (
        f"{COLOUR['PER']}Ada\x1b[0m\x1b[2;33m PER\x1b[0m met {COLOUR['PER']}Bo\x1b[0m\x1b[2;33m PER\x1b[0m"
        f" in {COLOUR['LOC']}Bonn\x1b[0m\x1b[2;36m LOC\x1b[0m\n"
    )


@pytest.mark.parametrize("label", ["I-LOC", "B_LOC", "LOC-E", "LOC_S"])
def test_a_token_has_the_colour_of_its_kind(label: str) -> None:
    shown = highlight("Bonn", [Span(0, 4, label)], ("PER", "LOC"), Terminal(80, True))
    assert shown.startswith(f"{COLOUR['LOC']}Bonn\x1b[0m")
    assert f" {label}" in shown


def test_more_kinds_than_colours() -> None:
    kinds = [f"K{i}" for i in range(20)]
    for kind in [*kinds, "unknown"]:
        assert ANSI.sub("", highlight("x", [Span(0, 1, kind)], kinds, Terminal(80, True))) == f"x {kind}\n"


def test_offsets_are_those_of_the_text_not_of_what_is_shown() -> None:
    spans = spans_of(HOSTILE, Alice="PER", 日本="LOC", Bo="PER")
    shown = highlight(HOSTILE, spans, ("PER", "LOC"), Terminal())
    assert shown == "\\x1b[31m[Alice](PER)\\x1b]0;x\\x07 \\u202eof [日本](LOC)\\n met\\t[Bo](PER)\n"


def test_hostile_characters_in_a_span_and_in_its_kind() -> None:
    shown = highlight("a\x1b[2Jb", [Span(0, 6, "\x1b[0m")], (), Terminal(80, True))
    assert ANSI.sub("", shown) == "a\\x1b[2Jb \\x1b[0m\n"
    assert highlight("ab", [Span(0, 2, "\x1b")], (), Terminal()) == "[ab](\\x1b)\n"


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("columns", [1, 20, 33, 80])
def test_lines_are_wrapped_and_nothing_is_lost(columns: int, colour: bool) -> None:
    text = f"{HOSTILE} " + "some words and a " * 10 + "x" * 100 + "日" * 60 + " end  of it"
    spans = [*spans_of(text, Alice="PER", 日本="LOC", words="PER"), Span(len(text) - 3, len(text), "LOC")]
    shown = highlight(text, spans, ("PER", "LOC"), Terminal(columns, colour))
    lines = shown.removesuffix("\n").split("\n")
    assert len(lines) > 3
    plain = [ANSI.sub("", line) for line in lines]
    assert all(display_width(line) <= max(columns, 20) for line in plain)
    assert all(line.startswith("  ") for line in plain[1:])
    assert "\x1b" not in "".join(plain)
    once = ANSI.sub("", highlight(text, spans, ("PER", "LOC"), Terminal(10_000, colour)))
    assert re.sub(r"\s", "", "".join(plain)) == re.sub(r"\s", "", once)
    # No colour crosses the end of a line.
    for line in lines:
        assert line.count("\x1b[0m") == len(re.findall(r"(?:\x1b\[(?!0m)[0-9;]*m)+", line))


def test_words_stay_whole_where_they_fit() -> None:
    text = "0123456789 " * 6
    lines = highlight(text.strip(), [], (), Terminal(23, False)).splitlines()
    assert lines == ["0123456789 0123456789", "  0123456789 0123456789", "  0123456789 0123456789"]


@pytest.mark.parametrize(
    ("spans", "shown"),
    [
        ([], "abcdef\n"),
        ([Span(0, 6, "K")], "[abcdef](K)\n"),
        ([Span(3, 6, "K"), Span(0, 3, "L")], "[abc](L)[def](K)\n"),
        ([Span(0, 4, "K"), Span(2, 6, "L")], "[abcd](K)[ef](L)\n"),
        ([Span(0, 6, "K"), Span(2, 4, "L")], "[ab[cd](L)ef](K)\n"),
        ([Span(0, 2, "L"), Span(0, 6, "K"), Span(4, 6, "M")], "[[ab](L)cd[ef](M)](K)\n"),
        ([Span(1, 3, "K"), Span(1, 3, "L")], "a[[bc](L)](K)def\n"),
        ([Span(0, 4, "K"), Span(1, 3, "L"), Span(2, 6, "M")], "[a[bc](L)d](K)[ef](M)\n"),
        ([Span(2, 2, "K")], "abcdef\n"),
    ],
)
def test_spans_that_touch_or_overlap(spans: list[Span], shown: str) -> None:
    assert highlight("abcdef", spans, (), Terminal()) == shown


@pytest.mark.parametrize("columns", [1, 20, 40, 80, 300])
@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("where", [0, 30, 400, -5])
def test_an_excerpt_fills_the_line(columns: int, colour: bool, where: int) -> None:
    text = "some words\nbefore \x1b[2J " * 20 + "日本" * 5
    start = where % len(text)
    shown = excerpt(text, start, start + 5, Terminal(columns, colour), 8)
    plain = ANSI.sub("", shown)
    room = max(columns, 20) - 8
    assert display_width(plain) <= room
    assert "\x1b" not in plain
    assert "\n" not in plain
    if columns >= 80:
        span = escape(re.sub(r"\s", " ", text[start : start + 5]))
        assert (f"\x1b[30;43m{span}\x1b[0m" if colour else f"[{span}]") in shown
    if columns == 80:  # the text is longer than that
        assert display_width(plain) >= room - 8


def test_an_excerpt_without_a_terminal() -> None:
    text = "x" * 100 + "ANSWER" + "y" * 100
    assert excerpt(text, 100, 106, Terminal(), 8) == "…" + "x" * 39 + "[ANSWER]" + "y" * 39 + "…"
    assert excerpt("ANSWER" + "y" * 100, 0, 6, Terminal(), 8) == "[ANSWER]" + "y" * 79 + "…"
