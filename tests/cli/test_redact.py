"""``edgebert redact``: everything but personal data stays byte for byte, and a report says what was found."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgebert.cli import model_option
from tests.cli.command import invoke
from tests.cli.fake_model import FakeTagger

LAST = "edgebert: no tool finds everything: read the result before you pass it on\n"
LETTER = "\ufeff\r\n \r\nmy Aunt ,\r\n\tcall 415-555-0132\n\n\nBob\x85 saw her.\nthat Aunt ".encode()
REDACTED = "\ufeff\r\n \r\nmy [PER] ,\r\n\tcall [PHONE]\n\n\n[LOC]\x85 saw her.\nthat [PER] ".encode()


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> FakeTagger:
    fake = FakeTagger()
    asked: list[str | None] = []
    monkeypatch.setattr(model_option, "open_model", lambda task, name, **options: asked.append(task) or fake)
    return fake


def test_a_letter_stays_as_it_is_but_for_what_is_found(model: FakeTagger, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_bytes(LETTER)
    for split in ([], ["--split", "files"], ["--split", "paragraphs"], ["--split", "lines"]):
        result = invoke("redact", tmp_path / "letter.txt", *split, "-o", tmp_path / "out.md")
        assert (result.exit_code, result.stdout) == (0, "")
        assert (tmp_path / "out.md").read_bytes() == REDACTED, split
        assert result.stderr.endswith(LAST)
    assert model.options == {"strategy": "max", "threshold": 0.3, "stride": None}
    piped = invoke("redact", stdin=LETTER)
    assert piped.stdout_bytes == REDACTED
    assert "replaced 4 in 1 text: 2 PER, 1 PHONE, 1 LOC\nedgebert: found 3 by the model, 1 by rules" in piped.stderr


def test_given_texts_and_nothing_found(model: FakeTagger) -> None:
    result = invoke("redact", "--text", "my Aunt", "--text", "nothing")
    assert result.stdout == "my [PER]\nnothing\n"
    result = invoke("redact", "--text", "nothing", "--text", "")
    assert (result.stdout, result.stderr) == ("nothing\n\n", f"edgebert: nothing was found in 2 texts\n{LAST}")


def test_what_is_found_in_one_file_is_replaced_in_all(
    model: FakeTagger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    for name, text in [("a.txt", "the AUNT"), ("b.txt", "my Aunt"), ("c.txt", "x")]:
        (tmp_path / name).write_text(text)
    find = model.tag
    monkeypatch.setattr(
        model,
        "tag",
        lambda texts, *rest, **options: [
            found if text.startswith("my") else []
            for text, found in zip(texts, find(texts, *rest, **options), strict=True)
        ],
    )
    files = [tmp_path / name for name in ("a.txt", "b.txt", "c.txt")]
    result = invoke("redact", *files, "-o", tmp_path / "out", "--report", tmp_path / "report.jsonl")
    assert result.exit_code == 0, result.stderr
    assert [(tmp_path / "out" / file.name).read_text() for file in files] == ["the [PER]", "my [PER]", "x"]
    rows = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert [(row["file"], row["word"], row["source"]) for row in rows] == [
        (str(files[0]), "AUNT", "repeat"),
        (str(files[1]), "Aunt", "model"),
    ]
    assert invoke("redact", *files).stdout == "the [PER]my [PER]x"


def test_jsonl_of_plain_text(model: FakeTagger) -> None:
    result = invoke("redact", "--format", "jsonl", "--text", "my Aunt")
    entity = {"entity_group": "PER", "score": 0.98765432, "start": 3, "end": 8}
    assert json.loads(result.stdout) == {
        "text": "my [PER]",
        "entities": [{**entity, "source": "model", "replacement": "[PER]"}],
    }


@pytest.mark.parametrize("output", [["--format", "jsonl"], ["-o", "public.jsonl"]])
def test_nothing_but_the_report_has_what_was_found(
    output: list[str], model: FakeTagger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("Aunt and Bob at 203.0.113.7, Bob")
    result = invoke("redact", "in.txt", *output, "--report", "report.jsonl")
    told = result.stdout + result.stderr + (Path("public.jsonl").read_text() if "-o" in output else "")
    assert not any(word in told for word in ("Aunt", "Bob", "203"))
    row = json.loads(Path("public.jsonl").read_text() if "-o" in output else result.stdout)
    assert [row["text"][each["start"] : each["end"]] for each in row["entities"]] == [
        each["replacement"] for each in row["entities"]
    ]
    words = [json.loads(line)["word"] for line in Path("report.jsonl").read_text().splitlines()]
    assert words == ["Aunt", "Bob", "203.0.113.7", "Bob"]


def test_a_table_keeps_its_other_columns(model: FakeTagger, tmp_path: Path) -> None:
    table = 'id;text;name\r\n007;"my Aunt\nis, here";Bob\r\n008;;x\r\n'
    (tmp_path / "in.csv").write_bytes(table.encode())
    result = invoke("redact", tmp_path / "in.csv", "--report", tmp_path / "report.csv")
    rows = [*csv.reader(io.StringIO(result.stdout), delimiter=";")]
    assert rows == [["id", "text", "name"], ["007", "my [PER]\nis, here", "Bob"], ["008", "", "x"]]
    assert "edgebert: these columns are as they were: id, name\n" in result.stderr
    report = [*csv.DictReader(io.StringIO((tmp_path / "report.csv").read_text()))]
    assert report == [
        {
            "file": str(tmp_path / "in.csv"),
            "line": "2",
            "start": "3",
            "end": "7",
            "label": "PER",
            "score": "0.98765432",
            "source": "model",
            "word": "Aunt",
            "replacement": "[PER]",
        }
    ]
    assert invoke("redact", tmp_path / "in.csv", "-o", tmp_path / "out.jsonl").exit_code == 0
    first, second = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert first == {"id": "007", "text": "my [PER]\nis, here", "name": "Bob"}
    assert second == {"id": "008", "text": "", "name": "x"}


_WORDS = pa.dictionary(pa.int8(), pa.string())


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), _WORDS])
def test_parquet_keeps_what_is_not_replaced(kind: pa.DataType, model: FakeTagger, tmp_path: Path) -> None:
    texts = ["nothing", None, "my Aunt", ""] + ["no more"] * 600 + ["my Aunt"]
    field = pa.field("text", kind, metadata={"a": "b"})
    pq.write_table(pa.table([pa.array(texts, kind)], schema=pa.schema([field])), tmp_path / "in.parquet")
    result = invoke("redact", tmp_path / "in.parquet", "-o", tmp_path / "out.parquet")
    assert result.exit_code == 0, result.stderr
    after = pq.read_table(tmp_path / "out.parquet")
    assert after.column("text").to_pylist() == [text and text.replace("Aunt", "[PER]") for text in texts]
    field = field.with_type(pa.dictionary(pa.int32(), pa.string())) if kind == _WORDS else field
    assert after.schema.field("text").equals(field, check_metadata=False)
    assert (after.schema.field("text").metadata or {}).get(b"a") == b"b"


def test_parquet_numbers_become_text_in_all_rows(model: FakeTagger, tmp_path: Path) -> None:
    numbers = [1, None, *range(600), 4111111111111111]  # only the second chunk has a card number
    pq.write_table(pa.table({"n": numbers}), tmp_path / "in.parquet")
    result = invoke("redact", tmp_path / "in.parquet", "-o", tmp_path / "out.parquet")
    assert result.exit_code == 0, result.stderr
    found = pq.read_table(tmp_path / "out.parquet").column("n").to_pylist()
    assert found == [*(None if n is None else str(n) for n in numbers[:-1]), "[CREDIT_CARD]"]


def test_a_path_in_jsonl(model: FakeTagger, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": 1, "a": {"b": "my Aunt", "c": 2}}\n{"id": 2, "a": {"b": null}}\n')
    result = invoke("redact", tmp_path / "in.jsonl", "--column", "a.b")
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert told == [{"id": 1, "a": {"b": "my [PER]", "c": 2}}, {"id": 2, "a": {"b": None}}]
    assert "as they were: id, a.c\n" in result.stderr


def test_columns_of_all_rows_are_named(model: FakeTagger, tmp_path: Path) -> None:
    rows = [
        {"a": {"b": {"text": "my Aunt", "x": 1}, "y": 1}},
        {"a": "Bob\x1b", "late": 1},
        {"a.b.text": "x", "a": {"b": {"text": "Bob"}}},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = invoke("redact", tmp_path / "in.jsonl", "--column", "a.b.text")
    assert "as they were: a.b.x, a.y, a, late\n" in result.stderr
    (tmp_path / "in.csv").write_text(",".join(["text", *(f"c{i}\x1b" for i in range(20))]) + "\nx" + 20 * "," + "\n")
    result = invoke("redact", tmp_path / "in.csv")
    assert "as they were: c0\\x1b, c1\\x1b" in result.stderr
    assert "c11\\x1b and 8 more\n" in result.stderr


@pytest.mark.parametrize(
    ("inputs", "output", "report"),
    [
        (["in.csv"], "public.csv", "./public.csv"),
        (["in.csv"], "out/public.csv", "out/../out/public.csv"),
        (["in.csv"], "public.csv", "link.csv"),
        (["in.csv"], "link.csv", "public.csv"),
        (["in.txt", "a.csv"], "out/", "out/a.csv"),
        (["in.txt", "a.csv"], "out", "folder/a.csv"),
        (["in.csv"], "hard.csv", "other.csv"),
    ],
)
def test_a_report_takes_no_place_of_what_is_redacted(
    inputs: list[str], output: str, report: str, model: FakeTagger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("folder").symlink_to("out")
    Path("link.csv").symlink_to("public.csv")
    Path("hard.csv").write_text("x")
    Path("other.csv").hardlink_to("hard.csv")
    for name in ("in.csv", "in.txt", "a.csv"):
        Path(name).write_text("id,text\n1,my Aunt\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    read = ["--input", "lines"] if "in.txt" in inputs else []
    result = invoke("redact", *inputs, *read, "-o", output, "--report", report)
    assert result.exit_code == 2
    assert f"would both write {report}" in " ".join(result.stderr.split())
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert invoke("redact", *inputs, *read, "-o", output, "--report", "out/report.csv").exit_code == 0


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder; letters/ has files of one name in several folders."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "x/a.txt", "x/y/a.txt", "z/b.txt"):
        path = tmp_path / "letters" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"my Aunt in {name}\r\n", newline="")
    (tmp_path / "letters" / "z" / "empty.txt").touch()
    (tmp_path / "out").mkdir()
    return tmp_path


@pytest.mark.parametrize("split", ["files", "lines", "paragraphs"])
@pytest.mark.parametrize("named", ["letters", "letters/", "./letters/../letters"])
def test_a_folder_keeps_its_form(named: str, split: str, model: FakeTagger, letters: Path) -> None:
    expected = {name: data.replace(b"Aunt", b"[PER]") for name, data in tree(letters / "letters").items()}
    for _ in range(2):  # again, over what was written
        result = invoke("redact", named, "--split", split, "-o", "out/")
        assert result.exit_code == 0, result.stderr
        assert tree(letters / "out") == expected
    (letters / "one").mkdir()
    invoke("redact", named, "--glob", "x/*", "-o", letters / "one", "--report", "report.csv")
    assert tree(letters / "one").keys() == {"x/a.txt", "x/y/a.txt"}


def test_files_and_folders_together(model: FakeTagger, letters: Path) -> None:
    assert invoke("redact", "letters/x/y/a.txt", "letters/z", "-o", "out").exit_code == 0
    assert tree(letters / "out").keys() == {"a.txt", "b.txt", "empty.txt"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["letters", "letters/a.txt", "-o", "out"], "letters/a.txt and letters/a.txt have one name"),
        (["letters", "letters/x", "-o", "out"], "letters/a.txt and letters/x/a.txt have one name"),
        (["letters/x", "letters/z", "letters/x/y", "-o", "out"], "letters/x/a.txt and letters/x/y/a.txt have one name"),
        (["letters/z", "letters/z/b.txt/..", "-o", "out"], "could not be read"),
        (["letters", "letters/z", "-o", "out"], "letters/z/b.txt is there twice"),
        (["letters", "named/x", "-o", "out"], "out/x is to be a folder, for letters/x/a.txt, and is a file"),
        (["letters", "-o", "letters"], "letters/a.txt is in letters already, and would be redacted again"),
        (["letters", "-o", "letters/z"], "letters/z/b.txt is in letters/z already, and would be redacted again"),
        (["letters/a.txt", "letters/z", "-o", "letters"], "letters/a.txt is a file that the texts come from"),
        (["letters", "-o", "taken"], "taken/x is to be a folder, for letters/x/a.txt, and is a file"),
        (["letters", "-o", "out", "--report", "out/x/y/a.csv"], "there is no folder"),
        (["letters", "-o", "no"], "no is no folder, expected one for 5 files"),
    ],
)
def test_files_that_would_meet(arguments: list[str], complaint: str, model: FakeTagger, letters: Path) -> None:
    for folder in ("named", "taken"):
        (letters / folder).mkdir()
        (letters / folder / "x").write_text("my Aunt\n")
    before = tree(letters)
    result = invoke("redact", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert complaint in " ".join(result.stderr.split())
    assert tree(letters) == before


def test_names_that_are_not_utf8_stay(model: FakeTagger, letters: Path) -> None:
    try:
        (letters / "letters" / "z\udcff.txt").write_text("my Aunt\n")
    except OSError:
        pytest.skip("this file system has names in UTF-8 alone")
    assert invoke("redact", "letters", "-o", "out").exit_code == 0
    assert (letters / "out" / "z\udcff.txt").read_text() == "my [PER]\n"
    (letters / "letters" / "z\udcfe.txt").write_text("my Uncle\n")
    assert "z\ufffd.txt is there twice" in invoke("redact", "letters", "-o", "out").stderr


def test_lines_of_a_report_are_those_of_the_file(model: FakeTagger, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("\n\nmy Aunt\n\nx\ny Bob\n")
    for split in ("files", "paragraphs", "lines"):
        invoke(
            "redact", tmp_path / "in.txt", "--split", split, "--report", tmp_path / "out.jsonl", "-o", tmp_path / "o"
        )
        rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert [(row["line"], row["word"]) for row in rows] == [(3, "Aunt"), (6, "Bob")], split


def test_labels_thresholds_and_stand_ins(model: FakeTagger, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "my Aunt and Bob at 203.0.113.7"
    assert invoke("redact", "--keep", "LOC,IP_ADDRESS", "--text", text).stdout == "my [PER] and Bob at 203.0.113.7\n"
    assert invoke("redact", "--only", "LOC", "--text", text).stdout == "my Aunt and [LOC] at 203.0.113.7\n"
    assert invoke("redact", "--no-patterns", "--text", text).stdout == "my [PER] and [LOC] at 203.0.113.7\n"
    invoke("redact", "--threshold", "0.9", "--text", text)
    assert model.options["threshold"] == 0.9
    counted = invoke("redact", "--stand-ins", "--text", text).stdout
    assert "Aunt" not in counted
    assert "[" not in counted
    keyed = invoke("redact", "--stand-ins", "--key", "k", "--text", text).stdout
    assert keyed != counted
    monkeypatch.setenv("EDGEBERT_REDACT_KEY", "k")
    assert invoke("redact", "--stand-ins", "--text", text).stdout == keyed
    assert invoke("redact", "--text", "my Aunt").stdout == "my [PER]\n"  # the variable is for stand-ins


def test_a_terminal_is_not_driven(model: FakeTagger, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebert.cli.terminal import Terminal

    monkeypatch.setattr(Terminal, "at_stdout", staticmethod(lambda: Terminal(80, False)))
    assert invoke("redact", "--text", "my Aunt\tand\x1b[31m").stdout == "my [PER]\tand\\x1b[31m\n"
    monkeypatch.setattr(Terminal, "at_stdout", staticmethod(lambda: Terminal(80, True)))
    assert invoke("redact", "--text", "my Aunt").stdout == "my \x1b[30m\x1b[43m[PER]\x1b[0m\n"


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["in.txt", "--keep", "TOWN"], 1, "--keep has the label 'TOWN', expected some of PER, LOC, EMAIL, URL"),
        (["in.txt", "--only", "per"], 1, "--only has the label 'per', expected some of PER"),
        (["in.txt", "--only", "PER", "--keep", "PER"], 1, "--keep and --only leave no label to replace"),
        (["in.txt", "--keep", "EMAIL", "--no-patterns"], 1, "--keep has the label 'EMAIL', expected some of PER, LOC"),
        (["in.txt", "--keep", "PER,,LOC"], 2, "has an empty item"),
        (["in.txt", "--key", "k"], 2, "--key goes with --stand-ins"),
        (["in.txt", "--stand-ins", "--key", ""], 2, "--key is empty"),
        (["in.txt", "--threshold", "2"], 2, "2.0 is not in the range 0<=x<=1"),
        (["in.txt", "--report", "r.txt"], 2, "--report is r.txt, expected a name that ends in .jsonl or .csv"),
        (["in.csv", "--report", "r.csv", "-o", "r.csv"], 2, "expected two files"),
        (["in.txt", "--report", "no/r.csv"], 1, "there is no folder"),
        (["in.txt", "-o", "in.txt"], 1, "in.txt is a file that the texts come from"),
        (["in.csv", "--report", "in.csv"], 1, "in.csv is a file that the texts come from"),
        (["in.txt", "-o", "out.csv"], 2, "Plain text is written as text or jsonl, not as csv"),
        (["in.txt", "--format", "parquet"], 2, "Plain text is written as text or jsonl, not as parquet"),
        (["in.csv", "--prefix", "x_"], 2, "--prefix"),
        (["in.csv", "--format", "text"], 2, "--format text is for plain text"),
        (["in.csv", "--column", "no"], 1, "has no column 'no', its columns are id, text"),
        (["in.txt", "two.txt", "-o", "out.txt"], 1, "out.txt is no folder, expected one for 2 files"),
        (["in.txt", "sub/in.txt", "-o", "folder"], 1, "have one name, expected two in the folder"),
        (["in.txt", "two.txt", "-o", "."], 1, "in.txt is a file that the texts come from"),
        (["empty.txt"], 1, "no text in it"),
        (["none.txt"], 1, "none.txt"),
        (["in.txt", "--text", "x"], 2, "not both"),
        (["in.txt", "-m", " "], 2, "-m is ' '"),
    ],
)
def test_wrong_inputs(
    arguments: list[str],
    code: int,
    complaint: str,
    model: FakeTagger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("sub", "folder"):
        (tmp_path / folder).mkdir()
    for name in ("in.txt", "two.txt", "sub/in.txt"):
        (tmp_path / name).write_text("my Aunt\n")
    (tmp_path / "in.csv").write_text("id,text\n1,my Aunt\n")
    (tmp_path / "empty.txt").touch()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = invoke("redact", *arguments)
    told = " ".join(result.stderr.split())
    assert (result.exit_code, result.stdout) == (code, ""), told
    assert complaint in told
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
