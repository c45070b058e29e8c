"""A loaded model's parts, what is known of it, and what every task needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from edgebert import tasks
from edgebert.arguments import Text, checked_choice, listed_sequences
from edgebert.batch import Ids
from edgebert.coverage import Coverage, OnCoverage, answer_texts, report
from edgebert.engine.backend import Backend
from edgebert.errors import EdgebertError
from edgebert.heads import HEAD_OF_TASK, architecture_of
from edgebert.model_info import ModelSource
from edgebert.runner import Runner
from edgebert.streaming import BATCH, stream

__all__ = ["LoadedModel"]


class LoadedModel:
    """What `edgebert.Model` is without its tasks; its attributes are told there."""

    def __init__(
        self,
        source: ModelSource,
        backend: Backend,
        *,
        max_memory: int | None = None,
        reload: tuple[Callable[..., Any], tuple[Any, ...]] | None = None,
    ) -> None:
        self._runner, self._reload = Runner(source, backend), reload
        if max_memory is not None:
            self._runner.limit_memory(max_memory)
        info = source.info
        self.labels, self.max_length, self.hidden_size = info.labels, info.max_length, info.config.hidden_size
        self.dimensions: int = info.pipeline.dimensions(self.hidden_size)
        self.threads, self.device = backend.threads, backend.device

    def __repr__(self) -> str:
        return f"<edgebert.Model {self._runner.source.path.name}: {architecture_of(self._runner.info.heads)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._reload is None:
            raise EdgebertError(
                f"{self!r} cannot be pickled: it was not made by edgebert.load, from a file to load again"
            )
        return self._reload

    def __copy__(self) -> LoadedModel:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> LoadedModel:
        return self

    @property
    def info(self) -> dict[str, Any]:
        """Facts about the model, in the order of reading them."""
        return self._runner.source.facts

    @property
    def model_card(self) -> str:
        """What the model's makers say of it; empty where they say nothing."""
        return self._runner.info.card

    @property
    def prompts(self) -> dict[str, str]:
        """Texts to put before others, by the names that `embed` takes."""
        return dict(self._runner.info.prompts)

    @property
    def mask_token(self) -> str:
        """What stands for a masked word in a text; empty where the tokenizer has none."""
        return self._runner.info.mask_token

    def require(self, task: str) -> None:
        """Check that the model can be asked something, without asking it.

        Parameters
        ----------
        task : str
            The name of a method: ``"classify"``, ``"rank"``, ``"tag"``, ``"redact"``, ``"fill_mask"``, ``"score"``,
            ``"answer"``, ``"next_sentence"``, ``"embed_sparse"``, ``"embed_tokens"``; or ``"embed"``, which every model
            can do but those that make vectors of tokens, or find spans of any labels.

        Raises
        ------
        InputError
            That of the method itself, when the model does not have the head for it; or when there is no such task.
        """
        checked_choice(task, "task", (*HEAD_OF_TASK, "embed_tokens", "embed"))
        if task == "rank":
            tasks.rank.scorer_of(self._runner)
        elif task == "embed_tokens":
            tasks.late_interaction.require(self._runner)
        elif task == "embed":
            tasks.embed.require(self._runner)
        elif not (task == "tag" and self._runner.info.gliner):
            self._runner.require(task)

    def stream(
        self, task: str, texts: Iterable[Any], batch: int = BATCH, *, progress: bool = False, **options: Any
    ) -> Iterator[Any]:
        """Answer texts one after the other, as they come from any iterable, in bounded memory.

        Parameters
        ----------
        task : str
            The name of a method with an answer for each text: ``"classify"``, ``"embed"``, ``"embed_sparse"``,
            ``"embed_tokens"``, ``"fill_mask"``, ``"next_sentence"``, ``"score"``, ``"tag"``.
        texts : iterable
            What that method takes; a generator is read no further than one batch ahead.
        batch : int
            Texts that are asked about together.
        progress : bool
            Whether to show a bar on stderr, where that is a terminal.
        **options
            Those of the method.

        Yields
        ------
        object
            What the method answers to each text, in the order of the texts.

        Raises
        ------
        InputError
            At once for a wrong option; for a text that is none when it is reached.
        """
        return stream(self, task, texts, batch, progress, options)

    def hidden_states(self, token_ids: Sequence[Ids]) -> list[np.ndarray]:
        """Compute the last hidden states of sequences of token ids, for callers with their own tokenizer.

        Parameters
        ----------
        token_ids : sequence of sequences of int
            Special tokens included; each at most ``max_position_embeddings`` long; an empty one gives no rows.

        Returns
        -------
        list of ndarray [shape=(len(ids), hidden_size), dtype=float32]

        Raises
        ------
        InputError
            When an id is outside of the vocabulary, or a sequence is too long or no list of whole numbers.
        """
        token_ids = listed_sequences(token_ids, "token_ids")
        results: list[np.ndarray] = [np.empty(0, np.float32)] * len(token_ids)
        for indices, hidden in self._runner.encode_ids(token_ids):
            for index, rows in zip(indices, hidden, strict=True):
                results[index] = rows
        return results

    def _answered(
        self,
        texts: Sequence[Any],
        ask: Callable[[list[Any]], tuple[list[Any], list[Coverage]]],
        empty: Callable[[Text], Any],
        on_coverage: OnCoverage | None,
    ) -> list[Any]:
        """Ask about the texts that are not blank, and tell how much of each was seen."""
        results, coverages = answer_texts(texts, ask, empty)
        report(coverages, on_coverage, self.max_length)
        return results
