"""Every task of every family, in fp32 and in int8, against what transformers' own pipelines answer."""

from __future__ import annotations

import unicodedata

import pytest

import edgebert
from edgebert.evaluate.float32 import load_float32
from tests.golden import FAMILIES, GOLDEN, family_cases
from tests.selection import few

TOLERANCE = 2e-5
WORD_STRATEGIES = ("average", "first", "max")


def cuts_words_alike(model, text):
    """Say whether transformers' rules find the words of a text that edgebert finds, which never cuts one.

    They take a word with combining marks, being longer than its token, for the piece of one. Where a tokenizer does
    not mark pieces, they go on through tabs, line ends and all spaces but the common one, and through marks of
    punctuation, and let a word begin anew behind an unknown token, behind its space where that is a token, and with
    each token of its first character.
    """
    tokenizer = model._runner.tokenizer
    content = tokenizer.content(text, offsets=True)
    if tokenizer.pieces_of_words is not None:
        return unicodedata.normalize("NFC", text) == text
    unknown = tokenizer.id_of("<unk>")
    torn = (content.starts[1:] < content.ends[:-1]).any() or (content.starts == content.ends).any()
    plain = all(character.isalnum() or character == " " for character in text)
    return plain and not torn and unknown not in content.ids


def spaces_are_words(cases):
    """Return the inputs for which transformers answers with a space, which is no part of a word here."""
    answers = [(i, answer) for case in cases for i, each in enumerate(case["results"]) for answer in listed(each)]
    return {i for i, answer in answers if answer["answer"].strip() != answer["answer"]}


def listed(answers):
    return answers if isinstance(answers, list) else [answers]


def compare(found, expected, place="answer"):
    """Compare nested results; ``word`` is the text itself here, and put together from tokens there."""
    if isinstance(expected, dict):
        assert set(expected) <= set(found), place
        for key in expected.keys() - {"word"}:
            compare(found[key], expected[key], f"{place}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), f"{place}: expected {expected}, got {found}"
        for i, (mine, theirs) in enumerate(zip(found, expected, strict=True)):
            compare(mine, theirs, f"{place}[{i}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=TOLERANCE), place
    else:
        assert found == expected, place


def ask(model, case):
    """Ask a model what a case asks."""
    if case["task"] == "answer":
        return [model.answer(question, context, **case["options"]) for question, context in case["input"]]
    return getattr(model, case["task"])(case["input"], **case["options"])


@pytest.mark.parametrize("name", [name for name in FAMILIES if family_cases(name)])
def test_fp32_answers_as_transformers_does(name):
    model = load_float32(GOLDEN / "families" / name)
    compared = 0
    for case in family_cases(name):
        found, expected = ask(model, case), case["results"]
        if case["options"].get("aggregation_strategy") in WORD_STRATEGIES:
            alike = [i for i, text in enumerate(case["input"]) if cuts_words_alike(model, text)]
            assert alike
            found, expected = [found[i] for i in alike], [expected[i] for i in alike]
        if case["task"] == "answer":
            alike = [i for i in range(len(found)) if i not in spaces_are_words(family_cases(name))]
            found, expected = [found[i] for i in alike], [expected[i] for i in alike]
        if case["options"].get("aggregation_strategy") == "simple":  # to them, a space may be a span
            expected = [
                [span for span in spans if text[span["start"] : span["end"]].strip()]
                for text, spans in zip(case["input"], expected, strict=True)
            ]
        compared += len(found)
        compare(found, expected, f"{case['task']}({case['options']})")
    assert compared


@pytest.mark.parametrize("name", few(FAMILIES, "bert-classifier", "roberta-token", "mpnet-masked", "electra-question"))
def test_int8_is_close_and_mostly_decides_the_same(name, tmp_path):
    """These models are random: what they say often hangs by a hair."""
    path = edgebert.convert(GOLDEN / "families" / name, tmp_path / "m.edgebert", min_agreement=0.9)
    model = edgebert.load(path, threads=2)
    evaluation = model.info["receipt"]["evaluation"]
    # A gate multiplies what int8 lost of two products, in layers so small that little evens it out.
    assert evaluation["token_cosine_mean"] >= (0.999 if name.startswith("modernbert") else 0.9995)
    assert set(evaluation["heads"]) == set(model.info["heads"])
    for case in family_cases(name):
        found = ask(model, case)
        assert len(found) == len(case["results"])
        if case["task"] != "tag":  # an answer here and there has other labels, none has another form
            assert [type(each) for each in found] == [type(each) for each in case["results"]]


@pytest.mark.parametrize("name", ["electra-classifier", "mpnet-classifier", "xlm-roberta-token", "roberta-masked"])
def test_the_kernels_agree_with_the_reference(name, tmp_path, monkeypatch):
    """Projected embeddings, learned distances, positions from behind the padding token."""
    path = edgebert.convert(GOLDEN / "families" / name, tmp_path / "m.edgebert", min_agreement=0)
    texts = ["Alice liked the film", "no", "a very long story " * 20]
    found = edgebert.load(path, threads=2).embed(texts, "none", on_coverage=lambda *_: None)
    monkeypatch.setenv("EDGEBERT_FAMILY", "reference")
    expected = edgebert.load(path).embed(texts, "none", on_coverage=lambda *_: None)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.shape == theirs.shape
        assert abs(mine - theirs).max() < 0.15
        assert ((mine - theirs) ** 2).mean() ** 0.5 < 0.01
