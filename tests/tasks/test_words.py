"""Masked words, scores of texts, pairs, answers, ranks, labels that nobody trained: shapes, laws, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebert.arguments import described_labels
from edgebert.errors import InputError
from edgebert.evaluate.float32 import load_float32
from edgebert.heads.question_answering import best_spans
from edgebert.tasks.zero_shot import entailment_of, similarities
from edgebert.watch import watched
from tests.golden import GOLDEN, family_outputs

QUESTION = (
    "Who liked the film?",
    "Alice and Bob liked the very good film, but unbelievable acting was not for Carol.",
)
"""A pair that ``tools/make_golden_families.py`` asks."""


def test_masked_words(model_of):
    model = model_of("bert-masked")
    one, two = model.fill_mask(["the [MASK] film", "a [MASK] and [MASK]"], top_k=3)
    assert [set(each) for each in one] == [{"score", "token", "token_str", "sequence"}] * 3
    assert [each["score"] for each in one] == sorted((each["score"] for each in one), reverse=True)
    assert all(each["token_str"] in each["sequence"] for each in one)
    assert [len(place) for place in two] == [3, 3]
    everything = model.fill_mask(["the [MASK] film"], top_k=10**6)[0]
    assert sum(each["score"] for each in everything) == pytest.approx(1)


def test_words_to_choose_from(model_of):
    model = model_of("bert-masked")
    found = model.fill_mask(["the [MASK] film"], targets=["good", "bad", "good"])[0]
    assert sorted(each["token_str"] for each in found) == ["bad", "good"]
    with pytest.raises(InputError, match=r"target 'goodbad' is \d+ tokens to the model, expected words of one"):
        model.fill_mask(["the [MASK] film"], targets=["goodbad"])
    for bad, complaint in (([], "targets is empty"), ("good", "targets is one string")):
        with pytest.raises(InputError, match=complaint):
            model.fill_mask(["the [MASK] film"], targets=bad)


def test_padding_that_a_text_spells_out_is_no_part_of_the_answer(model_of):
    """As in transformers' pipeline; other special tokens stay where there are several masks."""
    places = model_of("bert-masked").fill_mask(["[MASK] [PAD] film [MASK]"], top_k=1)[0]
    for each in (place[0]["sequence"] for place in places):
        assert "[PAD]" not in each
        assert "[CLS]" in each
        assert "film" in each


def test_a_text_without_a_mask(model_of):
    with pytest.raises(InputError, match=r"^'.*' has no \[MASK\], expected it where a word is to be filled in"):
        model_of("bert-masked").fill_mask(["a [MASK]", "none"])
    with pytest.raises(InputError, match=r"has no <mask>"):
        model_of("roberta-masked").fill_mask(["a [MASK]"])
    with pytest.raises(InputError, match="top_k is 0"):
        model_of("bert-masked").fill_mask(["a [MASK]"], top_k=0)


def test_the_score_of_a_text_is_the_sum_over_its_masked_tokens(model_of):
    model = model_of("bert-masked")
    text = "the film was good"
    words = text.split()
    total = 0.0
    for i, word in enumerate(words):
        masked = " ".join([*words[:i], "[MASK]", *words[i + 1 :]])
        total += np.log(model.fill_mask([masked], targets=[word])[0][0]["score"])
    (found,) = model.score([text])
    assert found["tokens"] == 4
    assert found["score"] == pytest.approx(total, rel=1e-6)
    assert model.score(["", text, "a"])[1] == found
    assert model.score([""]) == [{"score": None, "tokens": None, "perplexity": None}]
    assert model.score([]) == []


def test_the_label_of_the_next_sentence_is_that_of_its_logit():
    """The first logit says that it follows (transformers' BertForNextSentencePrediction)."""
    model, expected = load_float32(GOLDEN / "families" / "bert-pretraining"), family_outputs("bert-pretraining")
    question, context = QUESTION
    pairs = [(question, context), ("no story", "中文 plot, really?")]  # the second and third of its texts
    labels = [("IsNext", "NotNext")[logits.argmax()] for logits in expected.logits["next_sentence"][1:]]
    assert [each["label"] for each in model.next_sentence(pairs)] == labels
    for each, logits in zip(model.next_sentence(pairs), expected.logits["next_sentence"][1:], strict=True):
        chances = np.exp(logits[0].astype(float)) / np.exp(logits[0].astype(float)).sum()
        assert each["score"] == pytest.approx(chances.max(), abs=1e-5)


