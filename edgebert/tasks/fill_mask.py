"""The words that may stand in a place, and how natural a text is by them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgebert.arguments import checked_number, listed_texts
from edgebert.errors import InputError, shown
from edgebert.heads import Head
from edgebert.heads.classification import softmax
from edgebert.runner import Cut, Extent, Runner, finite
from edgebert.tasks.tag import owned
from edgebert.tokens import Window, fitting_ids

__all__ = ["fill_mask", "score"]

_COPIES = 256
"""Masked copies of texts that are encoded together."""


def fill_mask(
    runner: Runner,
    head: Head,
    mask_token: str,
    texts: Sequence[str],
    top_k: int,
    targets: Sequence[str] | None,
    cut: Cut,
) -> tuple[list[Any], list[Extent]]:
    """Do what `edgebert.Model.fill_mask` says."""
    checked_number(top_k, "top_k", "a number of words from 1 on")
    mask = _mask_id(runner, mask_token)
    allowed = None if targets is None else _target_ids(runner, targets)
    contents = runner.contents(texts)
    for i, content in enumerate(contents):
        if not (content.ids == mask).any():
            raise InputError(f"{shown(texts[i])} has no {mask_token}, expected it where a word is to be filled in")
    windows, owners, extents = runner.cut(contents, cut)
    places = _places(windows, owners, mask)
    answers: list[list[Any]] = [[] for _ in texts]
    for indices, hidden in runner.encode(windows):
        wanted = [
            (index, place, states[place])
            for index, states in zip(indices, hidden, strict=True)
            for place in places[index]
        ]
        if not wanted:
            continue
        logits = runner.logits(head, np.stack([row for _, _, row in wanted]))
        for (index, place, _), row in zip(wanted, logits, strict=True):
            alone = int((contents[owners[index]].ids == mask).sum()) == 1
            best = _best(runner, windows[index], place, softmax(row), top_k, allowed, alone)
            answers[owners[index]].append((windows[index].first + place, best))
    in_order = [[best for _, best in sorted(found, key=lambda pair: pair[0])] for found in answers]
    for i, found in enumerate(in_order):
        if not found:
            raise InputError(f"{shown(texts[i])} has no {mask_token} in what the model sees of it; shorten it")
    return [found[0] if len(found) == 1 else found for found in in_order], extents


def _mask_id(runner: Runner, mask_token: str) -> int:
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


def _places(windows: Sequence[Window], owners: Sequence[int], mask: int) -> list[list[int]]:
    """Return where in each window the masked words are that are its own."""
    places = []
    bounds = np.searchsorted(owners, np.arange(owners[-1] + 2)).tolist() if owners else [0]
    for begin, end in itertools.pairwise(bounds):
        own = windows[begin:end]
        for window, (first, last) in zip(own, owned(own), strict=True):
            at = window.begin - window.first
            inside = window.ids[at + first : at + last] == mask
            places.append((np.flatnonzero(inside) + at + first).tolist())
    return places


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


def score(
    runner: Runner, head: Head, mask_token: str, texts: Sequence[str], cut: Cut
) -> tuple[list[dict[str, Any]], list[Extent]]:
    """Do what `edgebert.Model.score` says."""
    mask = _mask_id(runner, mask_token)
    contents = runner.contents(texts)
    windows, owners, extents = runner.cut(contents, cut)
    fitting_ids(windows, runner.config)  # of what is masked below, too
    totals, counts = np.zeros(len(texts)), np.zeros(len(texts), int)
    bounds = np.searchsorted(owners, np.arange(len(texts) + 1)).tolist()
    copies: list[tuple[Window, int, int]] = []  # window, the place that is masked in it, the text
    for i in range(len(texts)):
        own = windows[bounds[i] : bounds[i + 1]]
        for window, (first, last) in zip(own, owned(own), strict=True):
            at = window.begin - window.first
            copies += [(window, place, i) for place in range(at + first, at + last)]
    for begin in range(0, len(copies), _COPIES):
        part = copies[begin : begin + _COPIES]
        for (window, place, i), chance in zip(part, _log_chances(runner, head, mask, part), strict=True):
            del window, place
            totals[i] += chance
            counts[i] += 1
    return [_result(total, count) for total, count in zip(totals.tolist(), counts.tolist(), strict=True)], extents


def _log_chances(runner: Runner, head: Head, mask: int, copies: Sequence[tuple[Window, int, int]]) -> np.ndarray:
    """Return the logarithm of the probability of each token that is masked in turn."""
    masked = []
    for window, place, _ in copies:
        ids = window.ids.copy()
        ids[place] = mask
        masked.append(window._replace(ids=ids))
    result = np.empty(len(copies))
    for indices, hidden in runner.encode(masked):
        rows = np.stack([states[copies[i][1]] for i, states in zip(indices, hidden, strict=True)])
        logits = runner.logits(head, rows)
        for i, row in zip(indices, logits.astype(np.float64), strict=True):
            window, place, _ = copies[i]
            highest = row.max()
            result[i] = row[window.ids[place]] - highest - np.log(np.exp(row - highest).sum())
    return result


def _result(total: float, count: int) -> dict[str, Any]:
    with np.errstate(over="ignore"):  # what float64 cannot hold is infinite, and refused as such
        perplexity = finite(np.exp(-total / max(count, 1)), "perplexities")
    return {"score": total, "tokens": count, "perplexity": float(perplexity)}
