"""Blank texts: nothing is made up about them, and Python says of them what the command line does."""

import json

import pytest
from click.testing import CliRunner

from edgebert.cli import cli
from edgebert.errors import InputError

TEXTS = ["the film was good", "", " \t ", "the cat"]
ASKED = [0, 3]
"""The indices of those that are not blank."""
NO_LABEL = {"label": None, "score": None}


def test_the_others_are_answered_as_if_alone(model_of):
    classifier = model_of("bert-classifier")
    seen = {}
    found = classifier.classify(TEXTS, on_coverage=seen.__setitem__)
    assert [found[i] for i in ASKED] == classifier.classify([TEXTS[i] for i in ASKED])
    assert found[1] == found[2] == NO_LABEL
    assert [seen[i].tokens > 0 for i in range(4)] == [True, False, False, True]
    assert classifier.classify(TEXTS, top_k=None)[1:3] == [[], []]
    assert classifier.classify([("", " "), ("the cat", "")])[0] == NO_LABEL
    assert classifier.classify([("the cat", "")])[0] != NO_LABEL
    assert [len(spans) for spans in model_of("bert-token").tag(TEXTS, "none")][1:3] == [0, 0]
    masked = model_of("bert-masked")
    assert masked.fill_mask(["", "the [MASK]"])[0] == []
    assert masked.score(TEXTS)[0] == masked.score(TEXTS[:1])[0]
    pairs = [("", " "), ("the cat", "the film")]
    pretrained = model_of("bert-pretraining")
    assert pretrained.next_sentence(pairs) == [NO_LABEL, *pretrained.next_sentence(pairs[1:])]


@pytest.mark.parametrize("name", ["bert-classifier", "bert-masked"], ids=["entailment", "similarity"])
def test_labels_that_nobody_trained(model_of, name):
    model, labels = model_of(name), ["cats", "films"]
    found = model.classify(TEXTS, labels=labels)
    assert found[2] == {"sequence": " \t ", "labels": [], "scores": []}
    assert [found[i] for i in ASKED] == model.classify([TEXTS[i] for i in ASKED], labels=labels)


def test_blank_documents_are_not_ranked_and_keep_their_places(model_of):
    model = model_of("bert-classifier")
    label = model.labels[0]
    found, alone = model.rank("a film", TEXTS, label=label), model.rank("a film", [TEXTS[3], TEXTS[0]], label=label)
    assert sorted(each["index"] for each in found) == ASKED
    assert {each["text"]: each["score"] for each in found} == {each["text"]: each["score"] for each in alone}
    assert model.rank("a film", ["", " "], label=label) == []


@pytest.mark.parametrize(
    ("command", "name", "ask"),
    [
        (["classify"], "bert-classifier", lambda model, texts: model.classify(texts)),
        (["score"], "bert-masked", lambda model, texts: model.score(texts)),
        (["tag"], "bert-token", lambda model, texts: [{"entities": spans} for spans in model.tag(texts)]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_the_command_line_says_the_same(model_of, tmp_path, command, name, ask):
    path, model = tmp_path / "texts.txt", model_of(name)
    path.write_text("\n".join(TEXTS) + "\n")
    file = model.info["file"]
    result = CliRunner().invoke(cli, [*command, str(path), "--model", file, "--format", "jsonl"])
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == len(TEXTS)
    for line, answer in zip(lines, ask(model, TEXTS), strict=True):
        shared = {key: line[key] for key in answer if key in line}
        assert shared
        assert json.loads(json.dumps({key: answer[key] for key in shared})) == shared


def test_an_error_names_the_text_that_it_is_about(model_of):
    with pytest.raises(InputError, match=r"^'a' has no \[MASK\]"):
        model_of("bert-masked").fill_mask(["", "a [MASK]", " ", "a"])
