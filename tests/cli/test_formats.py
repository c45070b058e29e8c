"""What is written can be read back by who reads such files; what a terminal shows stays on its line."""

from __future__ import annotations

import csv
import io
import json

import pytest

from edgebert.cli.classify import best_label
from edgebert.cli.formats import Layout, Row, layout_of
from edgebert.cli.terminal import Terminal, clip, clip_start, escape
from edgebert.coverage import Coverage

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
NO_LABEL = {"label": None, "score": None}
ANSWER = {"label": "A\tB", "score": 0.123456789012345}
ROWS = [
    *(Row(i, text, ANSWER, Coverage(i, 2 * i + 1, i % 2 == 0)) for i, text in enumerate(NASTY)),
    Row(len(NASTY), " ", NO_LABEL, Coverage(0, 0, False)),
]
BLANK = {"label": None, "score": None, "tokens": None, "windows": None, "truncated": False}


def layout(name: str, pairs: bool = False) -> Layout:
    return layout_of(best_label(("A", "BB"), pairs=pairs), name, Terminal())


def row(text: str, label: str, score: float) -> Row:
    return Row(1, text, {"label": label, "score": score}, Coverage(3, 1, False))


def test_tsv_is_three_columns_that_can_be_restored() -> None:
    text = "".join(map(layout("tsv").render, ROWS))
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
    text = layout("csv").header + "".join(map(layout("csv").render, ROWS))
    rows = list(csv.DictReader(io.StringIO(text.replace("\0", "N"), newline="")))  # NUL: from Python 3.11
    assert [row["text"] for row in rows] == [row.text.replace("\0", "N") for row in ROWS]
    assert {row["label"] for row in rows} == {"A\tB", ""}
    assert float(rows[0]["score"]) == ANSWER["score"]
    seen = [(row["tokens"], row["windows"], row["truncated"]) for row in rows]
    assert seen == [*((str(i), str(2 * i + 1), str(i % 2 == 0).lower()) for i in range(len(NASTY))), ("", "", "false")]
    assert text.startswith("text,label,score,tokens,windows,truncated\nplain,")


def test_jsonl_is_read_back() -> None:
    lines = "".join(map(layout("jsonl").render, ROWS)).removesuffix("\n").split("\n")
    expected = [{"text": row.text, **ANSWER, **row.coverage._asdict()} for row in ROWS if row.coverage.windows]
    assert [json.loads(line) for line in lines] == [*expected, {"text": " ", **BLANK}]
    assert "日本" in "".join(lines)


def test_two_texts_are_two_columns() -> None:
    pair = row("one\tother, text", "A", 0.5)
    assert layout("tsv", pairs=True).render(pair) == "A\t0.5000\tone\tother, text\n"
    assert layout("csv", pairs=True).header == "text,text_pair,label,score,tokens,windows,truncated\n"
    assert layout("csv", pairs=True).render(pair) == 'one,"other, text",A,0.5,3,1,false\n'
    told = json.loads(layout("jsonl", pairs=True).render(pair))
    assert (told["text"], told["text_pair"]) == ("one", "other, text")
    blank = layout("tsv", pairs=True).render(Row(1, "", NO_LABEL, Coverage(0, 0, False)))
    assert blank == "\t\t\t\n"


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


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("", 5, ""),
        ("abcde", 5, "abcde"),
        ("abcdef", 5, "…cdef"),
        ("日本語", 5, "…本語"),
        ("ab\x1bcd", 6, "…cd"),
        ("\nabc", 5, "\\nabc"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
        ("x" * 10**7, 3, "…xx"),
    ],
)
def test_clip_start(text: str, columns: int, shown: str) -> None:
    assert clip_start(text, columns) == shown


def test_clip_bounds_marks_that_take_no_column() -> None:
    for cut in (clip, clip_start):
        assert len(cut("a" + "\u0301" * 10_000, 10)) < 100
