"""Vectors of the tokens of texts, for late interaction (`edgebert.heads.late_interaction`)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from edgebert.coverage import Coverage, Cut
from edgebert.errors import InputError
from edgebert.heads.late_interaction import LateInteraction
from edgebert.runner import Runner, finite
from edgebert.tasks.embed import DOCUMENT_PROMPTS, QUERY_PROMPTS, prompt_of, prompt_tokens, prompted, windows_of
from edgebert.tokens import TextTokenizer
from edgebert.windows import Window, whole_rows

__all__ = ["embed_tokens", "require"]


def require(runner: Runner) -> LateInteraction:
    """Return how a model makes vectors of tokens.

    Raises
    ------
    InputError
        When it was not made for them.
    """
    if runner.info.late_interaction is None:
        raise InputError(
            f"{runner.source.path.name} was not made for late interaction; for embed_tokens(), convert a model that"
            " was, a ColBERT; or take the hidden states of any model's tokens: embed(pooling='none')"
        )
    return runner.info.late_interaction


def embed_tokens(
    runner: Runner,
    texts: Sequence[str],
    cut: Cut,
    *,
    query: bool = False,
    prompt: str | None = None,
    prompt_name: str | None = None,
) -> tuple[list[np.ndarray], list[Coverage]]:
    """Compute a vector for each token of each text: from one window of it, or from all of them.

    Parameters are those of `Model.embed_tokens`. Of a text in several windows a token has the vector of the window in
    which it has most around it, and the special tokens stand before the first and behind the last.
    """
    late, info = require(runner), runner.info
    if prompt is None and prompt_name is None:
        prompt_name = prompted(info.prompts, QUERY_PROMPTS if query else DOCUMENT_PROMPTS)
    before = prompt_of(info.prompts, info.default_prompt, prompt, prompt_name)
    tokenizer = _tokenizer_of_queries(runner, late, cut) if query else runner.tokenizer
    lead = prompt_tokens(tokenizer, before)
    cuts = [windows_of(tokenizer, tokenizer.content(before + text), lead, cut) for text in texts]
    windows, coverages = [own for own, _ in cuts], [coverage for _, coverage in cuts]
    if query:
        windows = [[_filled(own[0], late)] if len(own) == 1 else own for own in windows]
    skipped = late.skipped if late.skips_in_queries or not query else ()
    rows = [whole_rows(own) for own in windows]
    found: list[list[np.ndarray]] = [[np.empty(0, np.float32)] * len(own) for own in windows]
    for each in itertools.chain.from_iterable(runner.encode(windows)):
        part = rows[each.text][each.number]
        kept = ~np.isin(each.window.ids[part], skipped)
        found[each.text][each.number] = finite(runner.token_vectors(each.states[part][kept]), "vectors")
    return [np.concatenate(own) for own in found], coverages


def _tokenizer_of_queries(runner: Runner, late: LateInteraction, cut: Cut) -> TextTokenizer:
    """Return what makes tokens of queries, which have a length of their own if they are cut."""
    longest = late.query_length if cut.truncate else max(late.query_length, runner.tokenizer.max_length)
    return runner.tokenizer.marked(late.marker(query=True), longest)


def _filled(window: Window, late: LateInteraction) -> Window:
    """Fill a query up."""
    missing = late.filled_length - len(window.ids)
    if missing <= 0:
        return window
    ids = np.append(window.ids, np.full(missing, late.filler, np.int32))
    types = np.append(window.type_ids, np.zeros(missing, np.int32))
    return window._replace(ids=ids, type_ids=types, unattended=0 if late.attends_to_fillers else missing)
