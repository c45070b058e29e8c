"""The words that may stand in a place, and how natural a text is by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from edgebert.arguments import checked_number, listed_texts
from edgebert.coverage import Coverage, Cut
from edgebert.errors import InputError, shown
from edgebert.heads import Head
from edgebert.heads.classification import softmax
from edgebert.runner import Runner, finite
from edgebert.watch import in_turn
from edgebert.windows import Window, fitting_ids, owned

__all__ = ["fill_mask", "score"]

_COPIES = 256
"""Masked copies of texts that are encoded together."""


def fill_mask(
    runner: Runner,
    head: Head,
    texts: Sequence[str],
    top_k: int,
    targets: Sequence[str] | None,
    cut: Cut,
) -> tuple[list[Any], list[Coverage]]:
    """Find the best words for each masked place of each text; of a text with one such place, a list of words alone."""
    checked_number(top_k, "top_k", "a number of words from 1 on")
    mask, mask_token = _mask_id(runner), runner.info.mask_token
    allowed = None if targets is None else _target_ids(runner, targets)
    contents = runner.contents(texts)
    for i, content in enumerate(contents):
        if not (content.ids == mask).any():
            raise InputError(f"{shown(texts[i])} has no {mask_token}, expected it where a word is to be filled in")
    windows, coverages = runner.cut(contents, cut)
    places = [_places(own, mask) for own in windows]
    answers: list[list[Any]] = [[] for _ in texts]
    for batch in runner.encode(windows):
        wanted = [(each, place) for each in batch for place in places[each.text][each.number]]
        if not wanted:
            continue
        logits = runner.logits(head, np.stack([each.states[place] for each, place in wanted]))
        for ((text, _, window, _), place), row in zip(wanted, logits, strict=True):
            alone = int((contents[text].ids == mask).sum()) == 1
            best = _best(runner, window, place, softmax(row), top_k, allowed, alone)
            answers[text].append((window.token(place), best))
    in_order = [[best for _, best in sorted(found, key=lambda pair: pair[0])] for found in answers]
    for i, found in enumerate(in_order):
        if not found:
            raise InputError(f"{shown(texts[i])} has no {mask_token} in what the model sees of it; shorten it")
    return [found[0] if len(found) == 1 else found for found in in_order], coverages


def _mask_id(runner: Runner) -> int:
    mask_token = runner.info.mask_token
    mask = runner.tokenizer.id_of(mask_token) if mask_token else None
    if mask is None:
        raise InputError("the model's tokenizer has no token for a masked word")
    return mask


def _target_ids(runner: Runner, targets: Sequence[str]) -> np.ndarray:
    """Return the ids of target words, each once; a word is a token of the vocabulary, or becomes one."""
    ids = []
    for target in listed_texts(targets, "targets", "word"):
        found = runner.tokenizer.id_of(target)
        if found is None:
            parts = runner.tokenizer.content(target).ids
            if len(parts) != 1:
                raise InputError(f"target {target!r} is {len(parts)} tokens to the model, expected words of one")
            found = runner.tokenizer.checked_id(target, int(parts[0]))
        ids.append(found)
    if not ids:
        raise InputError("targets is empty, expected at least one word")
    return np.array(list(dict.fromkeys(ids)))


def _places(windows: Sequence[Window], mask: int) -> list[list[int]]:
    """Return where in each window of a text the masked words stand that are its own."""
    return [
        [row for row in _rows(window, *part) if window.ids[row] == mask]
        for window, part in zip(windows, owned(windows), strict=True)
    ]


def _rows(window: Window, first: int, last: int) -> range:
    """Return where tokens of the text stand in a window, one by one."""
    rows = window.rows(first, last)
    return range(rows.start, rows.stop)


def _best(
    runner: Runner,
    window: Window,
    place: int,
    chances: np.ndarray,
    top_k: int,
    allowed: np.ndarray | None,
    alone: bool,
) -> list[dict[str, Any]]:
    """Return the best words in a place, as transformers' pipeline does."""
    candidates = np.arange(len(chances)) if allowed is None else allowed
    values = chances[candidates]
    count = min(top_k, len(values))
    order = np.argpartition(-values, count - 1)[:count]
    order = order[np.lexsort((candidates[order], -values[order]))]
    results = []
    for i in order.tolist():
        token = int(candidates[i])
        ids = window.ids.tolist()
        ids[place] = token
        ids = [i for i in ids if i != runner.config.pad_token_id]
        results.append(
            {
                "score": float(values[i]),
                "token": token,
                "token_str": runner.tokenizer.decode([token]),
                # Other masks would vanish with the special tokens.
                "sequence": runner.tokenizer.decode(ids, skip_special=alone),
            }
        )
    return results


def score(runner: Runner, head: Head, texts: Sequence[str], cut: Cut) -> tuple[list[dict[str, Any]], list[Coverage]]:
    """Add up the logarithms of the probabilities of each text's tokens, every one masked in turn."""
    mask = _mask_id(runner)
    contents = runner.contents(texts)
    windows, coverages = runner.cut(contents, cut)
    fitting_ids([window for own in windows for window in own], runner.config)  # of what is masked below, too
    totals, counts = np.zeros(len(texts)), np.zeros(len(texts), int)
    copies = [
        _Copy(text, window, row)
        for text, own in enumerate(windows)
        for window, part in zip(own, owned(own), strict=True)
        for row in _rows(window, *part)
    ]
    for begin in in_turn(range(0, len(copies), _COPIES)):
        some = copies[begin : begin + _COPIES]
        for copy, chance in zip(some, _log_chances(runner, head, mask, some), strict=True):
            totals[copy.text] += chance
            counts[copy.text] += 1
    return [_result(total, count) for total, count in zip(totals.tolist(), counts.tolist(), strict=True)], coverages


class _Copy(NamedTuple):
    """A window of a text in which one token, the one in `row`, is to be masked."""

    text: int
    window: Window
    row: int

    def masked(self, mask: int) -> Window:
        ids = self.window.ids.copy()
        ids[self.row] = mask
        return self.window._replace(ids=ids)


def _log_chances(runner: Runner, head: Head, mask: int, copies: Sequence[_Copy]) -> np.ndarray:
    """Return the logarithm of the probability of each token that is masked in turn: float64 (copies,)."""
    result = np.empty(len(copies))
    for batch in runner.encode([[copy.masked(mask)] for copy in copies]):
        some = [copies[each.text] for each in batch]
        logits = runner.logits(head, np.stack([each.states[copy.row] for each, copy in zip(batch, some, strict=True)]))
        for each, copy, row in zip(batch, some, logits.astype(np.float64), strict=True):
            highest = row.max()
            result[each.text] = row[copy.window.ids[copy.row]] - highest - np.log(np.exp(row - highest).sum())
    return result


def _result(total: float, count: int) -> dict[str, Any]:
    with np.errstate(over="ignore"):  # what float64 cannot hold is infinite, and refused as such
        perplexity = finite(np.exp(-total / max(count, 1)), "perplexities")
    return {"score": total, "tokens": count, "perplexity": float(perplexity)}
