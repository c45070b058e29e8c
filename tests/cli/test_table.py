"""Tables as people see them: nothing wider than the terminal, nothing in them that could drive it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgebert.cli.classify import best_label
from edgebert.cli.colours import colours_of
from edgebert.cli.formats import Layout, Row, RowFormat, layout_of
from edgebert.cli.table import bar
from edgebert.cli.terminal import Terminal, display_width
from edgebert.coverage import Coverage

ANSI = re.compile(r"\x1b\[[0-9;]*m")
NO_LABEL = {"label": None, "score": None}
TEXTS = [
    *(
        "plain",
        "tab\tand\\t",
        "line\nline\r\nline\r",
        "nul\0",
        "\u2028\u202e",
        "日本",
        " x ",
        "[red]x[/red]",
        ":smile:",
    ),
    *("word " * 50, "日本" * 50, "e\u0301" * 100, "\x1b[2J" * 30, "👩\u200d👩\u200d👧" * 30, "x" * 10**6),
]


def table(labels: tuple[str, ...], columns: int | None, colour: bool = False, pairs: bool = False) -> Layout:
    return layout_of(best_label(labels, pairs=pairs), "table", Terminal(columns, colour, True))


def row(text: str, label: str | None = "A", score: float | None = 0.5) -> Row:
    return Row(1, text, {"label": label, "score": score}, Coverage(3, 1, False))


@pytest.mark.parametrize("columns", [1, 20, 40, 80, 200])
@pytest.mark.parametrize("pairs", [False, True])
def test_a_table_stays_within_the_terminal(columns: int, pairs: bool) -> None:
    layout = table(("NEGATIVE", "日本"), columns, pairs=pairs)
    assert layout.header.startswith("label      score")
    for text in TEXTS:
        given = text.replace("\t", " ")
        lines = layout.render(row(f"{given}\t{given}" if pairs else text, "日本")).removesuffix("\n").split("\n")
        assert lines[0].startswith("日本      0.5000  ")
        assert len(lines) <= 3
        for line in lines:
            assert display_width(line) <= max(columns, 40 if pairs else 28)
            assert all(character.isprintable() or character == "\u200d" for character in line)


@pytest.mark.parametrize("columns", [80, 200])
def test_a_header_stands_over_its_columns(columns: int) -> None:
    layout = table(("NEGATIVE",), columns, pairs=True)
    names, rule = layout.header.splitlines()
    line = layout.render(row("one\ttwo", "NEGATIVE"))
    for name, value in [("label", "NEGATIVE"), ("text ", "one"), ("text_pair", "two")]:
        assert names.index(name) == line.index(value)
    assert names.index("score") + len("score") == line.index("0.5000") + len("0.5000")
    assert rule == "─" * columns


def test_a_long_text_is_folded_between_words_and_its_rest_is_an_ellipsis() -> None:
    """Of 60 columns the label, the score and its bar leave 35."""
    lines = table(("A",), 60).render(row("0123456789 " * 6)).splitlines()
    assert [line[25:] for line in lines] == ["0123456789 0123456789 0123456789"] * 2
    lines = table(("A",), 60).render(row("0123456789 " * 30)).splitlines()
    assert len(lines) == 3
    assert lines[-1].endswith(" 0123456789…")
    assert not any(line.endswith("…") for line in lines[:-1])


def test_lines_of_one_text_have_it_beside_them_once() -> None:
    form = RowFormat(
        records=lambda row: [{"label": name, "score": 0.5} for name in "ABCD"],
        document=lambda row: {},
        columns=("label", "score", "text"),
        sheet=(),
        labels=("A", "B", "C", "D"),
    )
    given = Row(1, "word " * 15, None, Coverage(1, 1, False))
    lines = layout_of(form, "table", Terminal(40)).render(given).splitlines()
    assert [line[:1] for line in lines] == ["A", "B", "C", "D"]
    assert " ".join(line[15:] for line in lines).split() == ["word"] * 15
    assert layout_of(form, "table", Terminal()).render(given._replace(text="word")).count("word") == 4


def test_a_file_has_neither_header_nor_bar_and_whole_texts() -> None:
    layout = table(("A", "BB"), None)
    assert layout.header == ""
    assert layout.render(row("x\t" * 500, "A", 1.0)) == "A   1.0000  " + "x\\t" * 500 + "\n"
    assert layout.render(row("  ", None, None)) == "\n"


@pytest.mark.parametrize("colour", [False, True])
def test_a_blank_line_is_one(colour: bool) -> None:
    assert ANSI.sub("", table(("A",), 80, colour).render(row("", None, None))) == "\n"


def test_colours_are_all_that_differs() -> None:
    plain, styled = (
        table(("A", "NEGATIVE"), 80, colour).render(row("[red]text", "NEGATIVE")) for colour in (False, True)
    )
    assert ANSI.sub("", styled) == plain
    assert "\x1b[1;31mNEGATIVE\x1b[0m" in styled
    assert "\x1b[31m████    \x1b[0m" in styled


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, ""), (1 / 64, "▏"), (0.5, "████"), (0.9098, "███████▎"), (1, "████████"), (7, "████████")]
)
def test_a_bar_is_as_long_as_its_share(share: float, drawn: str) -> None:
    assert bar(share) == drawn.ljust(8)
    assert bar(-share) == " " * 8


def test_no_bars_where_scores_are_no_shares_or_the_terminal_cannot_show_them() -> None:
    form = best_label(("A",), pairs=False)
    for other, terminal in [
        (form._replace(bars=False), Terminal(80, True, True)),
        (form, Terminal(80, True, False)),
        (form, Terminal(59, True, True)),
    ]:
        assert "█" not in layout_of(other, "table", terminal).render(row("x"))


@pytest.mark.parametrize(
    ("labels", "colours"),
    [
        (("NEGATIVE", "POSITIVE"), ("red", "green")),
        (("Very Negative", "neutral", "pos"), ("red", "yellow", "green")),
        (("1 star", "3 stars", "5 stars"), ("red", "yellow", "green")),
        (("NotNext", "IsNext"), ("red", "green")),
        (("not_toxic", "toxic"), ("green", "red")),
        (("contradiction", "neutral", "entailment"), ("red", "yellow", "green")),
        (("sport", "politics", "sport"), ("yellow", "cyan")),
        (("positive", "other", "good and bad"), ("green", "yellow", "cyan")),
        ((), ()),
    ],
)
def test_colours_say_what_labels_mean(labels: tuple[str, ...], colours: tuple[str, ...]) -> None:
    assert tuple(colours_of(labels).values()) == colours


def test_every_label_has_a_colour_however_many_there_are() -> None:
    assert len(set(colours_of(f"K{i}" for i in range(7)).values())) == 7
    assert all(colours_of(f"K{i}" for i in range(30)).values())


def test_pipes_never_wait_for_rich(classifier: Path) -> None:
    code = (
        "import sys; sys.argv = ['edgebert', *sys.argv[1:]]\n"
        "from edgebert.cli import cli\n"
        "try: cli(prog_name='edgebert')\n"
        "finally: print('rich' in sys.modules, file=sys.stderr)"
    )
    for arguments in (["classify", "--text", "日本"], ["classify", "--text", "x", "--format", "table"], ["info"]):
        arguments += [str(classifier)] if arguments == ["info"] else ["-m", str(classifier)]
        result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        assert result.stdout
        assert result.stderr.splitlines()[-1] == "False"
