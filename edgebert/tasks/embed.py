"""Vectors of texts, and of their tokens."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from edgebert.arguments import checked_flag, checked_number, checked_text
from edgebert.choices import POOLINGS
from edgebert.coverage import Coverage, Cut
from edgebert.errors import InputError, shown
from edgebert.heads.pooling import Pipeline, poolings_of
from edgebert.runner import Runner, finite

__all__ = ["check_embedding_options", "embed", "prompt_of"]


def check_embedding_options(
    pooling: str | None, normalize: bool | None, dimensions: int | None, pipeline: Pipeline, hidden_size: int
) -> None:
    """Refuse options that no vector could be made with.

    Raises
    ------
    InputError
    """
    if normalize is not None:
        checked_flag(normalize, "normalize")
    if isinstance(pooling, str) and pooling == "none":
        if dimensions is not None:
            raise InputError(
                f"dimensions is {shown(dimensions)}, expected None with pooling none, which cuts no vectors"
            )
        return
    if pooling is not None and not (isinstance(pooling, str) and set(poolings_of(pooling)) <= set(POOLINGS)):
        raise InputError(
            f"pooling is {shown(pooling)}, expected one of {', '.join(POOLINGS)}, several with + between, or none for"
            " all tokens"
        )
    count, own = len(poolings_of(pooling or pipeline.pooling)), len(poolings_of(pipeline.pooling))
    if pipeline.dense and count != own:
        raise InputError(
            f"pooling is {pooling!r}, but the model's Dense modules read what {pipeline.pooling} gives: expected"
            f" {own} of {', '.join(POOLINGS)}"
        )
    width = pipeline.width(hidden_size, pooling)
    if dimensions is not None:
        checked_number(dimensions, "dimensions", f"a number from 1 to {width}", most=width)


def prompt_of(prompts: Mapping[str, str], default: str, prompt: str | None, prompt_name: str | None) -> str:
    """Return what is to be put before every text.

    Raises
    ------
    InputError
        When there is no prompt of that name, or both are given.
    """
    if prompt is not None and prompt_name is not None:
        raise InputError("both prompt and prompt_name are given, expected one of them")
    if prompt is not None:
        return checked_text(prompt, "prompt")
    name = default if prompt_name is None else prompt_name
    if not isinstance(name, str) or (name and name not in prompts):
        known = f"expected one of {', '.join(prompts)}" if prompts else "but the model has no prompts"
        raise InputError(f"prompt_name is {shown(name)}, {known}")
    return prompts[name] if name else ""


def embed(
    runner: Runner,
    texts: Sequence[str],
    pooling: str | None,
    normalize: bool | None,
    dimensions: int | None,
    prompt: str = "",
) -> tuple[list[np.ndarray], list[Coverage]]:
    """Compute the vector of each text from what fits the model; with pooling none, those of its tokens."""
    windows, coverages = runner.cut(runner.contents(prompt + text for text in texts), Cut(truncate=True))
    skipped = 0
    if prompt and not runner.info.include_prompt:
        skipped = windows[0][0].begin + len(runner.tokenizer.content(prompt).ids) if windows else 0
    vectors: list[np.ndarray] = [np.empty(0, np.float32)] * len(texts)
    for text, _, _, states in itertools.chain.from_iterable(runner.encode(windows)):
        if pooling == "none":
            vectors[text] = states.copy()
        elif not len(states):
            raise InputError(
                f"texts[{text}] is {texts[text][:40]!r}, and the model's tokenizer makes no token of it; leave it out"
            )
        else:
            first = skipped if skipped < len(states) else 0
            vectors[text] = finite(runner.embedding(states, pooling, normalize, dimensions, first), "vectors")
    return vectors, coverages
