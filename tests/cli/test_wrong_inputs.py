"""What a new user gets wrong: each is told in one message, without a traceback, and nothing is written or changed."""

from __future__ import annotations

import functools
import io
import shlex
import zipfile
from pathlib import Path

import pytest

from edgebert.bundled import default_model
from edgebert.cli import model_option
from tests.cli.command import invoke
from tests.cli.fake_model import FakeModel, FakeTagger

TEXTS = [
    # Files that are not there, or hold no text.
    ("classify missing.txt", 1, ["missing.txt", "could not be read", "No such file"]),
    ("classify nothing", 1, ["nothing", "no file in this folder"]),
    ("classify folder --glob '*.md'", 1, ["folder", "*.md"]),
    ("classify empty.txt", 1, ["empty.txt", "no text in it", "expected one text a line"]),
    ("classify empty.csv", 1, ["empty.csv", "expected a header"]),
    ("classify latin1.txt", 1, ["latin1.txt: line 1", "not UTF-8", "0xe9", "--errors replace"]),
    ("classify utf16.txt", 1, ["utf16.txt", "looks like UTF-16", "convert it to UTF-8"]),
    ("classify report.pdf", 1, ["report.pdf is a PDF", "save its text as .txt"]),
    ("classify letter.docx", 1, ["letter.docx is a Word document", "save its text as .txt"]),
    ("classify sheet.xlsx", 1, ["sheet.xlsx is an Excel workbook", "as .csv"]),
    ("classify photo.png", 1, ["photo.png is an image"]),
    ("classify archive.zip", 1, ["archive.zip is a zip archive", "unpack it"]),
    ("classify nul.bin", 1, ["nul.bin is no text", "NUL"]),
    ("classify model.edgebert", 1, ["model.edgebert is a model", "-m"]),
    # Tables.
    ("classify table.csv", 1, ["table.csv", "id, title, comments", "--column"]),
    ("classify table.csv --column txet", 1, ["'txet'", "id, title, comments"]),
    ("classify table.csv --column id --column title", 2, ["--column", "2 times", "expected one"]),
    ("classify table.csv --split files", 2, ["--split"]),
    ("classify ragged.csv", 1, ["ragged.csv: line 3", "3 cells", "expected 2", "id, text"]),
    ("classify broken.jsonl", 1, ["broken.jsonl: line 2", "no JSON"]),
    ("classify array.json", 1, ["array.json is JSON", "JSON Lines", ".jsonl"]),
    ("classify nested.jsonl --column a.c", 1, ["nested.jsonl", "'a.c'"]),
    ("classify labelled.csv", 1, ["labelled.csv", "'label'", "--prefix"]),
    ("classify reviews.txt --column text", 2, ["--column", "plain text"]),
    ("classify reviews.txt --glob '*.txt'", 2, ["--glob", "folder"]),
    ("classify reviews.txt table.csv", 1, ["reviews.txt is plain text", "table.csv is csv", "--input"]),
    ("classify reviews.txt --text hello", 2, ["FILES or --text, not both"]),
    ("classify - -", 2, ["Standard input", "once"]),
    ("classify --pairs reviews.txt", 1, ["reviews.txt: line 1", "no tab", "two texts"]),
    # Where results go.
    ("classify reviews.txt -o reviews.txt", 1, ["reviews.txt is a file that the texts come from", "another"]),
    ("classify reviews.txt -o missing/out.csv", 1, ["missing/out.csv", "there is no folder", "make it"]),
    ("classify reviews.txt -o folder", 1, ["folder", "it is a folder", "expected the name of a file"]),
    ("classify reviews.txt -o out.doc", 2, ["out.doc", ".csv", ".jsonl", "--format"]),
    ("classify reviews.txt --format xml", 2, ["--format", "'xml'", "'csv'"]),
    ("embed reviews.txt -o out.txt", 2, ["out.txt", ".npy", ".jsonl"]),
    ("embed reviews.txt -o out.npy --pooling none", 2, ["OUT.jsonl"]),
    ("embed reviews.txt -o out.npy --dimensions 0", 2, ["--dimensions", "0"]),
    # Options.
    ("classify reviews.txt --top-k 0", 2, ["--top-k", "'0'", "'all'"]),
    ("classify reviews.txt --top-k many", 2, ["--top-k", "'many'", "'all'"]),
    ("classify reviews.txt --threads 0", 2, ["--threads", "x>=1"]),
    ("classify reviews.txt --threads two", 2, ["--threads", "'two'"]),
    ("classify reviews.txt --device gpu", 2, ["--device", "'gpu'", "'cuda'"]),
    ("classify reviews.txt --pool sum", 2, ["--pool", "'sum'", "'mean'"]),
    ("classify reviews.txt --stride -1", 2, ["--stride", "x>=0"]),
    ("classify reviews.txt --labels a,,b", 2, ["--labels", "'a,,b'", "empty"]),
    ("classify reviews.txt --labels a,b,a", 2, ["--labels", "'a'", "twice"]),
    ("classify reviews.txt --labels a,b --pairs", 2, ["--labels", "--pairs"]),
    ("classify reviews.txt --multi-label", 2, ["--multi-label", "--labels"]),
    ("classify reviews.txt --no-such-option", 2, ["--no-such-option"]),
    ("tag reviews.txt --strategy all", 2, ["--strategy", "'all'", "'first'"]),
    ("rank reviews.txt", 2, ["--query"]),
    ("redact reviews.txt --keep TOWN", 1, ["--keep", "'TOWN'", "expected some of PER, LOC, EMAIL"]),
    ("redact reviews.txt --only LOC --keep LOC", 1, ["--keep and --only leave no label"]),
    ("redact reviews.txt --key secret", 2, ["--key goes with --stand-ins"]),
    ("redact reviews.txt --threshold 2", 2, ["--threshold", "2"]),
    ("redact reviews.txt -o out.csv", 2, ["text or jsonl", "not as csv"]),
    ("redact reviews.txt -o reviews.txt", 1, ["reviews.txt is a file that the texts come from"]),
    ("redact reviews.txt --report found.txt", 2, ["found.txt", ".jsonl or .csv"]),
]
"""Asked of models that can do everything: the command, its exit code, the words that its message cannot do without."""

