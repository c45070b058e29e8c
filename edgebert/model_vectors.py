"""What a model does with vectors: it makes them of texts, compares them, and searches by them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from edgebert.arguments import checked_callable, listed_texts
from edgebert.coverage import OnCoverage, report
from edgebert.model_base import LoadedModel
from edgebert.tasks import embed

__all__ = ["VectorModel"]


class VectorModel(LoadedModel):
    """The tasks of `edgebert.Model` that every model can do, whatever its heads."""

    def embed(
        self,
        texts: Iterable[str],
        pooling: str | None = None,
        normalize: bool | None = None,
        dimensions: int | None = None,
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
        on_coverage: OnCoverage | None = None,
    ) -> Any:
        """Compute a vector for each text, as the model's makers meant it unless told otherwise.

        Parameters
        ----------
        texts : iterable of str
        pooling : str, optional
            ``"mean"``, ``"cls"``, ``"max"``, ``"weightedmean"``, ``"lasttoken"``, ``"mean_sqrt_len_tokens"``; or
            ``"none"`` for the hidden states of all tokens, special ones included. Several joined by ``+`` give their
            vectors one after the other.
        normalize : bool, optional
            Whether vectors have length one.
        dimensions : int, optional
            Keep only the first so many values (arXiv 2205.13147), before normalising.
        prompt, prompt_name : str, optional
            What to put before every text, or the name of one of `prompts`.
        on_coverage
            As the class says. Of a text that is too long one window is embedded, as with ``truncate=True``.

        Returns
        -------
        ndarray [shape=(len(texts), dimensions), dtype=float32]
            With ``pooling="none"`` a list of ndarray [shape=(tokens, hidden_size), dtype=float32].

        Raises
        ------
        InputError
        """
        listed = listed_texts(texts)
        checked_callable(on_coverage, "on_coverage")
        info, pipeline = self._runner.info, self._runner.info.pipeline
        embed.check_embedding_options(pooling, normalize, dimensions, pipeline, self.hidden_size)
        before = embed.prompt_of(info.prompts, info.default_prompt, prompt, prompt_name)
        vectors, coverages = embed.embed(self._runner, listed, pooling, normalize, dimensions, before)
        report(coverages, on_coverage, self.max_length)
        if pooling == "none":
            return vectors
        width = dimensions or pipeline.dimensions(self.hidden_size, pooling)
        return np.stack(vectors) if vectors else np.empty((0, width), np.float32)
