"""The README and the manual: every command and snippet runs as it is printed, and prints what is printed there."""

from __future__ import annotations

import ast
import doctest
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import edgebert
from edgebert.bundled import default_model
from tests.golden import GOLDEN

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "edgebert/MANUAL.md")

INSTEAD = {
    "pip install . && edgebert classify tests/data/reviews.txt": (
        "edgebert classify tests/data/reviews.txt",
        "it is installed",
    ),
    "pip install '.[cuda]'": ("", "it is downloaded"),
    "edgebert classify tests/data/reviews.txt --device cuda": ("", "it takes a GPU"),
    'edgebert.convert("path/to/all-MiniLM-L6-v2", "minilm.edgebert")': ("", "it is downloaded"),
    "edgebert compile --target raspberrypi5 -o pi5.so": ("", "it takes a compiler for Arm; tests/engine has it"),
}
"""Lines that are not run as they are: what is run instead, and why."""

FORMS = re.compile(r"\b(?:COMMAND|FOLDER|SOURCE|MODEL|FILE|NOTES|org/name)\b|M\.edgebert|^edgebert [\w-]+$")
"""Of what stands in a line of prose: the form of a command, or its name, rather than one."""

FILES = {
    "letter.txt": "My name is Alice Johnson, call me at 415-555-0132 or write to 742 Evergreen Terrace, Springfield, IL"
    " 62704.\n",
    "letters.txt": "Dear Ms Johnson,\n\ncall me at 415-555-0132.\n\nAlice\n",
    "tickets.txt": "I paid by card and was charged twice.\nThe parcel has not arrived.\n",
    "letters/first.txt": "Dear Ms Johnson,\n\ncall me at 415-555-0132.\n\nAlice\n",
    "reviews.csv": "title,text\nKettle,A lovely kettle.\nCup,It broke at once.\n",
    "reviews.txt": "A lovely kettle.\nIt broke at once.\n",
    "news.txt": "The match ended in a draw.\n",
    "pairs.tsv": "It rains.\tTake a coat.\n",
    "sentences.txt": "A man is eating.\nSomeone eats.\n",
    "notes/house.md": "The spare key lies under the third flowerpot.\n\nThe boiler is serviced in May.\n",
    "book.txt": "Mary Shelley wrote it in 1818.\n",
}
"""What a user of the README has."""

GOLDEN_OF = {
    "classify": "bert-classifier",
    **dict.fromkeys(("tag", "redact"), "bert-token"),
    **dict.fromkeys(("fill-mask", "score", "embed"), "bert-masked"),
    "answer": "bert-question",
    "next-sentence": "bert-pretraining",
    "embed --tokens": "../late_interaction/fixed",
    "tag --labels": "../gliner/span",
}
"""Command -> the small model that ``M`` stands for; for others it is the one that comes with edgebert."""

NAMES = {"texts": ["A text.", "Another."], "documents": ["a kettle", "a cup"], "book": "Mary Shelley wrote it."}
NAMES |= {"long_review": "word " * 1310}
"""What the snippets take for given."""


class Block(NamedTuple):
    """Lines between fences, and what they print: the block without a language behind them."""

    place: str
    language: str
    text: str
    printed: str | None