MODELS = [
    ("clasify reviews.txt", 2, ["clasify"]),
    ("classify reviews.txt -m missing.edgebert", 1, ["there is no file missing.edgebert", "edgebert convert"]),
    ("classify reviews.txt -m folder", 1, ["folder has no config.json", "model folder"]),
    ("classify reviews.txt -m reviews.txt", 1, ["reviews.txt is no .edgebert file"]),
    ("classify reviews.txt -m weights.safetensors", 1, ["weights.safetensors", "name the folder"]),
    ("classify reviews.txt -m model.onnx", 1, ["model.onnx", "ONNX", "expected an .edgebert file"]),
    ("classify reviews.txt -m cut.edgebert", 1, ["cut.edgebert is damaged", "1000 bytes", "copy the file anew"]),
    ("classify reviews.txt -m newer.edgebert", 1, ["newer.edgebert", "upgrade edgebert"]),
    ("classify reviews.txt -m ''", 2, ["-m is ''", "expected an .edgebert file"]),
    ("classify reviews.txt --max-memory lots", 1, ["'lots'", "200MB"]),
    ("fill-mask reviews.txt", 2, ["-m", "edgebert fill-mask -m google-bert/bert-base-uncased"]),
    ("next-sentence reviews.txt", 2, ["-m", "edgebert next-sentence -m google-bert/bert-base-uncased"]),
    ("score reviews.txt", 2, ["-m", "edgebert score -m google-bert/bert-base-uncased"]),
    ("answer reviews.txt", 2, ["--question"]),
    ("answer reviews.txt -q who", 2, ["-m", "edgebert answer -m distilbert/"]),
    ("convert folder out.edgebert", 1, ["folder has no config.json", "config.json, the tokenizer"]),
    ("convert folder out.bin", 1, ["out.bin", ".edgebert"]),
    ("convert folder", 2, ["OUTPUT.edgebert"]),
    ("info missing.edgebert", 1, ["missing.edgebert"]),
    ("info cut.edgebert", 1, ["cut.edgebert is damaged"]),
    ("evaluate missing.edgebert --against folder --texts reviews.txt", 1, ["missing.edgebert"]),
    ("export missing.edgebert -o out", 1, ["missing.edgebert"]),
    ("compile --target pentium -o out.so", 1, ["'pentium'", "raspberrypi4"]),
]
"""The same of edgebert's own models, and of what is no model."""


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, "x")
    return stream.getvalue()