def test_next_sentences(model_of):
    model = model_of("bert-pretraining")
    pairs = [("the film was good", "bob liked it"), ("a", ""), ("", "a")]
    found = model.next_sentence(pairs)
    assert all(each["label"] in ("IsNext", "NotNext") and 0.5 <= each["score"] <= 1 for each in found)
    assert [model.next_sentence([pair])[0] for pair in pairs] == found
    assert set(model.info["heads"]) == {"masked_lm", "next_sentence"}
    assert model.fill_mask(["a [MASK]"])
    for bad in (["a"], [("a",)], [("a", 3)], [("a", "b", "c")], "ab", [None]):
        with pytest.raises(InputError):
            model.next_sentence(bad)


def test_answers(model_of):
    model = model_of("bert-question")
    context = "The café has a naïve story, and no plot."
    one = model.answer("what?", context)
    assert context[one["start"] : one["end"]] == one["answer"]
    several = model.answer("what?", context, top_k=3)
    assert several[0] == one
    assert model.answer(["what?", "who?"], [context, context])[0] == one
    impossible = model.answer("what?", context, top_k=10_000, handle_impossible_answer=True)
    assert {"score", "start", "end", "answer"} == set(impossible[0])
    assert next(each for each in impossible if each["answer"] == "")["end"] == 0
    with pytest.raises(InputError, match="context is ' ', expected a text with words in it"):
        model.answer("what?", " ")
    with pytest.raises(InputError, match="1 questions and 2 contexts"):
        model.answer(["what?"], [context, context])


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("end", ["", "\u0301"])
def test_an_answer_in_a_text_without_spaces(align, end):
    model = load_float32(GOLDEN.parent / "words" / "qa_xlmr_no_spaces")
    context = f"昨日山田去了東京{end},見到王明。"
    found = model.answer("山田住在", context, align_to_words=align)
    assert (found["answer"], found["start"], found["end"]) == (f"東京{end}", 6, 8 + len(end))
    for each in model.answer("山田住在", context, 50, max_answer_len=1, align_to_words=align):
        assert len(each["answer"]) <= 3  # one token


def test_an_answer_is_widened_to_words_or_not(model_of):
    model = model_of("xlm-roberta-question")
    context = "Alice and Bob liked unbelievable acting"
    words = set(context.split())
    found = model.answer("what?", context, 100, max_answer_len=1)
    assert {each["answer"] for each in found} <= words
    raw = model.answer("what?", context, 100, max_answer_len=1, align_to_words=False)
    assert not {each["answer"] for each in raw} <= words
    assert all(each["answer"] == context[each["start"] : each["end"]] == each["answer"].strip() for each in raw)
    assert all(each["answer"] for each in raw)


