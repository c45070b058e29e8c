"""A model that computes no numbers answers nothing; neither does one that gets no token."""

from __future__ import annotations

import json

import numpy as np
import pytest

import edgebert
from edgebert.artifact import read_artifact, write_artifact
from edgebert.engine.processor import REFERENCE
from edgebert.errors import ArtifactError, InputError
from edgebert.heads.classification import scores
from edgebert.layout import TOKENIZER, pack_tokenizer, unpack_tokenizer
from edgebert.tasks.fill_mask import _result
from tests.golden import GOLDEN

TEXTS = ["the film was good", "Tom saw it"]
LARGEST = np.float32(3e38)
ASKED = {
    "bert-classifier": {
        "classify": lambda model: model.classify(TEXTS),
        "rank": lambda model: model.rank("film", TEXTS, label=model.labels[0]),
        "embed": lambda model: model.embed(TEXTS),
        "hidden_states": lambda model: model.hidden_states([[1, 2, 3]]),
        "embed none": lambda model: model.embed(TEXTS, "none"),
    },
    "bert-token": {"tag": lambda model: model.tag(TEXTS)},
    "bert-question": {"answer": lambda model: model.answer("who?", TEXTS[0])},
    "bert-pretraining": {
        "next_sentence": lambda model: model.next_sentence([("a film", "it was good")]),
        "fill_mask": lambda model: model.fill_mask(["the [MASK] was good"]),
        "score": lambda model: model.score(TEXTS),
    },
}
OUTPUTS = {
    "classify": "classifier.weight",
    "rank": "classifier.weight",
    "tag": "classifier.weight",
    "answer": "qa_outputs.weight",
    "next_sentence": "cls.seq_relationship.weight",
    "fill_mask": "cls.predictions.decoder.scale",
    "score": "cls.predictions.decoder.scale",
}
CASES = [(name, task) for name, tasks in ASKED.items() for task in tasks]


@pytest.fixture(scope="module")
def artifact_of(tmp_path_factory):
    """Return a function: name of a golden model -> its .edgebert file, read."""
    folder, made = tmp_path_factory.mktemp("models"), {}

    def get(name):
        if name not in made:
            path = edgebert.convert(GOLDEN / "families" / name, folder / f"{name}.edgebert", min_agreement=0)
            made[name] = read_artifact(path)
        return made[name]

    return get


@pytest.fixture
def changed(artifact_of, tmp_path):
    """Return a function: name of a golden model, and tensors or metadata to replace -> the model, loaded."""

    def load(name, tensors=None, **metadata):
        artifact = artifact_of(name)
        path = tmp_path / "changed.edgebert"
        write_artifact(path, artifact.tensors | (tensors or {}), artifact.metadata | metadata)
        return edgebert.load(path, threads=1)

    return load


@pytest.mark.filterwarnings("ignore:.*encountered in.*:RuntimeWarning")
@pytest.mark.parametrize("family", [None, REFERENCE])
@pytest.mark.parametrize(("name", "task"), CASES)
def test_hidden_states_that_are_no_numbers(artifact_of, changed, monkeypatch, name, task, family):
    """In the first layer already: what is read of NaN in int8 would be a number again."""
    if family:
        monkeypatch.setenv("EDGEBERT_FAMILY", family)
    norm = "encoder.layer.0.output.LayerNorm.weight"
    model = changed(name, {norm: np.full_like(artifact_of(name).tensors[norm], LARGEST)})
    with pytest.raises(ArtifactError, match="the model computes hidden states that are no finite numbers"):
        ASKED[name][task](model)


@pytest.mark.filterwarnings("ignore:.*encountered in.*:RuntimeWarning")
@pytest.mark.parametrize(("name", "task"), [case for case in CASES if case[1] in OUTPUTS])
def test_logits_that_are_no_numbers(artifact_of, changed, name, task):
    output = OUTPUTS[task]
    model = changed(name, {output: np.full_like(artifact_of(name).tensors[output], LARGEST)})
    with pytest.raises(ArtifactError, match="the model computes logits that are no finite numbers"):
        ASKED[name][task](model)


