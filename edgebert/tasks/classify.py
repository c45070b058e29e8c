"""Labels for texts and pairs, by a classifier that was trained for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgebert.arguments import Text, checked_choice, checked_number
from edgebert.choices import FUNCTIONS
from edgebert.coverage import Coverage, Cut
from edgebert.errors import InputError
from edgebert.heads import Head
from edgebert.heads.classification import pool_windows, ranked, scores
from edgebert.heads.next_sentence import NEXT_SENTENCE_LABELS
from edgebert.runner import Runner

__all__ = ["check_top_k", "classify", "next_sentence", "pair_logits", "pooled_scores", "prompt_of_pairs"]


def pair_logits(runner: Runner, head: Head, texts: Sequence[Text], cut: Cut) -> tuple[list[np.ndarray], list[Coverage]]:
    """Return the logits of the windows of each text or pair, float32 (windows, labels), and how much was seen."""
    pairs = [(None, text) if isinstance(text, str) else text for text in texts]
    tokenizer = runner.tokenizer
    if runner.info.pair_texts and any(first is None for first, _ in pairs):
        raise InputError(f"{runner.source.path.name} scores pairs of texts, a query and a document; expected pairs")
    contents = [
        (None, tokenizer.content(second)) if first is None else tokenizer.pair(first, second) for first, second in pairs
    ]
    windows, coverages = runner.cut([second for _, second in contents], cut, [first for first, _ in contents])
    return runner.text_logits(windows, head), coverages


def pooled_scores(logits: np.ndarray, function: str, pool: str) -> np.ndarray:
    """Turn the logits of a text's windows, (windows, labels), into its scores, float64 (labels,)."""
    return pool_windows(scores(logits, function), pool)


def check_top_k(top_k: int | None, things: str) -> None:
    """Refuse a number of answers that is none; raise InputError."""
    if top_k is not None:
        checked_number(top_k, "top_k", f"a number of {things} from 1 on, or None for all")


def classify(
    runner: Runner,
    head: Head,
    texts: Sequence[Text],
    top_k: int | None,
    function: str | None,
    pool: str,
    cut: Cut,
) -> tuple[list[Any], list[Coverage]]:
    """Find the best of the classifier's labels for each text or pair: one, or a list of them unless `top_k` is 1."""
    check_top_k(top_k, "labels")
    if function is not None:
        checked_choice(function, "function_to_apply", FUNCTIONS.values())
    info, prompt = runner.info, prompt_of_pairs(runner)
    prompted = [prompt + text if isinstance(text, str) else (prompt + text[0], text[1]) for text in texts]
    each, coverages = pair_logits(runner, head, prompted, cut)
    function = function or head.function(info.problem_type)
    results = [ranked(pooled_scores(logits, function, pool), info.labels, top_k) for logits in each]
    return [result[0] for result in results] if top_k == 1 else results, coverages


def prompt_of_pairs(runner: Runner) -> str:
    """Return what a cross-encoder of sentence-transformers puts before every text, or the first one of a pair."""
    if runner.info.pair_texts:  # which has it within
        return ""
    return runner.info.prompts.get(runner.info.default_prompt, "")


def next_sentence(
    runner: Runner, head: Head, pairs: Sequence[Text], cut: Cut
) -> tuple[list[dict[str, Any]], list[Coverage]]:
    """Tell whether the second text of each pair follows the first, by what fits of both."""
    each, coverages = pair_logits(runner, head, pairs, cut)
    return [ranked(pooled_scores(logits, "softmax", "first"), NEXT_SENTENCE_LABELS, 1)[0] for logits in each], coverages
