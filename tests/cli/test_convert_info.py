"""``edgebert convert`` and ``edgebert info``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import edgebert
import edgebert.loading  # before a test replaces what it imports
from tests.cli.command import invoke, run
from tests.cli.fake_model import FakeModel
from tests.golden import GOLDEN


def test_convert_tells_sizes_and_time(tmp_path: Path, classifier: Path) -> None:  # whose kernels are compiled
    out = tmp_path / "m.edgebert"
    result = run("convert", GOLDEN / "classifier", out)
    assert (result.returncode, result.stderr) == (0, b"")
    before = (GOLDEN / "classifier" / "model.safetensors").stat().st_size
    sizes = rf"{out.stat().st_size / 1e3:.1f} kB, from {before / 1e3:.1f} kB in {GOLDEN}/classifier"
    first, *receipt = result.stdout.decode().splitlines()
    assert re.fullmatch(rf"{out}: {sizes}, in \d+\.\d s", first)
    assert receipt[0].startswith("against fp32      on 46 texts of ")
    assert re.fullmatch(r"the same          label in \d+\.\d\d % of 46", receipt[1])
    assert len(receipt) == 3
    assert edgebert.load(out).labels == ("negative", "neutral", "positive")


def test_convert_with_embeddings_in_four_bits(tmp_path: Path) -> None:
    out = tmp_path / "m.edgebert"
    result = invoke("convert", GOLDEN / "encoder", out, "--embeddings", "int4", "--force", "--all")
    assert result.exit_code == 0, result.stderr
    assert "\nword embeddings   int4, " in result.stdout
    assert edgebert.load(out).info["embeddings"] == "int4"
    assert invoke("convert", GOLDEN / "encoder", out, "--embeddings", "int2").exit_code == 2


def test_convert_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source, output, fault in [
        (tmp_path / "empty", tmp_path / "m.edgebert", "config.json"),
        (tmp_path / "none" / "none" / "none", tmp_path / "m.edgebert", "no such folder"),
        (GOLDEN / "encoder", tmp_path / "none" / "m.edgebert", "there is no folder"),
        (GOLDEN / "encoder", tmp_path, "it is a folder"),
    ]:
        result = invoke("convert", source, output)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("edgebert: error: ")
        assert fault in result.stderr
        assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "empty"]


def test_convert_checks_the_output_before_it_downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        sys.modules[edgebert.convert.__module__], "open_checkpoint", lambda source: pytest.fail("it began")
    )
    assert invoke("convert", "org/name", tmp_path / "none" / "m.edgebert").exit_code == 1


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """Make every file that `info` opens one of a fake model."""
    fake = FakeModel()
    monkeypatch.setattr("edgebert.model_file.ModelFile", lambda path: fake)
    return fake


def test_info_says_first_what_a_model_is_for(described: FakeModel) -> None:
    assert invoke("info", "my.edgebert").stdout == (
        "Fills in masked words, and tells how natural a text is. Tells whether one text follows another."
        " In int8 it decides as in fp32 in 50.0 % of 2 cases, which is less than was asked for: it was written by"
        " --force.\n"
        "\n"
        'try               edgebert fill-mask --text "Paris is the [MASK] of France." -m my.edgebert\n'
        "length            5 tokens at once, some 0 English words; longer ones are read in windows\n"
        "size              1.2 MB, 3.0 million parameters\n"
        "made from         fake\\x1b\n"
        "prompts           query, passage\n"
        "\n"
        "against fp32      on 2 texts of 9 tokens\n"
        "the same          word in 50.00 % of 2; label in 50.00 % of 3; label in 50.00 % of 4; tag in 50.00 % of 5;"
        " span in 50.00 % of 6\n"
        "text vectors      cosine 0.99900 on the average, 0.99800 at worst\n"
        "forced            the agreement is below the 0.99 that was asked for\n"
        "\n"
        "Beware \\x1b[31mof red.\n"
        "\n"
        "--all tells everything, with the whole model card.\n"
    )


def test_info_says_whose_and_for_which_languages_it_is(described: FakeModel) -> None:
    described.facts |= {"license": "cc-by-nc-4.0", "language": ["en", "de", "x\x1b"]}
    told = invoke("info", "my.edgebert").stdout
    assert "languages         English, German and x\\x1b\n" in told
    assert "licence           CC BY-NC-4.0, not for commercial use\n" in told
    told = invoke("info", "my.edgebert", "--all").stdout
    assert "license           cc-by-nc-4.0\nlanguage          en, de, x\\x1b\n" in told


def test_info_tells_all(described: FakeModel) -> None:
    result = invoke("info", "--all")
    assert result.stdout == (
        "source            fake\\x1b\n"
        "size_bytes        1234567\n"
        "heads             masked_lm, next_sentence\n"
        "serves            fill_mask() and score(); next_sentence()\n"
        "labels            NEGATIVE, POSITIVE\n"
        "normalize         no\n"
        "prompts           query, passage\n"
        "parameters        3000000\n"
        "max_length        5\n"
        "dimensions        3\n"
        "\nagainst fp32      on 2 texts of 9 tokens\n"
        "text vectors      cosine 0.99900 on the average, 0.99800 at worst\n"
        "token vectors     cosine 0.99800 on the average, 0.99700 at worst\n"
        "same word         50.00 % of 2, logits at most 0.250 apart\n"
        "same label        50.00 % of 3, logits at most 0.250 apart\n"
        "same label        50.00 % of 4, logits at most 0.250 apart\n"
        "same tag          50.00 % of 5, logits at most 0.250 apart\n"
        "same span         50.00 % of 6, logits at most 0.250 apart\n"
        "word embeddings   int4, 2.3 MB, cosine 0.99000 on the average, 0.98000 at worst\n"
        "worst layers      a\\x1b 1.0e-02\n"
        "depth 2           1 of 2 linear layers\n"
        "finer groups      a 64\n"
        "forced            the agreement is below the 0.99 that was asked for\n"
        "\n# A card\n\nBeware \\x1b[31mof red.\n"
    )


def test_info_as_json(described: FakeModel) -> None:
    facts = json.loads(invoke("info", "--json", "any.edgebert").stdout)
    assert facts == {**described.facts, "model_card": described.info.card}


def test_info_of_a_real_model(classifier: Path) -> None:
    result = run("info", "--all", classifier)
    assert result.returncode == 0
    told = dict(re.split(r"  +", line, maxsplit=1) for line in result.stdout.decode().splitlines() if line)
    assert told["architecture"] == "BertForSequenceClassification"
    assert told["labels"] == "negative, neutral, positive"
    assert told["max_length"] == "50"
    facts = json.loads(run("info", "--json", classifier).stdout)
    assert facts["hidden_size"] == 36
    assert facts["labels"] == ["negative", "neutral", "positive"]


@pytest.mark.parametrize(
    ("name", "serves", "lines"),
    [
        ("bert-token", "tag() and redact()", ["same tag"]),
        ("bert-pretraining", "fill_mask()", ["same word", "same label"]),
        ("bert-question", "answer()", ["same span"]),
    ],
)
def test_info_of_heads(name: str, serves: str, lines: list[str], family_file: Callable[[str], Path]) -> None:
    result = invoke("info", "--all", family_file(name))
    assert result.exit_code == 0, result.stderr
    assert re.search(rf"^serves +{re.escape(serves)}", result.stdout, re.MULTILINE)
    for line in lines:
        assert re.search(rf"^{line} +\d+\.\d\d % of \d+, logits at most", result.stdout, re.MULTILINE)


def test_info_of_no_model(tmp_path: Path) -> None:
    result = invoke("info", tmp_path / "none.edgebert")
    assert result.exit_code == 1
    assert result.stderr.startswith("edgebert: error: ")
