"""Spans: right places in every script, words never cut, nothing lost between windows."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebert.choices import STRATEGIES
from edgebert.errors import InputError
from edgebert.evaluate.float32 import load_float32
from edgebert.heads.tokens import entities
from edgebert.tasks.tag import _at_least
from edgebert.windows import Window, owned
from tests.golden import GOLDEN

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
MODELS = ("bert-token", "roberta-token", "xlm-roberta-token")
SCRIPTS = [
    "José and Zoë liked it",
    "Cafe\u0301 nai\u0308ve Zoe\u0308",
    "🙂 Alice 👩\u200d👩\u200d👧 Bob 🇩🇪",
    "中文电影很好看 with 好看",
    "שלום Alice עולם and مرحبا Bob",
    "a\tb\r\nc\u00a0d  Alice\n\nBob",
    "x\u0300\u0301\u0302 Alice",
]


def tokens(*tags):
    """Return the arguments of `entities` for a text of tokens ``aa bb cc ...``, a tag for each; ``+`` continues."""
    names = [tag.removeprefix("+") for tag in tags]
    scores = np.full((len(tags), len(LABELS)), 0.1)
    scores[np.arange(len(tags)), [LABELS.index(name) for name in names]] = 0.6
    text, starts = "", []
    for i, tag in enumerate(tags):
        text += "" if tag.startswith("+") or not i else " "
        starts.append(len(text))
        text += chr(97 + i) * 2
    starts = np.array(starts, int)
    return text, scores, starts, starts + 2, np.array([tag.startswith("+") for tag in tags], bool)


def spans(strategy, *tags, ignored=("O",)):
    found = entities(*tokens(*tags), LABELS, strategy, ignored)
    return [(each.get("entity_group") or each["entity"], each["word"]) for each in found]


def test_neighbours_of_one_kind_are_one_span():
    assert spans("first", "B-PER", "I-PER", "O", "I-PER") == [("PER", "aa bb"), ("PER", "dd")]
    assert spans("simple", "B-PER", "B-PER") == [("PER", "aa"), ("PER", "bb")]
    assert spans("first", "B-PER", "I-LOC", "I-LOC") == [("PER", "aa"), ("LOC", "bb cc")]
    assert spans("none", "B-PER", "I-PER", "O") == [("B-PER", "aa"), ("I-PER", "bb")]


def test_words_are_never_cut_but_by_the_simple_strategies():
    tags = ("B-PER", "+O", "+B-LOC")
    assert spans("first", *tags) == [("PER", "aabbcc")]
    assert spans("simple", *tags) == [("PER", "aa"), ("LOC", "cc")]
    text, scores, *rest = tokens(*tags)
    scores[2, 3] = 0.9
    assert [each["entity_group"] for each in entities(text, scores, *rest, LABELS, "max", ("O",))] == ["LOC"]
    assert [each["entity_group"] for each in entities(text, scores, *rest, LABELS, "average", ("O",))] == ["LOC"]


def test_labels_may_be_asked_for_and_left_out():
    assert spans("first", "O", "B-PER", ignored=()) == [("O", "aa"), ("PER", "bb")]
    assert spans("first", "B-LOC", "B-PER", ignored=("O", "PER")) == [("LOC", "aa")]
    assert spans("first", "+B-PER", "O") == [("PER", "aa")]  # a first token that continues nothing
    assert spans("first") == []


def test_with_a_threshold_a_word_is_tagged_as_soon_as_one_of_its_tokens_is_sure_enough():
    """The sum of all labels but the ignored ones counts, and is the score."""
    text, scores, *rest = tokens("O", "+O", "O")
    scores[1] = [0.5, 0.1, 0.1, 0.25, 0.05]

    def found(least):
        marked = _at_least(scores.astype(np.float32), LABELS, {"O"}, least)
        result = entities(text, marked, *rest, LABELS, "max", ("O",))
        return [(each["entity_group"], each["word"], round(each["score"], 3)) for each in result]

    assert found(0.4) == found(0.0) == [("LOC", "aabb", 0.5), ("PER", "cc", 0.4)]
    assert found(0.5) == [("LOC", "aabb", 0.5)]
    assert found(0.51) == []


def test_a_threshold_of_a_model(model_of):
    model, text = model_of("bert-token"), "Alice went to Zürich, and Bo to Kiel."
    (everything,) = model.tag([text], "none", threshold=0)
    (some,) = model.tag([text], "none", threshold=0.6)
    (nothing,) = model.tag([text], "none", threshold=1)
    assert len(everything) > len(some) >= len(nothing) == 0
    assert all(0.6 <= each["score"] <= 1 and each["entity"] != "O" for each in some)
    for wrong in (-0.1, 1.5, "0.5", True, float("nan")):
        with pytest.raises(InputError, match=r"threshold is .*, expected a number from 0 to 1"):
            model.tag([text], threshold=wrong)


def test_the_score_of_a_span_is_the_mean_of_its_words():
    text, scores, *rest = tokens("B-PER", "I-PER")
    scores[1, 2] = 0.8
    (found,) = entities(text, scores, *rest, LABELS, "first", ("O",))
    assert found["score"] == pytest.approx(0.7)
    assert (found["start"], found["end"]) == (0, len(text))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_word_is_what_stands_at_its_place(model_of, name, strategy):
    for text, found in zip(SCRIPTS, model_of(name).tag(SCRIPTS, strategy, ignore_labels=()), strict=True):
        assert found
        for each in found:
            # A byte-level tokenizer's token may be a space alone, which is left out of its place.
            assert text[each["start"] : each["end"]] == each["word"]
            assert each["word"] or name.startswith("roberta")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("text", SCRIPTS)
def test_words_that_are_separated_by_space_stay_whole(model_of, name, text):
    """No span begins or ends between two letters, or before a letter's own marks."""
    for each in model_of(name).tag([text], "first", ignore_labels=())[0]:
        for at in (each["start"], each["end"]):
            inside = 0 < at < len(text) and text[at - 1].isalpha() and text[at].isalpha()
            assert not inside or text[at] > "\u2e80" or text[at - 1] > "\u2e80", (each, text)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(max_size=120), max_size=6), order=st.randoms())
