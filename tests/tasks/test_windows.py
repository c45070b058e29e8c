"""Long texts: windows change nothing for what fits, lose nothing of what does not, and take bounded memory."""

from __future__ import annotations

import numpy as np
import pytest

from edgebert.coverage import Cut
from edgebert.errors import InputError
from edgebert.heads.classification import pool_windows, scores
from edgebert.tasks.answer import answer


def windows_of(model, text):
    """Return the windows that a text is cut into."""
    return list(model._runner.tokenizer.windows(model._runner.tokenizer.content(text)))


FITS = ["The film was good", "", "中文电影"]
LONG = "Alice and Bob liked the very good film, but unbelievable acting was not for Carol. " * 12


def coverages_of(call, *arguments, **options):
    """Return what a method says, and how much was seen."""
    seen = {}
    return call(*arguments, **options, on_coverage=seen.__setitem__), [seen[i] for i in sorted(seen)]


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("bert-classifier", lambda model, **options: model.classify(FITS, None, **options)),
        ("bert-classifier", lambda model, **options: model.classify([("a film", "a story")], None, **options)),
        ("bert-classifier", lambda model, **options: model.classify(FITS, labels=["good", "bad"], **options)),
        ("roberta-classifier", lambda model, **options: model.rank("good film", FITS, **options)),
        ("bert-token", lambda model, **options: model.tag(FITS, ignore_labels=(), **options)),
        ("bert-masked", lambda model, **options: model.fill_mask(["a [MASK] film"], **options)),
        ("bert-masked", lambda model, **options: model.score(FITS, **options)),
        ("bert-question", lambda model, **options: model.answer("who?", "Alice liked it", **options)),
    ],
)
def test_what_fits_one_window_gives_the_same_bits_with_windows_on_and_off(model_of, name, ask):
    model = model_of(name)
    assert ask(model) == ask(model, truncate=True) == ask(model, stride=3)


def test_classes_of_a_long_text_are_pooled_over_its_windows(model_of):
    model = model_of("bert-classifier")
    runner, head = model._runner, model._runner.heads["sequence_classification"]
    windows = list(runner.tokenizer.windows(runner.tokenizer.content(LONG)))
    assert len(windows) > 2
    each = scores(runner.text_logits([windows], head)[0], "softmax")
    for pool, expected in (("mean", each.mean(axis=0)), ("max", each.max(axis=0)), ("first", each[0])):
        (found,), (coverage,) = coverages_of(model.classify, [LONG], None, pool=pool)
        assert {r["label"]: r["score"] for r in found} == pytest.approx(dict(zip(model.labels, expected, strict=True)))
        assert (coverage.windows, coverage.truncated) == (len(windows), False)
    assert model.classify([LONG], None, pool="first") == model.classify(
        [LONG], None, truncate=True, on_coverage=lambda *_: None
    )


def test_pool_windows():
    values = np.array([[0.2, 0.8], [0.6, 0.4]])
    assert pool_windows(values, "mean").tolist() == pytest.approx([0.4, 0.6])
    assert pool_windows(values, "max").tolist() == [0.6, 0.8]
    assert pool_windows(values, "first").tolist() == [0.2, 0.8]
    with_one = values[:1]
    assert all((pool_windows(with_one, pool) == with_one[0]).all() for pool in ("mean", "max", "first"))


