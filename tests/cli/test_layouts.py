"""What is written can be read back by who reads such files; what a terminal shows stays on its line."""

from __future__ import annotations

import csv
import io
import json

import pytest

from edgebert.cli.layouts import LAYOUTS, Row, table
from edgebert.cli.terminal import clip, display_width, escape

NASTY = [
    "plain",
    "tab\tand\\t",
    "line\nline\r\nline\r",
    'quote " and , and ;',
    "nul\0",
    "\u2028\u202e",
    "return\rinside",
    "日本",
    " x ",
    "=1+1",
]
ROWS = [Row(text, "A\tB", 0.123456789012345, i % 2 == 0) for i, text in enumerate(NASTY)] + [
    Row(" ", None, None, False)
]


def test_tsv_is_three_columns_that_can_be_restored() -> None:
    text = "".join(map(LAYOUTS["tsv"].render, ROWS))
    fields = [line.split("\t") for line in text.removesuffix("\n").split("\n")]
    assert [len(line) for line in fields] == [3] * len(ROWS)
    assert "\r" not in text
    restored = [
        line[2].replace("\\\\", "\0\0").replace("\\t", "\t").replace("\\n", "\n").replace("\\r", "\r")
        for line in fields
    ]
    assert [line.replace("\0\0", "\\") for line in restored] == [row.text for row in ROWS]
    assert fields[0][:2] == ["A\\tB", "0.1235"]
    assert fields[-1] == ["", "", " "]


def test_csv_is_read_back() -> None:
    text = LAYOUTS["csv"].header + "".join(map(LAYOUTS["csv"].render, ROWS))
    rows = list(csv.DictReader(io.StringIO(text.replace("\0", "N"), newline="")))  # NUL: from Python 3.11
    assert [row["text"] for row in rows] == [row.text.replace("\0", "N") for row in ROWS]
    assert {row["label"] for row in rows} == {"A\tB", ""}
    assert float(rows[0]["score"]) == ROWS[0].score
    assert [row["truncated"] for row in rows] == [str(row.truncated).lower() for row in ROWS]
    assert text.startswith("text,label,score,truncated\nplain,")


def test_jsonl_is_read_back() -> None:
    lines = "".join(map(LAYOUTS["jsonl"].render, ROWS)).removesuffix("\n").split("\n")
    assert [json.loads(line) for line in lines] == [row._asdict() for row in ROWS]
    assert json.loads(lines[-1]) == {"text": " ", "label": None, "score": None, "truncated": False}
    assert "日本" in "".join(lines)


@pytest.mark.parametrize("columns", [1, 20, 40, 80, 200])
def test_table_stays_within_the_terminal(columns: int) -> None:
    layout = table(["NEGATIVE", "日本"], columns, colour=False)
    longer = [*NASTY, "word " * 50, "日本" * 50, "e\u0301" * 100, "\x1b[2J" * 30, "👩\u200d👩\u200d👧" * 30]
    for text in longer:
        line = layout.render(Row(text, "日本", 0.5, False))
        assert line.endswith("\n")
        assert display_width(line[:-1]) <= max(columns, 28)
        assert line.startswith("日本      0.5000  ")
        assert all(character.isprintable() or character == "\u200d" for character in line[:-1])


def test_table_without_a_terminal_keeps_texts_whole() -> None:
    layout = table(["A"], None, colour=False)
    assert layout.render(Row("x\t" * 500, "A", 1.0, False)) == "A  1.0000  " + "x\\t" * 500 + "\n"
    assert layout.render(Row("  ", None, None, False)) == "\n"


def test_table_colours_what_is_not_the_text() -> None:
    plain = table(["A", "BB"], 80, colour=False).render(Row("text", "A", 0.5, False))
    styled = table(["A", "BB"], 80, colour=True).render(Row("text", "A", 0.5, False))
    assert styled != plain
    for code in ("\x1b[1m", "\x1b[2m", "\x1b[0m"):
        assert code in styled
        styled = styled.replace(code, "")
    assert styled == plain


def test_escape() -> None:
    assert escape("a\x1b[31m\x9b\u202eb\u2066\t\n\r\x7f\0") == "a\\x1b[31m\\x9b\\u202eb\\u2066\\t\\n\\r\\x7f\\x00"
    unchanged = "plain, grüße, 日本, \u0645\u06cc\u200c\u062e, 👩\u200d👧, e\u0301"
    assert escape(unchanged) == unchanged


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("", 5, ""),
        ("abcde", 5, "abcde"),
        ("abcdef", 5, "abcd…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("ab\x1bcd", 6, "ab…"),
        ("abc\n", 5, "abc\\n"),
        ("e\u0301e\u0301", 2, "e\u0301e\u0301"),
        ("e\u0301e\u0301e", 2, "e\u0301…"),
        ("abc", 1, "…"),
        ("x" * 10**7, 3, "xx…"),
    ],
)
def test_clip(text: str, columns: int, shown: str) -> None:
    assert clip(text, columns) == shown


def test_clip_bounds_marks_that_take_no_column() -> None:
    assert len(clip("a" + "\u0301" * 10_000, 10)) < 100
