"""Spans of any labels: what the gliner package finds, in float32 and int8, and what is asked beyond it."""

from __future__ import annotations

import itertools
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgebert
from edgebert.coverage import Cut
from edgebert.errors import InputError
from edgebert.evaluate.float32 import load_float32
from edgebert.heads.gliner import ABSENT, decisions
from edgebert.tasks.gliner import (
    Candidate,
    WordWindow,
    _of_best_windows,
    _spans_of_words,
    prompt_of,
    selected,
    split,
    windows_of,
)
from edgebert.tokens import TextTokenizer
from edgebert.windows import Window
from tests.golden import GOLDEN

FOLDER = GOLDEN / "gliner"
"""Made by ``tools/make_golden_gliner.py``, which says what lies there."""
VARIANTS = ("span", "span-plain", "token")
GIVEN = json.loads((FOLDER / "texts.json").read_text(encoding="utf-8"))
TEXTS, LABELS, THRESHOLD = GIVEN["texts"], GIVEN["labels"], GIVEN["threshold"]
ASKED = {
    "flat": {},
    "nested": {"nested": True},
    "several": {"nested": True, "multi_label": True},
    "described": {"labels": GIVEN["described"]},
}
TOLERANCE = 2e-5
LONG = " ".join(TEXTS[:2] * 9)


def silent(*_):
    """Say nothing of texts that are too long."""


def ask(model, texts=TEXTS, **options):
    return model.tag(texts, **{"labels": LABELS, "threshold": THRESHOLD, "on_coverage": silent, **options})


def shown(entities):
    return [(each["entity_group"], each["start"], each["end"]) for each in entities]


@pytest.fixture(scope="module")
def exact():
    """Return a function from the name of a variant to its model in float32."""
    models = {}
    return lambda name: models.setdefault(name, load_float32(FOLDER / name))


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    """Return a function from the name of a variant to its model in int8."""
    folder, models = tmp_path_factory.mktemp("gliner"), {}

    def get(name):
        if name not in models:
            path = edgebert.convert(FOLDER / name, folder / f"{name}.edgebert", min_agreement=0.8)
            models[name] = edgebert.load(path, threads=2)
        return models[name]

    return get


def logits_of(model, text):
    """Return the logits of a text, as the library has them: of the first window."""
    runner = model._runner
    prompt = prompt_of(runner.tokenizer, runner.info.gliner, {label: label for label in LABELS})
    words = split(runner.tokenizer, text)
    (own, *_), _ = windows_of(runner.tokenizer, runner.info.gliner, prompt, words, Cut(truncate=True))
    ((each,),) = runner.encode([[own.window]])
    return runner.gliner(each.states, own.rows(words), own.label_rows(prompt))


def logits_of_library(name, i):
    with np.load(FOLDER / name / "expected.npz") as file:
        return file[f"logits_{i}"]


@pytest.mark.parametrize("name", VARIANTS)
def test_logits(exact, name):
    for i, text in enumerate(TEXTS):
        if text.strip():
            got, right = logits_of(exact(name), text), logits_of_library(name, i)
            there = got != ABSENT
            if name == "token":
                assert there.all()
            else:  # what ends beyond the text the library scores, and never takes
                ends = np.arange(len(got))[:, None] + np.arange(got.shape[1])
                np.testing.assert_array_equal(there, np.repeat((ends < len(got))[..., None], len(LABELS), axis=2))
            assert np.abs(got[there] - right[there]).max() < TOLERANCE * max(1, np.abs(right).max())


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("kind", ASKED)
def test_spans(exact, name, kind):
    expected = json.loads((FOLDER / name / "expected.json").read_text(encoding="utf-8"))
    found = ask(exact(name), truncate=True, **ASKED[kind])
    for text, own, each in zip(TEXTS, found, expected, strict=True):
        right = each[kind]
        assert shown(own) == [(span["label"], span["start"], span["end"]) for span in right]
        assert [span["word"] for span in own] == [text[span["start"] : span["end"]] for span in right]
        np.testing.assert_allclose([span["score"] for span in own], [span["score"] for span in right], atol=TOLERANCE)
    assert any(each[kind] for each in expected)


