"""How wide what is drawn for people may be: no wider than their terminal, nor than can be read with ease."""

from __future__ import annotations

import re

import pytest
from rich.text import Text

from edgebert.cli.drawing import drawn, paragraph
from edgebert.cli.terminal import Terminal

TEXT = "words of a text that is longer than any line " * 8


@pytest.mark.parametrize(
    ("columns", "taken", "widest"),
    [(60, 0, 60), (60, 8, 52), (100, 0, 100), (180, 0, 100), (180, 30, 70), (24, 10, 20)],
)
def test_a_text_is_folded_at_words(columns, taken, widest):
    lines = paragraph(TEXT, Terminal(columns), taken)
    assert " ".join(lines) == TEXT.strip()
    assert widest - 6 <= max(map(len, lines)) <= widest


def test_what_a_text_holds_is_no_markup():
    shown = Text.assemble("[red]a[/red] :smile: ", ("b 12", "bold"))
    assert drawn(shown, False) == "[red]a[/red] :smile: b 12"
    assert re.sub(r"\x1b\[[\d;]*m", "", drawn(shown, True)) == "[red]a[/red] :smile: b 12"


def test_nothing_is_left_free_unless_it_is_said():
    for columns in range(40, 60):
        assert paragraph(TEXT, Terminal(columns)) == paragraph(TEXT, Terminal(columns), 0)


def test_a_text_for_a_file_is_one_line():
    assert paragraph(TEXT, Terminal(None)) == paragraph(TEXT, None) == [TEXT]