@pytest.mark.parametrize("none_logit", [-1, 3, 9])
def test_spans_are_the_best_products(none_logit):
    """Against every begin and end, one by one; none begins or ends with the token that stands for no answer."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(30, 2)).astype(np.float32)
    logits[0] = none_logit
    allowed = np.arange(30) >= 5
    found, none = best_spans(logits, allowed, 4, 6)
    seen = allowed.copy()
    seen[0] = True
    powers = np.where(seen[:, None], np.exp(logits.astype(float)), 0)
    chances = powers / powers.sum(axis=0)
    every = [(chances[i, 0] * chances[j, 1], i, j) for i in range(1, 30) for j in range(i, min(i + 4, 30))]
    best = sorted(every, reverse=True)[:6]
    assert [(i, j) for i, j, _ in found] == [(i, j) for _, i, j in best]
    assert [score for *_, score in found] == pytest.approx([score for score, *_ in best])
    assert none == pytest.approx(chances[0, 0] * chances[0, 1])


def test_of_equal_spans_the_first_and_shortest_comes_first():
    spans, _ = best_spans(np.zeros((5, 2), np.float32), np.arange(5) >= 2, 3, 10)
    assert [(first, last) for first, last, _ in spans][:6] == [(2, 2), (2, 3), (2, 4), (3, 3), (3, 4), (4, 4)]


def test_ranks(model_of):
    model = model_of("roberta-classifier")
    documents = ["Nobody liked it", "a", "The film was good", "中文"]
    found = model.rank("good film", documents)
    assert sorted(each["index"] for each in found) == [0, 1, 2, 3]
    assert all(documents[each["index"]] == each["text"] for each in found)
    assert [each["score"] for each in found] == sorted((each["score"] for each in found), reverse=True)
    assert model.rank("good film", documents, top_k=2) == found[:2]
    assert model.rank("good film", []) == []
    with pytest.raises(InputError, match="the model has 3 labels, expected one: a cross-encoder"):
        model_of("electra-classifier").rank("a", [])


def test_labels_by_entailment(model_of):
    model = model_of("bert-classifier")
    (found,) = model.classify(["the film was good"], labels=["good", "bad", "dull"])
    assert set(found) == {"sequence", "labels", "scores"}
    assert sum(found["scores"]) == pytest.approx(1)
    described = model.classify(["the film was good"], labels={"x": "good", "y": "bad", "z": "dull"})[0]
    assert described["scores"] == found["scores"]
    assert set(described["labels"]) == {"x", "y", "z"}
    for bad in ([], "good", [""], [3], {"a": ""}):
        with pytest.raises(InputError, match="labels"):
            model.classify(["a"], labels=bad)
    for template in ("no place", "{} {}", "{name}", "{"):
        with pytest.raises(InputError, match="hypothesis_template is"):
            model.classify(["a"], labels=["b", "c"], hypothesis_template=template)


def test_one_label_is_weighed_against_contradiction(model_of):
    """As several are that may hold at once: by two of the logits of the pair."""
    model = model_of("bert-classifier")
    text = "the film was good"
    (logits,) = model.classify([(text, "This example is good.")], None, "none")
    powers = {each["label"]: np.exp(each["score"]) for each in logits}
    expected = powers["entailment"] / (powers["entailment"] + powers["contradiction"])
    for options in ({}, {"multi_label": True}):
        (found,) = model.classify([text], labels=["good"], **options)
        assert found["scores"] == pytest.approx([expected])
    (several,) = model.classify([text], labels=["bad", "good"], multi_label=True)
    assert dict(zip(several["labels"], several["scores"], strict=True))["good"] == pytest.approx(expected)


def test_a_text_is_cut_for_the_longest_label(model_of):
    """Beside the short one it would fit."""
    seen = []
    labels = {"short": "a", "long": "a " * 30}
    model_of("bert-classifier").classify(
        ["film " * 75], labels=labels, on_coverage=lambda index, coverage: seen.append(coverage)
    )
    assert [(coverage.windows > 1, coverage.truncated) for coverage in seen] == [(True, False)]


def test_scores_by_similarity_are_those_of_cosines():
    """Worked out by hand: a softmax of twenty times the cosines; or the cosines, from 0 on."""
    vector, of_labels = np.array([1, 0], np.float32), np.array([[0.6, 0.8], [-1, 0], [0.8, -0.6]], np.float32)
    powers = np.exp(20 * np.array([0.6, -1, 0.8]))
    windows = np.stack([vector, -vector])
    scores = similarities(windows, of_labels, False)
    assert scores[0] == pytest.approx(powers / powers.sum(), rel=1e-5)
    assert scores[1] == pytest.approx(1 / powers / (1 / powers).sum(), rel=1e-5)
    assert similarities(windows, of_labels, True) == pytest.approx(np.array([[0.6, 0, 0.8], [0, 1, 0]]))


def test_labels_by_similarity(golden_files):
    import edgebert

    model = edgebert.load(golden_files["encoder"])
    (found,) = model.classify(["the film"], labels=["the film", "a bad book", "water"])
    assert found["labels"][0] == "the film"
    assert sum(found["scores"]) == pytest.approx(1)
    (alone,) = model.classify(["the film"], labels=["water"])
    (several,) = model.classify(["the film"], labels=["the film", "water"], multi_label=True)
    assert alone["scores"] == [dict(zip(several["labels"], several["scores"], strict=True))["water"]]
    assert several["scores"][0] == pytest.approx(1, abs=1e-5)
    film, water = model.embed(["the film", "water"], normalize=True)
    assert several["scores"][1] == pytest.approx(film @ water, abs=1e-5)
    assert model.classify([], labels=["a"]) == []


def test_labels_by_similarity_of_every_window(golden_files):
    """A long text: the scores are pooled of its windows, which are as many as asked for."""
    import edgebert

    model, labels, seen = edgebert.load(golden_files["encoder"]), ["the film", "water"], []
    text = "the film was good . " * 20 + "a book of water " * 20
    options = {"labels": labels, "multi_label": True, "on_coverage": lambda _, coverage: seen.append(coverage)}
    (first,), (most,), (mean,) = (
        model.classify([text], pool=pool, stride=0, **options) for pool in ("first", "max", "mean")
    )
    assert {(coverage.truncated, coverage.windows > 2) for coverage in seen} == {(False, True)}
    (cut,) = model.classify([text], truncate=True, **options)
    by_label = [dict(zip(each["labels"], each["scores"], strict=True)) for each in (first, most, mean, cut)]
    for label in labels:
        assert by_label[0][label] == by_label[3][label]
        assert by_label[0][label] <= by_label[1][label] > by_label[2][label]
    assert seen.pop()[1:] == (1, True)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"hypothesis_template": "It is {}."}, "encoder.edgebert finds labels by the similarity of vectors"),
        ({"top_k": 2}, "top_k is 2, which goes with the model's own labels"),
        ({"function_to_apply": "sigmoid"}, "function_to_apply is 'sigmoid', which goes with the model's own labels"),
        ({"labels": ["a", "b", "a"]}, "the label 'a' is there twice"),
    ],
)
def test_what_labels_of_ones_own_cannot_take(options, fault, golden_files):
    import edgebert

    with pytest.raises(InputError, match=fault):
        edgebert.load(golden_files["encoder"]).classify(["a"], **{"labels": ["a", "b"], **options})


def test_other_labels_of_a_classifier_that_cannot(model_of):
    with pytest.raises(InputError, match="expected a model of natural language inference"):
        model_of("electra-classifier").classify(["a"], labels=["b"])


def test_which_label_is_entailment():
    assert entailment_of(("CONTRADICTION", "NEUTRAL", "ENTAILMENT")) == 2
    assert entailment_of(("entailment", "not_entailment")) == 0
    assert entailment_of(("yes", "no")) is None
    assert described_labels(("a", "b")) == {"a": "a", "b": "b"}


def test_several_labels(model_of):
    model = model_of("distilbert-classifier")
    assert model.info["problem_type"] == "multi_label_classification"
    everything = model.classify(["the film"], None)[0]
    assert {each["label"] for each in everything} == {"toxic", "rude", "kind", "dull"}
    assert model.classify(["the film"], 2)[0] == everything[:2]
    assert model.classify(["the film"])[0] == everything[0]
    stars = model_of("camembert-classifier").classify(["the film"])[0]
    assert stars["label"] == "stars"
    for bad in ({"top_k": 0}, {"top_k": 1.5}, {"function_to_apply": "max"}):
        with pytest.raises(InputError, match=next(iter(bad))):
            model.classify(["a"], **bad)


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.tuples(st.text(max_size=150), st.text(max_size=150)), max_size=5))
def test_any_pairs_in_any_company(model_of, texts):
    model = model_of("bert-classifier")
    together = model.classify(texts, None)
    assert model.classify(texts[::-1], None) == together[::-1]
    assert [model.classify([pair], None)[0] for pair in texts] == together


def test_each_model_says_what_it_serves(model_of):
    with pytest.raises(
        InputError, match=r"is a BertForTokenClassification, it serves tag\(\) and redact\(\); for classify\(\)"
    ):
        model_of("bert-token").classify(["a"])
    with pytest.raises(InputError, match=r"it serves classify\(\) or, with one label, rank\(\); for tag\(\)"):
        model_of("bert-classifier").tag(["a"])
    served = r"it serves fill_mask\(\), score\(\) and embed_sparse\(\), next_sentence\(\); for answer\(\)"
    with pytest.raises(InputError, match=served):
        model_of("bert-pretraining").answer("a", "b")


def test_how_far_many_passes_are(model_of):
    told = []
    with watched(told.append):
        model_of("bert-masked").score(["one two three four five " * 100], truncate=False)
        of_passes = [*told]
        told.clear()
        model_of("bert-classifier").classify(["a film"] * 4, labels=["good", "bad"])
    assert of_passes == sorted(of_passes)
    assert len(of_passes) > 3
    assert told == [0.25, 0.5, 0.75]