def test_any_texts_in_any_company(model_of, texts, order):
    model = model_of("bert-token")
    together = model.tag(texts, ignore_labels=())
    places = list(range(len(texts)))
    order.shuffle(places)
    assert model.tag([texts[i] for i in places], ignore_labels=()) == [together[i] for i in places]
    for text, found in zip(texts, together, strict=True):
        assert model.tag([text], ignore_labels=()) == [found]
        assert all(text[each["start"] : each["end"]] == each["word"] for each in found)


def spans_of(labels, pieces, strategy="first"):
    """Return the spans of a text in pieces, each with the tag of its token, which is a word; None where it is none."""
    text = "".join(piece for piece, _ in pieces)
    ends = np.cumsum([len(piece) for piece, _ in pieces])
    tagged = [i for i, (_, tag) in enumerate(pieces) if tag is not None]
    scores = np.full((len(tagged), len(labels)), 0.1)
    scores[np.arange(len(tagged)), [labels.index(pieces[i][1]) for i in tagged]] = 0.6
    starts = np.array([ends[i] - len(pieces[i][0]) for i in tagged])
    found = entities(text, scores, starts, ends[tagged], np.zeros(len(tagged), bool), labels, strategy, ("O",))
    return [(each["entity_group"], each["word"]) for each in found]


SPACE = (" ", None)


@pytest.mark.parametrize("form", ["{}-{}", "{}_{}", "{1}-{0}", "{1}_{0}"])
@pytest.mark.parametrize("strategy", STRATEGIES[1:])
@pytest.mark.parametrize(("begin", "end", "alone"), ["BES", "BLU", "BIB", "III"])
def test_spans_of_every_scheme(form, strategy, begin, end, alone):
    labels = [
        "O",
        *(form.format(place, name) for name in ("date-of-birth", "LOC") for place in sorted({"I", begin, end, alone})),
    ]

    def tag(place, name):
        return form.format(place, name)

    pieces = [("Al", tag(begin, "LOC")), SPACE, ("Sm", tag("I", "LOC")), SPACE, ("Jo", tag(end, "LOC")), SPACE]
    pieces += [("Bo", tag(alone, "date-of-birth")), SPACE, ("x", "O"), SPACE, ("Cy", tag(alone, "date-of-birth"))]
    expected = [("LOC", "Al Sm Jo"), ("date-of-birth", "Bo"), ("date-of-birth", "Cy")]
    assert spans_of(labels, pieces, strategy) == expected


def test_an_end_and_a_begin_part_neighbours_of_one_kind():
    labels = ["O", "B-PER", "I-PER", "E-PER", "S-PER"]
    assert spans_of(labels, [("a", "S-PER"), SPACE, ("b", "S-PER")]) == [("PER", "a"), ("PER", "b")]
    assert spans_of(labels, [("a", "E-PER"), SPACE, ("b", "I-PER")]) == [("PER", "a"), ("PER", "b")]
    assert spans_of(labels, [("a", "I-PER"), SPACE, ("b", "B-PER")]) == [("PER", "a"), ("PER", "b")]


def test_names_with_hyphens_that_are_no_tags():
    labels = ["O", "E-MAIL", "date-of-birth"]
    assert spans_of(labels, [("a", "E-MAIL"), SPACE, ("b", "E-MAIL")]) == [("E-MAIL", "a b")]
    assert spans_of(labels, [("a", "date-of-birth")], "simple") == [("date-of-birth", "a")]