@pytest.mark.parametrize("name", VARIANTS)
def test_in_int8(exact, quantized, name):
    model = quantized(name)
    pairs = [(logits_of(model, text), logits_of(exact(name), text)) for text in TEXTS if text.strip()]
    got, right = (np.concatenate([each[side][each[1] != ABSENT] for each in pairs]) for side in (0, 1))
    assert np.corrcoef(got, right)[0, 1] > 0.99
    assert model.info["receipt"]["evaluation"]["heads"]["gliner"]["agreement"] > 0.85
    found = ask(model, truncate=True)
    assert found == [ask(model, [text], truncate=True)[0] for text in TEXTS]
    assert [bool(own) for own in found] == [bool(own) for own in ask(exact(name), truncate=True)]
    assert ask(pickle.loads(pickle.dumps(model)), truncate=True) == found


@pytest.mark.parametrize("family", ["portable", "reference"])
def test_other_instruction_families(run_python, quantized, family):
    code = (
        "import edgebert, json, sys\n"
        "model = edgebert.load(sys.argv[1])\n"
        "given = json.loads(sys.argv[2])\n"
        "print(json.dumps(model.tag(given['texts'], labels=given['labels'], threshold=given['threshold'])))"
    )
    path = quantized("span").info["file"]
    process = run_python(code, path, json.dumps(GIVEN), environment={"EDGEBERT_FAMILY": family})
    found, expected = json.loads(process.stdout.splitlines()[-1]), ask(quantized("span"))
    for own, right in zip(found, expected, strict=True):
        assert shown(own) == shown(right)
        np.testing.assert_allclose([each["score"] for each in own], [each["score"] for each in right], atol=0.05)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_long_text_is_read_in_windows(quantized, name):
    model, seen = quantized(name), []
    (found,) = model.tag([LONG], labels=LABELS, threshold=0.2, on_coverage=lambda _, own: seen.append(own))
    (coverage,) = seen
    assert coverage.windows > 3
    assert not coverage.truncated
    assert found[-1]["end"] > 0.9 * len(LONG)
    assert all(before["end"] <= behind["start"] for before, behind in itertools.pairwise(found))
    (beginning,) = model.tag([LONG], labels=LABELS, threshold=0.2, truncate=True, on_coverage=silent)
    assert beginning[0] == found[0]
    assert beginning[-1]["end"] < len(LONG) / 2
    with pytest.warns(edgebert.TruncationWarning):
        model.tag([LONG], labels=LABELS, truncate=True)