def blocks() -> Iterator[Block]:
    """Yield the blocks of all documents that have a language."""
    for document in DOCUMENTS:
        text = (ROOT / document).read_text(encoding="utf-8")
        pattern = re.compile(r"^```(\w+)\n(.*?)^```\n(?:\n^```\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield Block(f"{document}:{line}", match[1], match[2], match[3])


def rows() -> Iterator[tuple[str, str, list[str]]]:
    """Yield the place, the command and the calls of each row of a table that has a command."""
    for document in DOCUMENTS:
        for number, line in enumerate((ROOT / document).read_text(encoding="utf-8").splitlines(), start=1):
            commands = [each for each in re.findall(r"`(edgebert [^`]+)`", line) if not FORMS.search(each)]
            if line.startswith("|") and commands:
                calls = re.findall(r"`(model\.[^`]+)`", line)
                yield from ((f"{document}:{number}", command, calls) for command in commands)


SHELL = [block for block in blocks() if block.language == "sh"]
PYTHON = [block for block in blocks() if block.language == "python"]
ROWS = list(rows())


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function: a command -> the file of a small model for it."""
    folder = tmp_path_factory.mktemp("golden")

    def file(command: str) -> Path:
        if command not in GOLDEN_OF:
            return default_model(command)
        path = folder / f"{Path(GOLDEN_OF[command]).name}.edgebert"
        if not path.exists():
            edgebert.convert(GOLDEN / "families" / GOLDEN_OF[command], path, force=True)
        return path

    return file


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an index of notes, as a user of the manual has made it."""
    folder = tmp_path_factory.mktemp("index")
    write_files(folder)
    command = [sys.executable, "-m", "edgebert", "index", "notes", "-o", "notes.db"]
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
    return folder / "notes.db"


def write_files(folder: Path) -> None:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    parquet.write_table(pa.table({"title": ["Kettle"], "text": ["A lovely kettle."]}), folder / "reviews.parquet")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of the repository with a user's files and models in it, and the command ``edgebert``."""
    write_files(tmp_path)
    for name, model in (("minilm.edgebert", "embed"), ("names.edgebert", "tag")):
        (tmp_path / name).symlink_to(default_model(model))
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "edgebert"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m edgebert "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str) -> str:
    """Run a line in a shell; return what it prints."""
    result = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, encoding="utf-8", check=False)
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout


@pytest.mark.parametrize("block", SHELL, ids=[block.place for block in SHELL])
def test_commands(block: Block, home: Path) -> None:
    lines = [INSTEAD.get(line, (line,))[0] for line in block.text.replace("\\\n", " ").splitlines()]
    told = [run(line) for line in lines if line and not line.startswith("#")]
    if block.printed is not None:
        assert told, "what is printed belongs to a command that is run"
        # There may be more; what is printed in the README is the beginning.
        printed = block.printed.splitlines()
        assert told[-1].splitlines()[: len(printed)] == printed


@pytest.mark.parametrize("block", PYTHON, ids=[block.place for block in PYTHON])
def test_snippets(block: Block, home: Path, index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "notes.db").write_bytes(index.read_bytes())
    names: dict[str, Any] = {**NAMES, "minilm": edgebert.load("minilm")}
    lines = block.text.splitlines()
    for statement in ast.parse(block.text).body:
        source = "\n".join(lines[statement.lineno - 1 : statement.end_lineno])
        code, _, comment = source.partition("  # ")
        code = INSTEAD.get(code, (code,))[0]
        capsys.readouterr()
        if isinstance(statement, ast.Expr) and code:
            value = eval(code, names)
        else:
            exec(code, names)
            targets = statement.targets if isinstance(statement, ast.Assign) and code else [None]
            value = names[targets[0].id] if isinstance(targets[0], ast.Name) else None
        check_comment(value, capsys.readouterr().out, comment)


def check_comment(value: Any, printed: str, comment: str) -> None:
    """Compare a value with what a comment says of it: the value (... is anything), what it prints, or its shape."""
    shape = re.search(r"(\[?)float32 \((\d+), (\d+)\)", comment)
    if shape:
        array = value[0] if shape[1] else value
        assert (array.dtype, array.shape) == (np.dtype("float32"), (int(shape[2]), int(shape[3])))
    elif comment[:1] in ("[", "{"):
        assert doctest.OutputChecker().check_output(comment + "\n", repr(value) + "\n", doctest.ELLIPSIS), value
    elif re.match(r"\d", comment):
        assert printed == comment + "\n"


@pytest.mark.parametrize(("place", "command", "calls"), ROWS, ids=[f"{place} {command}" for place, command, _ in ROWS])
def test_rows_of_tables(place: str, command: str, calls: list[str], home: Path, golden: Callable[[str], Path]) -> None:
    kinds = [
        kind for kind in GOLDEN_OF if kind.startswith(command.split()[1]) and set(kind.split()) <= set(command.split())
    ]
    task = max(kinds, key=len, default=command.split()[1])
    if "-m M" in command:
        (home / "M").symlink_to(golden(task))
    run(command)
    for call in calls:
        assert eval(call, {**NAMES, "model": edgebert.load(golden(task))}) is not None


def test_what_is_not_run_is_still_there() -> None:
    lines = {line.partition("  # ")[0] for block in blocks() for line in block.text.splitlines()}
    assert {*INSTEAD} - lines == set()


def test_there_is_something_to_run() -> None:
    assert len(SHELL) >= 5
    assert len(PYTHON) >= 2
    assert len(ROWS) >= 9