@pytest.mark.filterwarnings("ignore:.*encountered in.*:RuntimeWarning")
def test_vectors_that_are_no_numbers(artifact_of, changed):
    dense = {"sentence_dense.0.weight": np.full((4, 48), LARGEST), "sentence_dense.0.bias": np.zeros(4, np.float32)}
    artifact = artifact_of("bert-token")
    dense["sentence_dense.0.weight"] = np.full((4, json.loads(artifact.metadata["config"])["hidden_size"]), LARGEST)
    model = changed("bert-token", dense, dense=json.dumps([[4, dense["sentence_dense.0.weight"].shape[1], ""]]))
    with pytest.raises(ArtifactError, match="the model computes vectors that are no finite numbers"):
        model.embed(TEXTS)


def test_scores_of_extreme_logits_are_scores():
    logits = np.array([-1e30, -800, 0, 800, 1e30], np.float32)
    assert scores(logits, "sigmoid").tolist() == [0, 0, 0.5, 1, 1]
    assert scores(logits, "softmax").tolist() == [0, 0, 0, 0, 1]


def test_a_perplexity_that_float64_cannot_hold_is_refused():
    assert _result(-700.0, 1)["perplexity"] == pytest.approx(np.exp(700))
    with pytest.raises(ArtifactError, match="perplexities that are no finite numbers"):
        _result(-800.0, 1)


@pytest.fixture
def adds_nothing(artifact_of, changed):
    """Return a function: name of a golden model -> it with a tokenizer that puts nothing round a text."""

    def load(name):
        description = json.loads(unpack_tokenizer(artifact_of(name).tensors[TOKENIZER]))
        packed = pack_tokenizer(json.dumps({**description, "post_processor": None}))
        return changed(name, {TOKENIZER: packed})

    return load


@pytest.mark.parametrize("text", ["", " \t"])
def test_a_text_without_any_token_is_refused_or_has_nothing(adds_nothing, text):
    classifier = adds_nothing("bert-classifier")
    with pytest.raises(InputError, match=r"the model's tokenizer makes no token of the text '.*'; leave it out"):
        classifier.embed([TEXTS[0], text])
    assert [len(rows) for rows in classifier.embed([TEXTS[0], text], "none")] == [4, 0]
    with pytest.raises(InputError, match="a text is blank, and the model's tokenizer makes no token of it"):
        classifier.classify(["\u200b"])  # not blank, and the tokenizer drops it
    assert classifier.classify([text, (text, text)]) == [{"label": None, "score": None}] * 2
    assert adds_nothing("bert-token").tag([text, TEXTS[0]])[0] == []
    assert adds_nothing("bert-pretraining").score([text])[0]["tokens"] is None


def test_the_command_line_refuses_it_too(adds_nothing, tmp_path, run_python):
    adds_nothing("bert-classifier")
    (tmp_path / "texts.txt").write_text("the film\n\n")
    code = """
import sys
from click.testing import CliRunner
from edgebert.cli import cli
result = CliRunner().invoke(cli, ["embed", sys.argv[1], "-m", sys.argv[2]])
print(result.exit_code, result.stderr)
"""
    told = run_python(code, tmp_path / "texts.txt", tmp_path / "changed.edgebert").stdout
    assert told.startswith("1 ")
    assert "the model's tokenizer makes no token of the text ''; leave it out" in told


@pytest.mark.parametrize("own", [1000, 2**32 - 1])
def test_an_id_that_the_model_does_not_know_is_not_looked_up(artifact_of, changed, own):
    """Not where it is masked, and so never encoded, nor as a target."""
    description = json.loads(unpack_tokenizer(artifact_of("bert-masked").tensors[TOKENIZER]))
    description["model"]["vocab"]["the"] = own
    model = changed("bert-masked", {TOKENIZER: pack_tokenizer(json.dumps(description))})
    with pytest.raises(ArtifactError, match="the model's tokenizer is another model's"):
        model.score(["the"])
    with pytest.raises(ArtifactError, match="the model's tokenizer has the id"):
        model.fill_mask(["[MASK]"], targets=["THE"])
