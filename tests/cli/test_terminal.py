"""What a person sees at a terminal, and what only a person is shown."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgebert.cli.terminal import clip, clip_start, display_width, escape
from tests.cli.command import COMMAND, told_written

pytestmark = pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


END = b"\x04the process has ended\x04"


def _read_until_end(controller: int) -> bytes:
    shown = b""
    while not shown.endswith(END):
        shown += os.read(controller, 4096)
    return shown.removesuffix(END)


def at_terminal(
    *arguments: object,
    streams: tuple[str, ...] = ("stdin", "stdout", "stderr"),
    columns: int = 60,
    command: Sequence[str] = COMMAND,
    **environment: str,
) -> tuple[int, str]:
    """Run the command with some of its streams at a terminal; return its exit code and what that shows."""
    import pty

    controller, terminal = pty.openpty()
    clean = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "LINES")}
    others = {name: subprocess.DEVNULL for name in ("stdin", "stdout", "stderr") if name not in streams}
    process = subprocess.Popen(
        [*command, *map(str, arguments)],
        env={**clean, "TERM": "xterm", "COLUMNS": str(columns), **environment},
        **{**dict.fromkeys(streams, terminal), **others},  # type: ignore[call-overload]
    )
    with ThreadPoolExecutor(1) as reader:
        shown = reader.submit(_read_until_end, controller)
        code = process.wait()
        # Linux loses what was shown last at times, if nobody has the terminal open any more: so it stays open.
        os.write(terminal, END)
        text = shown.result()
    os.close(terminal)
    os.close(controller)
    return code, text.decode().replace("\r\n", "\n")


@pytest.fixture
def nasty(tmp_path: Path) -> Path:
    path = tmp_path / "nasty.txt"
    path.write_text("short\n\n" + "long " * 30 + "\n日本" + "語" * 60 + "\n\x1b[2J\x1b]0;owned\x07\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("a\u20dd", 1), ("\u200d", 0), ("\x1b", 4), ("", 0)]
)
def test_how_wide_a_text_is(text: str, columns: int) -> None:
    """Marks that stand above a letter or enclose it take no column."""
    assert display_width(escape(text)) == columns
    assert clip(text, max(columns, 1)) == clip_start(text, max(columns, 1)) == escape(text)


@pytest.mark.parametrize(
    ("text", "columns", "start", "end"),
    [
        ("abcdef", 4, "abc…", "…def"),
        ("abcdef", 1, "…", "…"),
        ("日本語", 4, "日…", "…語"),
        ("日本語", 5, "日本…", "…本語"),
        ("a\x1b[2J", 4, "a…", "…[2J"),
    ],
)
def test_a_text_that_is_too_long(text: str, columns: int, start: str, end: str) -> None:
    assert (clip(text, columns), clip_start(text, columns)) == (start, end)


def test_marks_without_number_are_cut_too() -> None:
    """They take no column; four characters for each column are enough."""
    for cut in (clip("e" + "\u0301" * 1000, 3), clip("e" + "\u0301" * 12, 3)):
        assert cut.startswith("e\u0301")
        assert cut.endswith("…")
        assert len(cut) <= 13
    assert clip("e" + "\u0301" * 11, 3) == "e" + "\u0301" * 11


@pytest.mark.parametrize("columns", [30, 60, 100])
def test_a_table_as_wide_as_the_terminal(columns: int, nasty: Path, classifier: Path) -> None:
    code, shown = at_terminal("classify", nasty, "-m", classifier, columns=columns)
    assert code == 0
    rows = ANSI.sub("", shown).split("\n")
    assert all(display_width(row) <= columns for row in rows)
    assert rows[0].split() == ["label", "score", "text"]
    assert set(rows[1]) == {"─"}
    assert rows[2].endswith("  short")
    assert rows[3] == ""
    told = "".join("".join(row[18 + 10 * (columns >= 60) :].split()) for row in rows[4:])
    assert told.startswith("long" * (6 if columns == 30 else 18))
    assert told.endswith("\\x1b[2J\\x1b]0;owned\\x07")
    assert "\x07" not in shown
    assert "\x1b[2J" not in shown
    assert "\x1b[1;" in shown


def test_a_dash_is_the_terminal_too(nasty: Path, classifier: Path) -> None:
    expected = at_terminal("classify", nasty, "-m", classifier)
    assert "\x1b[1m" in expected[1]
    assert at_terminal("classify", nasty, "-m", classifier, "-o", "-") == expected


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(environment: dict[str, str], nasty: Path, classifier: Path) -> None:
    code, shown = at_terminal("classify", nasty, "-m", classifier, **environment)
    assert code == 0
    assert "\x1b" not in shown


def test_characters_that_the_terminal_has_not(nasty: Path, classifier: Path) -> None:
    code, shown = at_terminal("classify", nasty, "-m", classifier, PYTHONIOENCODING="ascii")
    assert code == 0
    assert "???" in shown
    assert re.search(r"text\n-{60}\n", ANSI.sub("", shown))
    assert "0.5" in shown


@pytest.mark.parametrize("columns", [30, 60, 100])
def test_spans_in_colour_where_they_stand(
    columns: int, nasty: Path, family_file: Callable[[str], Path], tmp_path: Path
) -> None:
    path = family_file("bert-token")
    nasty.write_text(nasty.read_text(encoding="utf-8") + "Alice went to Berlin, and Bo to Rome. " * 3, "utf-8")
    code, shown = at_terminal("tag", nasty, "-m", path, "--strategy", "simple", columns=columns)
    assert code == 0
    rows = ANSI.sub("", shown).split("\n")
    assert all(display_width(row) <= columns for row in rows)
    assert "\x07" not in shown
    assert "\x1b[2J" not in shown
    assert re.search(r"\x1b\[30;4\dm[^\x1b]+\x1b\[0m\x1b\[2;3\dm (PER|LOC)", shown)
    code, plain = at_terminal("tag", nasty, "-m", path, "--strategy", "simple", columns=columns, NO_COLOR="1")
    assert "\x1b" not in plain
    assert re.search(r"\[[^]]+\]\((PER|LOC)\)", plain)


def test_an_answer_in_colour(nasty: Path, family_file: Callable[[str], Path]) -> None:
    code, shown = at_terminal("answer", nasty, "-q", "what\x1b[2J", "-m", family_file("bert-question"))
    assert code == 0
    question, found, _ = shown.split("\n")
    assert question == "\x1b[1mwhat\\x1b[2J\x1b[0m"
    assert re.search(r"\x1b\[30;43m[^\x1b]+\x1b\[0m", found)
    assert display_width(ANSI.sub("", found)) <= 60
    assert "\x07" not in shown


@pytest.mark.parametrize("command", [["classify"], ["embed"], ["tag"], ["answer", "-q", "x"]])
def test_nothing_to_read(command: list[str], classifier: Path) -> None:
    code, shown = at_terminal(*command, "-m", classifier, streams=("stdin", "stderr"))
    assert code == 2
    assert "Nothing to read: give FILES, --text, or pipe texts in" in shown


def test_vectors_are_not_shown(classifier: Path) -> None:
    code, shown = at_terminal("embed", "--text", "x", "-m", classifier)
    assert code == 2
    assert "-o OUT.npy" in shown


IMPATIENT = [*COMMAND[:2], "import edgebert.cli.progress as p; p.PATIENCE = p._PAUSE = 0; " + COMMAND[2]]


@pytest.fixture
def long(tmp_path: Path) -> Path:
    path = tmp_path / "long.txt"
    path.write_bytes(b"some words in a line\n" * 4000)
    return path


def test_a_progress_bar_for_long_work(long: Path, classifier: Path, tmp_path: Path) -> None:
    arguments = ("classify", long, "-m", classifier)
    code, shown = at_terminal(*arguments, "-o", tmp_path / "out", streams=("stderr",), columns=80, command=IMPATIENT)
    assert code == 0
    percents = [int(number) for number in re.findall(r"(\d+)%", shown)]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert len(percents) > 3
    assert re.search(r"━.* 100% 4,000 texts  [\d,]+ texts/s  0:00 left", ANSI.sub("", shown))
    # It is gone when the work is done.
    assert shown.split("\x1b[2K")[-1].split() == told_written(tmp_path / "out", 4000).split()  # folded
    # Rows on the same terminal show how far it is.
    code, shown = at_terminal(*arguments, command=IMPATIENT)
    assert code == 0
    assert "%" not in shown


@pytest.mark.parametrize(
    "command", ["classify", "embed --whole", "redact", "classify --labels film,food", "rank --query x"]
)
def test_a_bar_moves_within_one_long_text(command: str, tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(b"some words of a long book, " * 1000)
    options = ("-o", tmp_path / ("out.npy" if command.startswith("embed") else "out.txt"))
    code, shown = at_terminal(*command.split(), path, *options, streams=("stderr",), columns=80, command=IMPATIENT)
    assert code == 0
    percents = [int(number) for number in re.findall(r"(\d+)%", shown)]
    assert percents == sorted(percents)
    assert len(set(percents)) > 4
    # By how fast the computer is, a text takes seconds, or there are several a second.
    assert re.search(r"0\.[1-9] texts  [\d.]+ (s each|texts/s)  0:\d\d left", shown)


def test_a_progress_count_for_a_pipe(long: Path, classifier: Path, tmp_path: Path) -> None:
    code, shown = at_terminal(
        *("embed", "-m", classifier, "-o", tmp_path / "out.npy"),
        streams=("stderr",),
        command=["bash", "-c", 'cat "$0" | "$@"', str(long), *IMPATIENT],
    )
    assert code == 0
    counts = [int(number) for number in re.findall(r"(\d+) texts  \d+ texts/s", shown.replace(",", ""))]
    assert "left" not in shown
    assert counts == sorted(counts)
    assert counts[-1] == 4000


@pytest.mark.parametrize("piped", [True, False])
def test_no_bar_in_a_log(piped: bool, long: Path, classifier: Path, tmp_path: Path) -> None:
    arguments = [*IMPATIENT, "classify", "-" if piped else long, "-m", classifier, "-o", tmp_path / "out"]
    result = subprocess.run(arguments, input=long.read_bytes(), capture_output=True)
    assert (result.returncode, result.stdout) == (0, b"")
    assert result.stderr.decode() == told_written(tmp_path / "out", 4000)


def test_no_bar_for_short_work(classifier: Path, tmp_path: Path) -> None:
    code, shown = at_terminal("classify", "--text", "x", "-m", classifier, "-o", tmp_path / "o", streams=("stderr",))
    assert (code, shown.split()) == (0, told_written(tmp_path / "o", 1).split())


def test_how_similar_texts_are(classifier: Path) -> None:
    texts = [argument for text in ("one", "one", "two \x1b[2J" * 20) for argument in ("--text", text)]
    code, shown = at_terminal("embed", *texts, "-m", classifier)
    assert code == 0
    header, _, *rows = ANSI.sub("", shown).splitlines()
    assert header.split() == ["1", "2", "3", "text"]
    assert [row.split()[:3] for row in rows[:2]] == [["1", "1.00", "1.00"], ["2", "1.00", "1.00"]]
    assert rows[2].split()[1] == rows[0].split()[3]
    assert rows[2].endswith("…")
    assert all(display_width(row) <= 60 for row in rows)
    assert "\x1b[2J" not in shown


@pytest.mark.parametrize(("count", "told"), [(13, "2 to 12 texts"), (1, "Vectors are not for reading")])
def test_how_similar_others_are_is_not_shown(count: int, told: str, classifier: Path) -> None:
    code, shown = at_terminal("embed", *["--text", "x"] * count, "-m", classifier)
    assert code == 2
    assert told in shown
    assert "-o OUT.npy" in shown


@pytest.mark.parametrize("command", [["doctor"], ["info"], ["info", "--all"]])
def test_what_is_told_fits_the_terminal(command: list[str]) -> None:
    code, shown = at_terminal(*command, columns=56, streams=("stdout",))
    assert code == 0
    before_the_card = ANSI.sub("", shown.partition("\n# ")[0])
    assert 40 < max(map(display_width, before_the_card.splitlines())) <= 56


def test_an_error_is_folded_at_words_and_stands_below_no_header(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("title,review\na,b\n")
    status, told = at_terminal("classify", tmp_path / "in.csv", "--column", "stars", columns=40)
    lines = told.splitlines()
    assert (status, lines[0][:16]) == (1, "edgebert: error:")
    assert " ".join(told.split()).endswith("has no column 'stars', its columns are title, review")
    assert all(line.startswith("  ") and len(line) <= 40 for line in lines[1:] if str(tmp_path) not in line)
