"""Vectors of texts, and of their tokens."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from edgebert.arguments import checked_flag, checked_number, checked_text
from edgebert.choices import POOLINGS
from edgebert.coverage import Coverage, Cut
from edgebert.errors import InputError, shown
from edgebert.heads.pooling import Pipeline, poolings_of, unit
from edgebert.runner import Encoded, Runner, finite
from edgebert.tokens import Content, TextTokenizer
from edgebert.windows import Window, owned

__all__ = [
    "DOCUMENT_PROMPTS",
    "QUERY_PROMPTS",
    "VectorOptions",
    "WindowVectors",
    "check_embedding_options",
    "embed",
    "embed_windows",
    "is_normalized",
    "mean_of_windows",
    "prompt_of",
    "prompt_tokens",
    "prompted",
    "require",
    "windows_of",
]

QUERY_PROMPTS = ("query",)
DOCUMENT_PROMPTS = ("document", "passage", "corpus")
"""Names that models give to what they want before a text that is to be found, as sentence-transformers knows them."""


_WHOLE = Cut()


class VectorOptions(NamedTuple):
    """How a vector is made of a text's tokens; None for what the model's makers meant. As `Model.embed` has them."""

    pooling: str | None = None
    normalize: bool | None = None
    dimensions: int | None = None


class WindowVectors(NamedTuple):
    """The vectors of a text's windows.

    Attributes
    ----------
    vectors : ndarray [shape=(windows, dimensions), dtype=float32]
    starts, ends : ndarray [shape=(windows,), dtype=int32]
        Where each window stands in the text [characters]: it is ``text[start:end]``.
    """

    vectors: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def require(runner: Runner) -> None:
    """Refuse a model that makes a vector of each token alone, or none.

    Raises
    ------
    InputError
    """
    if runner.info.late_interaction:
        raise InputError(
            f"{runner.source.path.name} makes a vector of each token, for late interaction, and none of a text: ask it"
            " embed_tokens() or rank()"
        )
    if runner.info.gliner:
        raise InputError(
            f"{runner.source.path.name} finds spans of any labels, and makes no vector of a text: ask it"
            " tag() with labels"
        )


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


def prompted(prompts: Collection[str], names: Iterable[str]) -> str | None:
    """Return the first of some names by which a model has a prompt, None where its default prompt is to do."""
    return next((name for name in names if name in prompts), None)


def embed(
    runner: Runner, texts: Sequence[str], options: VectorOptions, prompt: str = ""
) -> tuple[list[np.ndarray], list[Coverage]]:
    """Compute the vector of each text from what fits the model; with pooling none, those of its tokens."""
    if options.pooling != "none":
        require(runner)
    windows, coverages = runner.cut(runner.contents(prompt + text for text in texts), Cut(truncate=True))
    lead = prompt_tokens(runner.tokenizer, prompt)
    vectors: list[np.ndarray] = [np.empty(0, np.float32)] * len(texts)
    for each in itertools.chain.from_iterable(runner.encode(windows)):
        if options.pooling == "none":
            vectors[each.text] = each.states.copy()
        else:
            vectors[each.text] = _vector(runner, each, texts[each.text], options, lead)
    return vectors, coverages


def embed_windows(
    runner: Runner, texts: Sequence[str], options: VectorOptions, prompt: str = "", cut: Cut = _WHOLE
) -> tuple[list[WindowVectors], list[list[int]], list[Coverage]]:
    """Compute the vectors of all windows of each text, or of one with ``cut.truncate``; each begins with the prompt.

    Returns
    -------
    vectors : list of WindowVectors
    sizes : list of list of int
        How many tokens each window of a text answers for: one that two windows have counts once. At least 1.
    coverages : list of Coverage
    """
    require(runner)
    lead = prompt_tokens(runner.tokenizer, prompt)
    contents = runner.contents((prompt + text for text in texts), offsets=True)
    cuts = [windows_of(runner.tokenizer, content, lead, cut) for content in contents]
    windows, coverages = [own for own, _ in cuts], [coverage for _, coverage in cuts]
    found: list[list[np.ndarray]] = [[np.empty(0, np.float32)] * len(own) for own in windows]
    for each in itertools.chain.from_iterable(runner.encode(windows)):
        found[each.text][each.number] = _vector(runner, each, texts[each.text], options, lead)
    vectors, sizes = [], []
    for text, content, own, rows in zip(texts, contents, windows, found, strict=True):
        places = [_place(content, window, lead, len(prompt), len(text)) for window in own]
        starts, ends = np.array(places, np.int32).T
        vectors.append(WindowVectors(np.stack(rows), starts, ends))
        sizes.append([max(last - max(first, lead), 1) for first, last in owned(own)])
    return vectors, sizes, coverages


def mean_of_windows(windows: WindowVectors, sizes: Sequence[int], normalized: bool) -> np.ndarray:
    """Return the mean of a text's vectors, each weighing as much as its window answers for; float32 (dimensions,)."""
    if len(sizes) == 1:
        return windows.vectors[0]
    weights = np.array(sizes, np.float64)[:, None]
    # Row by row, not by BLAS, whose order of sums is the processor's.
    mean = (np.add.reduce(weights * windows.vectors, axis=0) / weights.sum()).astype(np.float32)
    return unit(mean) if normalized else mean


def is_normalized(pipeline: Pipeline, options: VectorOptions) -> bool:
    """Tell whether vectors that are made so have length one."""
    if options.normalize is not None or options.dimensions is not None:
        return pipeline.normalize if options.normalize is None else options.normalize
    return pipeline.normalize and not pipeline.truncate_dim


def prompt_tokens(tokenizer: TextTokenizer, prompt: str) -> int:
    """Return how many tokens a prompt is."""
    return len(tokenizer.content(prompt).ids) if prompt else 0


def _vector(runner: Runner, encoded: Encoded, text: str, options: VectorOptions, lead: int) -> np.ndarray:
    """Return the vector of a window of a text whose first `lead` tokens are a prompt's."""
    window, states = encoded.window, encoded.states
    if not len(states):  # not by its place: it may be one of a batch, a query, a label
        raise InputError(f"the model's tokenizer makes no token of the text {text[:40]!r}; leave it out")
    # A window that does not begin with the text's first token has the prompt before it: so its tokens begin later.
    skipped = 0
    if lead and not runner.info.include_prompt:
        skipped = window.begin if window.first else window.begin + lead
    return finite(runner.embedding(states, *options, skipped if skipped < len(states) else 0), "vectors")


def windows_of(tokenizer: TextTokenizer, content: Content, lead: int, cut: Cut) -> tuple[list[Window], Coverage]:
    """Cut a text into windows, and say how much they see; one that fits is what it is without asking for several."""
    tokens = tokenizer.count(content)
    if cut.truncate or tokens <= tokenizer.max_length:
        windows = [tokenizer.truncated(content, None, cut.stride)]
    else:
        windows = list(tokenizer.windows(content, None, cut.stride, lead))
    return windows, Coverage(tokens, len(windows), cut.truncate and len(windows[0].ids) < tokens)


def _place(content: Content, window: Window, lead: int, before: int, length: int) -> tuple[int, int]:
    """Return where a window stands in a text of some length, of which `before` characters of a prompt are no part."""
    first = max(window.first, lead)
    if first >= window.last:  # no token is the text's own
        return 0, length
    return max(int(content.starts[first]) - before, 0), int(content.ends[window.last - 1]) - before