def test_windows_are_of_whole_words_and_leave_none_out(exact):
    runner = exact("span")._runner
    tokenizer, gliner = runner.tokenizer, runner.info.gliner
    prompt = prompt_of(tokenizer, gliner, {"a": "a", "b": "bad film"})
    assert prompt.labels == ("a", "b")
    assert (prompt.ids[prompt.places] == gliner.entity_id).all()
    words = split(tokenizer, LONG)
    room = tokenizer.room - len(prompt.ids)
    for stride, most in ((None, 384), (0, 384), (20, 384), (room - 1, 384), (None, 7), (room - 1, 7)):
        windows, coverage = windows_of(tokenizer, gliner._replace(max_words=most), prompt, words, Cut(stride=stride))
        assert not coverage.truncated
        assert coverage.windows == len(windows)
        assert coverage.tokens == tokenizer.max_length - room + len(words.content.ids)
        assert windows[0].first == 0
        assert windows[-1].last == len(words.starts)
        for own, following in itertools.pairwise(windows):
            assert own.first < following.first <= own.last < following.last
            common = words.bounds[own.last] - words.bounds[following.first]
            assert common <= (room // 4 if stride is None else stride)
        if most == 7:  # each but the last has some words that the one before has not
            assert len(windows) <= 2 * len(words.starts) / most + 1
        for own in windows:
            assert own.last - own.first <= most
            assert len(own.window.ids) <= tokenizer.max_length
            tokens = own.window.ids[own.window.rows()]
            np.testing.assert_array_equal(tokens, words.content.ids[words.bounds[own.first] : words.bounds[own.last]])
            np.testing.assert_array_equal(
                own.window.ids[own.rows(words)], words.content.ids[words.bounds[own.first : own.last]]
            )


def test_a_word_that_is_too_long_is_cut_and_told(exact):
    tokenizer, gliner = exact("span")._runner.tokenizer, exact("span")._runner.info.gliner
    prompt = prompt_of(tokenizer, gliner, {"a": "a"})
    text = f"no {'abc' * 100} film"
    words = split(tokenizer, text)
    assert len(words.content.ids) > 200
    windows, coverage = windows_of(tokenizer, gliner, prompt, words, Cut())
    assert coverage.truncated
    assert [(own.first, own.last) for own in windows] == [(0, 1), (1, 2), (2, 3)]
    assert max(len(own.window.ids) for own in windows) == tokenizer.max_length
    assert len(ask(exact("span"), [text])) == 1


def test_a_word_without_a_token_has_no_state():
    words = split_with(np.array([0, 0, 2, 3, 3], np.int32), 6)
    assert words.bounds.tolist() == [0, 2, 2, 3, 5, 5, 5]
    own = WordWindow(Window(np.zeros(9, np.int32), np.zeros(9, np.int32), 3, 0, 5), 0, 6)
    assert own.rows(words).tolist() == [3, -1, 5, 6, -1, -1]


def split_with(owners, count):
    """Return words whose tokens belong to them as given."""

    class Tokenizer:
        def words(self, given):
            assert len(given) == count
            return edgebert.tokens.Content(owners, owners, owners, owners)

    return split(Tokenizer(), " ".join("a" * count))


def test_words_are_those_of_the_library(exact):
    text = "Bob-Ray's plot_twist, 2024! \u4e2d\u6587 a--b -x _y e.g."
    words = split(exact("span")._runner.tokenizer, text)
    found = [text[start:end] for start, end in zip(words.starts, words.ends, strict=True)]
    assert found == [
        *("Bob-Ray", "'", "s", "plot_twist", ",", "2024", "!", "\u4e2d\u6587"),
        *("a", "-", "-", "b", "-", "x", "_y", "e", ".", "g", "."),
    ]


def overlap(a, b, nested, multi_label):
    if (a.first, a.last) == (b.first, b.last):
        return not multi_label
    if a.first > b.last or b.first > a.last:
        return False
    inside = (a.first <= b.first and a.last >= b.last) or (b.first <= a.first and b.last >= a.last)
    return not (nested and inside)


spans = st.tuples(st.integers(0, 9), st.integers(0, 4), st.integers(0, 2), st.sampled_from([0.5, 0.6, 0.7, 0.8]))


@given(st.lists(spans, max_size=20, unique_by=lambda own: own[:3]), st.booleans(), st.booleans())
@settings(deadline=None)
def test_the_likeliest_spans_are_taken_that_do_not_overlap(drawn, nested, multi_label):
    candidates = [Candidate(first, first + more, label, score) for first, more, label, score in drawn]
    taken = []
    for own in sorted(candidates, key=lambda each: -each.score):
        if not any(overlap(own, other, nested, multi_label) for other in taken):
            taken.append(own)
    found = selected(candidates, nested=nested, multi_label=multi_label)
    assert found == sorted(taken, key=lambda each: each.first)


def test_spans_of_words_have_the_least_of_their_scores():
    scores = np.zeros((4, 2, 3), np.float32)
    scores[:, 0] = [[0.9, 0.1, 0.8], [0.2, 0.6, 0.75], [0.1, 0.95, 0.3], [0.9, 0.9, 0.9]]
    scores[0, 1] = [0.7, 0.8, 0.2]  # not likely to be within
    half = np.float32(0.6)
    assert _spans_of_words(scores, 0.5) == [Candidate(0, 1, 0, half), Candidate(3, 3, 0, np.float32(0.9))]
    assert _spans_of_words(scores, 0.25) == [
        *(Candidate(0, 1, 0, half), Candidate(0, 2, 0, np.float32(0.3)), Candidate(0, 3, 0, np.float32(0.3))),
        Candidate(3, 3, 0, np.float32(0.9)),
    ]


def test_a_span_is_taken_from_the_window_with_most_around_it():
    none = np.zeros(0, np.int32)
    windows = [WordWindow(Window(none, none, 0, 0, 0), *place) for place in ((0, 10), (6, 16))]
    parts = [
        [Candidate(8, 8, 0, 0.7), Candidate(7, 9, 1, 0.9), Candidate(0, 1, 0, 0.5)],
        [Candidate(8, 8, 0, 0.8), Candidate(10, 12, 0, 0.4)],
    ]
    # The second has more around the seventh to the ninth word, and finds nothing there.
    assert _of_best_windows(windows, parts) == [parts[0][2], *parts[1]]
    even = [WordWindow(windows[0].window, *place) for place in ((0, 10), (7, 17))]
    assert _of_best_windows(even, parts) == [*parts[0], parts[1][1]]
    assert _of_best_windows(windows[:1], parts[:1]) == parts[0]


def test_decisions():
    logits = np.full((3, 2, 2), ABSENT)
    logits[0] = [[-1, -2], [-0.5, -3]]
    logits[1, 1] = [0.5, 2]
    assert decisions(logits).tolist() == [0, 4, 0]


def test_threshold(exact):
    many, few = (ask(exact("span"), TEXTS[:1], nested=True, threshold=value)[0] for value in (0.1, 0.9))
    assert len(many) > len(few)
    assert all(each["score"] > 0.1 for each in many)
    by_default = exact("span").tag(TEXTS[:1], labels=LABELS, nested=True)[0]
    assert min(each["score"] for each in by_default) > 0.5
    assert shown(by_default) == shown(ask(exact("span"), TEXTS[:1], nested=True, threshold=0.5)[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": None}, "expected some, such as person and place"),
        ({"labels": []}, "labels are empty"),
        ({"labels": ["a", "a"]}, "'a' is there twice"),
        ({"labels": ["a", " "]}, "labels are empty or no texts"),
        ({"labels": "person"}, "labels"),
        ({"labels": ["<<ENT>>"]}, "a label holds '<<ENT>>', which stands before each label"),
        ({"labels": [f"a film {i}" for i in range(40)]}, "40 labels are .* tokens, and the model takes 96"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"nested": 1}, "nested is 1"),
        ({"multi_label": "no"}, "multi_label is 'no'"),
        ({"stride": 99}, r"stride is 99, expected 0 to \d\d tokens"),
        ({"stride": -1}, "stride is -1"),
        ({"aggregation_strategy": "simple"}, "go with a model's own labels"),
        ({"ignore_labels": []}, "go with a model's own labels"),
    ],
)
def test_wrong_options(exact, options, message):
    with pytest.raises(InputError, match=message):
        ask(exact("span"), **options)


