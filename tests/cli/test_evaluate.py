"""``edgebert evaluate`` and the receipt that ``convert`` prints."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner

from edgebert.cli import cli
from edgebert.errors import InputError
from edgebert.evaluate.compare import Comparison
from tests.golden import GOLDEN

TEXTS = ["a good film", "bad", "neither good nor bad, only long", "the end"]


@pytest.fixture
def run():
    """Return a function that runs the command in this process."""
    runner = CliRunner()
    return lambda *arguments: runner.invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n\n".join(TEXTS), encoding="utf-8")
    return path


def labelled(path, labels):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "text"])
        writer.writerows(zip(labels, TEXTS, strict=True))
    return path


def test_figures_for_people(run, golden_files, texts):
    result = run("evaluate", golden_files["classifier"], "--against", GOLDEN / "classifier", "--texts", texts)
    assert result.exit_code == 0, result.stderr
    assert "against fp32      on 4 texts" in result.stdout
    assert "cosine 0.99" in result.stdout
    assert "same label        100.00 %" in result.stdout


def test_labels_and_json(run, golden_files, tmp_path):
    model = golden_files["classifier"]
    info = json.loads(run("info", model, "--json").stdout)
    path = labelled(tmp_path / "t.csv", [info["labels"][0]] * 4)
    options = ["--against", GOLDEN / "classifier", "--texts", path, "--labels", "label", "--json"]
    facts = json.loads(run("evaluate", model, *options).stdout)
    assert facts["accuracy_int8"] == facts["accuracy_fp32"]
    assert 0 <= facts["f1_fp32"] <= 1
    assert facts["changed"] == []


def test_labels_of_every_kind_of_table(run, golden_files, tmp_path):
    model = golden_files["classifier"]
    label = json.loads(run("info", model, "--json").stdout)["labels"][0]
    (tmp_path / "t.csv").write_text(f'\ufefflabel;n;text\n{label};1;a, good film\n{label};2;"b\nad"\n')
    (tmp_path / "t.tsv").write_text(f"text\tlabel\na, good film\t{label}\nbad\t{label}\n")
    rows = [{"text": text, "label": label} for text in ("a, good film", "bad")]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("t.csv", "t.tsv", "t.jsonl"):
        options = ["--against", GOLDEN / "classifier", "--texts", tmp_path / name, "--labels", "label", "--json"]
        result = run("evaluate", model, *options)
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["texts"] == 2


@pytest.mark.parametrize(
    ("content", "option", "message"),
    [
        ("text,label\na,nonsense\n", "label", "'nonsense' is no label of the model, expected one of"),
        ("text,class\na,b\n", "label", "has no column 'label', its columns are text, class"),
        ("text,label\n", "label", "no text in it"),
        ("text,label\na, b,c\n", "label", "line 2 has 3 cells, expected 2"),
        ("text;label\na;nonsense\n", "label", "'nonsense' is no label of the model"),
    ],
)
def test_bad_tables(run, golden_files, tmp_path, content, option, message):
    path = tmp_path / "t.csv"
    path.write_text(content)
    result = run(
        "evaluate", golden_files["classifier"], "--against", GOLDEN / "classifier", "--texts", path, "--labels", option
    )
    assert result.exit_code == 1
    assert message in result.stderr


def test_labels_of_a_model_without_any(run, golden_files, tmp_path):
    path = labelled(tmp_path / "t.csv", "abcd")
    options = ["--against", GOLDEN / "encoder", "--texts", path, "--labels", "label"]
    result = run("evaluate", golden_files["encoder"], *options)
    assert result.exit_code == 1
    assert "has no classifier of texts" in result.stderr


@pytest.mark.parametrize(("count", "more"), [(0, 0), (3, 0), (10, 0), (11, 1), (14, 4)])
def test_texts_whose_label_changed_are_shown(run, texts, monkeypatch, count, more):
    """The first ten, and how many there are besides."""
    exact = np.tile(np.array([[3, 1, 2]], np.float32), (15, 1))
    found = exact.copy()
    found[1 : 1 + count] = 1, 2, 3
    comparison = Comparison(
        texts=tuple(f"text {i}" for i in range(15)),
        tokens=45,
        pooled_cosines=np.ones(15),
        token_cosines=np.ones(45),
        decisions={"sequence_classification": (found.argmax(axis=1), exact.argmax(axis=1))},
        largest_difference={"sequence_classification": 1.0},
        correlation={"sequence_classification": 0.5},
        logits=found,
        exact_logits=exact,
        labels=("bad", "so so", "good"),
    )
    monkeypatch.setattr("edgebert.evaluate.evaluate", lambda *_, **__: comparison)
    lines = run("evaluate", "m.edgebert", "--against", "m", "--texts", texts).stdout.splitlines()
    shown = [line for line in lines if line.startswith("changed")]
    assert shown == [f"changed           bad became good: text {i}" for i in range(1, 1 + min(count, 10))]
    told = [f"                  and {more} more (--json has all)"] if more else []
    assert [line for line in lines if " more (" in line] == told
    facts = json.loads(run("evaluate", "m.edgebert", "--against", "m", "--texts", texts, "--json").stdout)
    assert [each["index"] for each in facts["changed"]] == list(range(1, 1 + count))
    assert all((each["fp32"], each["int8"]) == ("bad", "good") for each in facts["changed"])


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("bert-token", ["same tag"]),
        ("bert-pretraining", ["same word", "same label"]),
        ("bert-question", ["same span"]),
    ],
)
def test_figures_of_every_head(run, family_file, texts, tmp_path, name, lines):
    options = ["--against", GOLDEN / "families" / name, "--texts", texts]
    result = run("evaluate", family_file(name), *options)
    assert result.exit_code == 0, result.stderr
    told = [line for line in result.stdout.splitlines() if line.startswith("same ")]
    assert [line[:18].rstrip() for line in told] == lines
    assert len(json.loads(run("evaluate", family_file(name), *options, "--json").stdout)["heads"]) == len(lines)


def test_labels_of_tokens_are_none_of_texts(run, family_file, tmp_path):
    path = labelled(tmp_path / "t.csv", ["B-PER"] * 4)
    options = ["--against", GOLDEN / "families" / "bert-token", "--texts", path, "--labels", "label"]
    result = run("evaluate", family_file("bert-token"), *options)
    assert result.exit_code == 1
    assert "has no classifier of texts: leave --labels out" in result.stderr


@pytest.mark.needs_packages
def test_plot(run, golden_files, texts, tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    for name in ("classifier", "encoder"):
        out = tmp_path / f"{name}.png"
        options = ["--against", GOLDEN / name, "--texts", texts, "--plot", out]
        assert run("evaluate", golden_files[name], *options).exit_code == 0
        assert out.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert not pyplot.get_fignums()
    result = run("evaluate", golden_files["encoder"], *options[:-1], tmp_path / "no" / "out.png")
    assert result.exit_code == 1
    assert "could not be written" in result.stderr


def test_convert_prints_its_receipt_and_info_keeps_it(run, tmp_path, texts):
    output = tmp_path / "m.edgebert"
    result = run("convert", GOLDEN / "classifier", output, "--evaluate", texts, "--all")
    assert result.exit_code == 0, result.stderr
    assert "against fp32      on 4 texts" in result.stdout
    assert "worst layers" in result.stdout
    assert "same label        100.00 %" in run("info", output, "--all").stdout


def test_convert_below_the_agreement(run, tmp_path):
    output = tmp_path / "m.edgebert"
    result = run("convert", GOLDEN / "encoder", output, "--min-agreement", "1")
    assert result.exit_code == 1
    assert "expected at least 1.0" in result.stderr
    assert not output.exists()
    result = run("convert", GOLDEN / "encoder", output, "--min-agreement", "1", "--force")
    assert result.exit_code == 0
    assert "forced            the agreement is below" in result.stdout


def test_threads_and_device_reach_the_comparison(run, golden_files, texts, monkeypatch):
    asked = {}

    def compare_files(*_, **options):
        asked.update(options)
        raise InputError("enough")

    monkeypatch.setattr("edgebert.evaluate.evaluate", compare_files)
    run(
        "evaluate",
        golden_files["classifier"],
        "--against",
        GOLDEN / "classifier",
        "--texts",
        texts,
        *("--threads", 3, "--device", "cpu"),
    )
    assert (asked["threads"], asked["device"]) == (3, "cpu")