def test_parts_of_one_thing_that_are_all_tagged_as_its_begin():
    labels = ["O", "B-EMAIL", "I-EMAIL"]
    address = [(part, "B-EMAIL") for part in ("bob", ".", "s", "@", "example", ".", "co")]
    assert spans_of(labels, [("to", "O"), SPACE, *address, SPACE, ("x", "O")]) == [("EMAIL", "bob.s@example.co")]
    assert spans_of(labels, [*address, SPACE, *address]) == [("EMAIL", "bob.s@example.co")] * 2
    assert len(spans_of(labels, address, "simple")) == len(address)  # as transformers has it
    names = [("王", "B-EMAIL"), ("明", "I-EMAIL"), ("李", "B-EMAIL"), ("雷", "I-EMAIL")]
    assert spans_of(labels, names) == [("EMAIL", "王明"), ("EMAIL", "李雷")]
    assert spans_of(labels, [("Al/", "B-EMAIL"), ("Bo", "B-EMAIL")]) == [("EMAIL", "Al"), ("EMAIL", "Bo")]


def test_no_span_is_empty_and_none_has_space_at_its_ends():
    labels = ["O", "B-PER", "I-PER"]
    pieces = [("", "B-PER"), (" a", "B-PER"), (" ", "I-PER"), ("\n", "B-PER"), ("b", "O")]
    assert spans_of(labels, pieces) == [("PER", "a")]
    assert all(word.strip() for _, word in spans_of(labels, pieces, "simple"))


def test_a_span_has_all_of_its_last_letter():
    labels = ["O", "B-PER", "B-LOC"]
    assert spans_of(labels, [("Zoe", "B-PER"), ("\u0308", None), SPACE, ("x", "O")]) == [("PER", "Zoe\u0308")]
    assert spans_of(labels, [("e", "B-PER"), ("\u0301", "B-LOC")]) == [("PER", "e\u0301")]  # and no two share one


@pytest.fixture(scope="module")
def toy():
    """Return a function: name of a toy model that was trained on a few sentences -> the model, in float32."""
    return functools.cache(lambda name: load_float32(GOLDEN.parent / "words" / name))


@pytest.mark.parametrize("strategy", ["first", "average", "max"])
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"Bob" said hello.', ["Bob"]),
        ("The cat (Carol) sat, and Dave, ran to Rome!", ["Carol", "Dave", "Rome"]),
        ("The Carol/Dave thing", ["Carol", "Dave"]),
        ("Alice, Bob; Carol: Dave.", ["Alice", "Bob", "Carol", "Dave"]),
        ("\u201cAlice\u201d \xabBob\xbb \u2014Carol\u2014", ["Alice", "Bob", "Carol"]),
    ],
)
def test_punctuation_is_no_part_of_a_name(toy, strategy, text, names):
    assert [each["word"] for each in toy("ner_xlmr_punctuation").tag([text], strategy)[0]] == names


def test_an_accent_of_its_own_is_part_of_a_name(toy):
    assert [each["word"] for each in toy("ner_xlmr_punctuation").tag(["Dave\u0301 ran"])[0]] == ["Dave\u0301"]


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_a_model_with_ends_and_single_tags(toy, strategy):
    (found,) = toy("ner_bioes").tag(["Alice Smith lives in New York"], strategy)
    assert [(each["entity_group"], each["word"]) for each in found] == [("PER", "Alice Smith"), ("LOC", "New York")]


def window(first, last):
    return Window(np.zeros(0, np.int32), np.zeros(0, np.int32), 1, first, last)


def test_of_a_token_in_two_windows_the_one_that_sees_more_around_it_decides():
    assert list(owned([window(0, 7)])) == [(0, 7)]
    assert list(owned([window(0, 10), window(6, 16), window(12, 20)])) == [(0, 8), (8, 14), (14, 20)]


@pytest.mark.parametrize("name", MODELS)
def test_spans_cross_from_window_to_window(model_of, name):
    """A text of one word over and over: with every label shown, spans without gaps over all windows."""
    model = model_of(name)
    text = ("Alice and Bob liked the café. " * 40).strip()
    coverages = []
    found = model.tag([text], "none", ignore_labels=(), on_coverage=lambda _, coverage: coverages.append(coverage))[0]
    assert coverages[0].windows > 3
    assert not coverages[0].truncated
    assert [each["index"] for each in found] == list(range(1, len(found) + 1))
    assert len(found) == coverages[0].tokens - 2
    assert found[-1]["end"] == len(text)
    groups = model.tag([text], "first", ignore_labels=())[0]
    covered = np.zeros(len(text), bool)
    for each in groups:
        covered[each["start"] : each["end"]] = True
    assert all(covered[i] or text[i] == " " for i in range(len(text)))
    short = model.tag([text], "none", ignore_labels=(), truncate=True, on_coverage=lambda *_: None)[0]
    assert len(short) == model.max_length - 2


def test_what_is_no_strategy(model_of):
    with pytest.raises(InputError, match="aggregation_strategy is 'last', expected one of none, simple, first"):
        model_of("bert-token").tag(["a"], "last")


def test_labels_to_ignore_may_come_from_a_generator(model_of):
    model = model_of("bert-token")
    texts = ["Alice and Bob", "the film"] * 2
    assert model.tag(texts, ignore_labels=(label for label in LABELS)) == model.tag(texts, ignore_labels=LABELS)