def test_what_it_is_not_for(exact, quantized):
    model = exact("span")
    model.require("tag")
    assert model._runner.info.serves == "tag() with labels"
    for method in (model.embed, model.similarity, model.fill_mask, model.redact):
        with pytest.raises(InputError, match=r"tag\(\) with labels"):
            method(*[["a film"]] * (2 if method == model.similarity else 1))
    for ask_it in (
        lambda: model.require("embed"),
        lambda: model.require("rank"),
        lambda: model.rank("film", ["a film"]),
        lambda: model.classify(["a film"], labels=["a", "b"]),
        lambda: model.search("film", ["a film"]),
    ):
        with pytest.raises(InputError, match=r"tag\(\) with labels|BertModel"):
            ask_it()
    assert quantized("span").info["gliner"]["max_width"] == 5
    assert model.embed(["a film"], pooling="none")[0].shape[1] == 48


def test_other_models_take_no_labels():
    model = load_float32(GOLDEN / "families" / "bert-token")
    for options in ({"labels": ["a"]}, {"nested": True}, {"multi_label": True}):
        with pytest.raises(InputError, match=r"go with a model that finds spans of any labels \(a GLiNER\)"):
            model.tag(["a film"], **options)


def test_late_interaction_makes_no_labels(tmp_path):
    """Nor does any other model that makes no vector of a text."""
    model = load_float32(GOLDEN / "late_interaction" / "fixed")
    with pytest.raises(InputError, match="makes a vector of each token"):
        model.classify(["a film"], labels=["a", "b"])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("entity_id", 87, "entity_id of gliner is 87, expected 0 to 86"),
        ("hidden_size", 0, "hidden_size of gliner is 0"),
        ("hidden_size", 33, "expected an even number with an LSTM"),
        ("rnn_layers", True, "rnn_layers of gliner is True"),
        ("max_width", -1, "max_width of gliner is -1"),
        ("max_words", 0, "max_words of gliner is 0"),
        ("entity_token", "", "entity_token of gliner is ''"),
        ("separator", 3, "separator of gliner is 3"),
        ("behind_marker", 0, "behind_marker of gliner is 0"),
    ],
)
def test_values_that_no_spans_could_be_found_with(exact, field, value, message):
    info = exact("span")._runner.info
    assert info.gliner.faults(info.config) == []
    assert message in "; ".join(info.gliner._replace(**{field: value}).faults(info.config))


def test_a_surrogate_is_told():
    tokenizer = TextTokenizer.for_model(load_float32(FOLDER / "token")._runner.info)
    with pytest.raises(InputError, match="lone surrogate"):
        split(tokenizer, "a \ud800 b")


def test_many_words_are_those_of_few(exact):
    tokenizer = exact("span")._runner.tokenizer
    words = ["film", "no", "plot"] * 1500
    whole = tokenizer.words(words)
    np.testing.assert_array_equal(whole.ids, np.concatenate([tokenizer.words(words[:3]).ids] * 1500))
    assert whole.words[-1] == len(words) - 1
