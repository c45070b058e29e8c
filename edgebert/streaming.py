"""Answers to any number of texts, a bounded piece at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from edgebert.arguments import (
    checked_callable,
    checked_choice,
    checked_flag,
    checked_iterator,
    checked_number,
    pair_at,
    text_at,
    text_or_pair_at,
)
from edgebert.coverage import Coverage, OnCoverage, Unseen
from edgebert.errors import InputError
from edgebert.watch import watched

if TYPE_CHECKING:
    from edgebert.cli.progress import Advance
    from edgebert.model_base import LoadedModel

__all__ = ["BATCH", "stream"]

BATCH = 512
"""Texts that are asked about together: some seconds of work, and enough of every length to fill batches."""

_CHECKS: dict[str, Callable[[Any, str, int], Any]] = {
    **dict.fromkeys(("embed", "embed_sparse", "embed_tokens", "fill_mask", "score", "tag"), text_at),
    "classify": text_or_pair_at,
    "next_sentence": pair_at,
}
"""The tasks that have one answer for each text, or pair, and what checks one."""


def stream(
    model: LoadedModel, task: str, texts: Iterable[Any], batch: int, progress: bool, options: dict[str, Any]
) -> Iterator[Any]:
    """Check what `Model.stream` was given, and return the iterator that it returns."""
    checked_choice(task, "task", sorted(_CHECKS))
    checked_number(batch, "batch", "a number of texts from 1 on")
    checked_flag(progress, "progress")
    on_coverage = checked_callable(options.pop("on_coverage", None), "on_coverage")
    ask = getattr(model, task)
    # Each batch reads them anew, and so does the trial: what can be read once is kept.
    options = {name: list(value) if isinstance(value, Iterator) else value for name, value in options.items()}
    try:
        ask([], **options)  # now, not at the first text: a wrong option is the caller's line
    except TypeError as error:
        raise InputError(f"{task} has no such options: {error}") from error
    thing = "pair" if task == "next_sentence" else "text"
    total = len(texts) if isinstance(texts, Sized) else None
    values = checked_iterator(texts, f"{thing}s", thing)
    items = (_CHECKS[task](value, f"{thing}s", index) for index, value in enumerate(values))

    def answers(advance: Advance | None) -> Iterator[Any]:
        return _answers(
            lambda some, told: ask(some, **options, on_coverage=told), items, batch, on_coverage, model, advance
        )

    return _shown(answers, total) if progress else answers(None)


def _answers(
    ask: Callable[[list[Any], OnCoverage], Iterable[Any]],
    items: Iterator[Any],
    batch: int,
    on_coverage: OnCoverage | None,
    model: LoadedModel,
    advance: Advance | None,
) -> Iterator[Any]:
    unseen = Unseen(model.max_length)
    count = 0
    while some := list(itertools.islice(items, batch)):
        coverages: list[Coverage] = []
        with _watched(advance, count, len(some)):
            answers = ask(some, lambda _, coverage: coverages.append(coverage))  # noqa: B023 (called at once)
        if on_coverage is None:
            unseen.add(coverages)
        else:
            for index, coverage in enumerate(coverages, start=count):
                on_coverage(index, coverage)
        for answer in answers:
            yield answer
            count += 1
            if advance is not None:
                advance(count, count)
    unseen.warn()


def _watched(advance: Advance | None, count: int, size: int) -> AbstractContextManager[None]:
    """Watch a question about so many texts, before which there were `count`, if there is a bar."""
    if advance is None:
        return nullcontext()
    from edgebert.cli.progress import between

    return watched(between(advance, (count, count), (count + size, count + size)))


def _shown(answers: Callable[[Advance], Iterator[Any]], total: int | None) -> Iterator[Any]:
    """Show a bar while answers are fetched."""
    from edgebert.cli.progress import show_progress

    with show_progress(total, visible=True) as advance:
        yield from answers(advance)