def test_an_answer_is_found_wherever_it_stands(model_of):
    """Of the same words, the answers of a long context are those of its windows."""
    model = model_of("bert-question")
    answers, (coverage,) = coverages_of(model.answer, "who liked the film?", LONG, top_k=5)
    assert coverage.windows > 2
    assert all(LONG[each["start"] : each["end"]] == each["answer"] for each in answers)
    assert any(each["start"] > len(LONG) // 2 for each in answers) or len({each["answer"] for each in answers}) == 5
    scores_found = [each["score"] for each in answers]
    assert scores_found == sorted(scores_found, reverse=True)


@pytest.mark.parametrize("sure", [0, 1])
def test_of_the_same_answer_in_two_windows_the_surer_one_counts(model_of, sure):
    """Whichever comes first."""
    runner, context = model_of("bert-question")._runner, "film " * 100 + "plot " * 40
    calls = []

    class Head:
        def logits(self, states):
            logits = np.zeros((len(states), 2), np.float32)
            logits[20] = 20 if len(calls) == sure else 2  # "film" in both
            calls.append(len(states))
            return logits

    (found,), (coverage,) = answer(runner, Head(), [("film", context)], 1, 1, False, True, Cut())
    assert coverage.windows == len(calls) == 2
    assert found[0]["answer"] == "film"
    assert found[0]["score"] > 0.99


def test_a_document_is_worth_what_its_best_window_is(model_of):
    model = model_of("roberta-classifier")
    (whole,) = model.rank("good film", [LONG])
    (first,) = model.rank("good film", [LONG], truncate=True, on_coverage=lambda *_: None)
    assert whole["score"] >= first["score"]


def test_a_mask_far_behind_is_filled_in(model_of):
    model = model_of("bert-masked")
    found, (coverage,) = coverages_of(model.fill_mask, [LONG + "the [MASK] was good"], top_k=2)
    assert coverage.windows > 2
    assert len(found[0]) == 2
    several = model.fill_mask(["[MASK] " + LONG + "[MASK]"], top_k=3)[0]
    assert [len(each) for each in several] == [3, 3]
    with pytest.raises(InputError, match=r"has no \[MASK\] in what the model sees of it"):
        model.fill_mask([LONG + "the [MASK]"], truncate=True)


def test_a_mask_that_two_windows_have_is_filled_in_once(model_of):
    """By the window that has most around it, and in the order of the text."""
    model = model_of("bert-masked")
    words = ["film", "plot", "story"] * 67
    for place in (5, 75, 90, 160):
        words[place] = "[MASK]"
    # Of 96 tokens 94 are words, a quarter of them in common: windows of the words from 0, 71, 142.
    assert [w.first for w in windows_of(model, " ".join(words))] == [0, 71, 142]
    (found,) = model.fill_mask([" ".join(words)], top_k=2)
    expected = [
        *model.fill_mask([" ".join(words[:94])], top_k=2)[0][:2],
        model.fill_mask([" ".join(words[71:165])], top_k=2)[0][1],
        model.fill_mask([" ".join(words[142:])], top_k=2)[0],  # the one mask of it
    ]
    assert [[each["score"] for each in place] for place in found] == [
        [each["score"] for each in place] for place in expected
    ]
    assert len({place[0]["score"] for place in found}) == 4


def test_every_token_of_a_long_text_is_scored_once(model_of):
    model = model_of("bert-masked")
    text = LONG[:500]
    (found,), (coverage,) = coverages_of(model.score, [text])
    assert found["tokens"] == coverage.tokens - 2
    assert coverage.windows > 1
    assert found["perplexity"] == pytest.approx(np.exp(-found["score"] / found["tokens"]))


@pytest.mark.parametrize("stride", [-1, 94, 1000, 10**9])
def test_a_stride_that_leaves_no_room(model_of, stride):
    with pytest.raises(InputError, match=f"stride is {stride}, expected 0 to {'as' if stride < 0 else 93}"):
        model_of("bert-token").tag(["a"], stride=stride)


def test_what_is_no_pool(model_of):
    with pytest.raises(InputError, match="pool is 'median', expected one of mean, max, first"):
        model_of("bert-classifier").classify(["a"], pool="median")


BOOK = """
import resource, sys
import edgebert
model = edgebert.load(sys.argv[1], threads=2)
words = int(sys.argv[2])
text = "Alice and Bob liked the very good film at cafe; Carol was not there. " * (words // 14)
seen = []
if "classifier" in sys.argv[1]:
    model.classify([text], on_coverage=lambda _, coverage: seen.append(coverage))
else:
    model.tag([text], on_coverage=lambda _, coverage: seen.append(coverage))
print(seen[0].tokens, seen[0].windows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert-classifier", "bert-token"])
def test_a_book_of_a_million_words_in_bounded_memory(model_of, run_python, name):
    path = model_of(name).info["file"]
    tokens, windows, peak = map(int, run_python(BOOK, path, 1_000_000).stdout.split())
    _, _, small = map(int, run_python(BOOK, path, 20_000).stdout.split())
    assert tokens > 1_000_000
    assert windows > 10_000
    # The text itself, its ids, and where each token stands: some 30 bytes a token, whatever the model.
    assert peak - small < 250, f"{peak} MiB against {small} MiB for a fiftieth of it"


def test_a_long_text_for_labels_that_nobody_trained_is_seen_whole(model_of):
    """Of pieces of words too: a window keeps its tokens, whatever its text would be tokenized to."""
    model = model_of("bert-classifier")
    found, (coverage,) = coverages_of(model.classify, ["a " + "filming " * 200], labels=["good", "bad"])
    assert not coverage.truncated
    assert coverage.windows > 5
    assert sum(found[0]["scores"]) == pytest.approx(1)


def test_an_empty_second_text_takes_nothing_from_the_first(model_of):
    model = model_of("bert-classifier")
    _, (coverage,) = coverages_of(model.classify, [("a " * 93, "")])
    assert (coverage.tokens, coverage.truncated) == (96, False)