@functools.cache
def files() -> dict[str, bytes]:
    """Return what a user may have."""
    model = default_model("classify").read_bytes()
    texts = {
        "reviews.txt": "good\nbad\n",
        "folder/note.txt": "good\n",
        "empty.txt": "",
        "empty.csv": "",
        "table.csv": "id,title,comments\n1,a,b\n",
        "ragged.csv": "id,text\n1,a\n2,b,c\n",
        "labelled.csv": "text,label\ngood,POSITIVE\n",
        "broken.jsonl": '{"text": "a"}\n{"text": \n',
        "array.json": '[{"text": "a"}]',
        "nested.jsonl": '{"a": {"b": "x"}}\n',
    }
    return {name: text.encode() for name, text in texts.items()} | {
        "latin1.txt": "café\n".encode("latin-1"),
        "utf16.txt": "café\n".encode("utf-16"),
        "report.pdf": b"%PDF-1.7\n%\xe2\xe3\n",
        "letter.docx": zipped("word/document.xml"),
        "sheet.xlsx": zipped("xl/workbook.xml"),
        "photo.png": b"\x89PNG\r\n\x1a\n\0\0\0\r",
        "archive.zip": zipped("a.txt"),
        "nul.bin": b"a\0b\n",
        "model.edgebert": model[:4000],
        "cut.edgebert": model[:1000],
        "newer.edgebert": model.replace(b'"format_version":"', b'"format_version":"9', 1),
        "model.onnx": b"\x08\x07onnx",
        "weights.safetensors": b"\x02\0\0\0\0\0\0\0{}",
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs."""
    for name in ("nothing", "folder"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(folder: Path, command: str, code: int, words: list[str]) -> None:
    """Run a command where the files are that it names; its message has these words, and the folder is as it was."""
    for name, data in files().items():
        if name in command or name.startswith("folder/"):
            (folder / name).write_bytes(data)
    before = contents(folder)
    result = invoke(*shlex.split(command))  # an exception that would show a traceback is raised
    told = " ".join(result.stderr.split())
    assert (result.exit_code, result.stdout) == (code, ""), told
    assert [word for word in words if word not in told] == [], told
    if code == 1:
        assert result.stderr.count("\n") == result.stderr.count("edgebert: error: ") == 1
    assert contents(folder) == before


def contents(folder: Path) -> dict[Path, bytes]:
    """Return what is in a folder; nothing half-written is left in it, either."""
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.mark.parametrize(("command", "code", "words"), TEXTS, ids=[command for command, *_ in TEXTS])
def test_texts_and_options(
    command: str, code: int, words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fakes = {"redact": FakeTagger}
    monkeypatch.setattr(model_option, "open_model", lambda task, name, **options: fakes.get(task, FakeModel)())
    check(folder, command, code, words)


@pytest.mark.parametrize(("command", "code", "words"), MODELS, ids=[command for command, *_ in MODELS])
def test_models(command: str, code: int, words: list[str], folder: Path) -> None:
    check(folder, command, code, words)


def test_there_are_many() -> None:
    assert len({command for command, *_ in (*TEXTS, *MODELS)}) >= 60
