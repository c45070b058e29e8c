"""What a model does with vectors: it makes them of texts, compares them, and searches by them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebert import tasks
from edgebert.arguments import (
    checked_callable,
    checked_choice,
    checked_flag,
    checked_number,
    checked_text,
    listed_texts,
)
from edgebert.choices import EMBED_WINDOWS
from edgebert.coverage import Cut, OnCoverage, checked_cut, report
from edgebert.errors import InputError, shown
from edgebert.model_base import LoadedModel

if TYPE_CHECKING:
    from edgebert.search.passages import Passage
    from edgebert.tasks.sparse import SparseVector

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
        windows: str = "one",
        stride: int | None = None,
        progress: bool = False,
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
        windows : str
            What becomes of a text that is too long: ``"one"`` window of it is embedded, as with ``truncate=True``;
            ``"mean"`` reads it whole, in windows, and gives the mean of their vectors, each weighing as much as it has
            tokens of its own; ``"each"`` gives the vector of every window. A text that fits has the same vector
            every way.
        stride : int, optional
            Tokens that two windows have in common; a quarter of a window by default.
        progress : bool
            Whether to show a bar on stderr, where that is a terminal.
        on_coverage
            As the class says.

        Returns
        -------
        ndarray [shape=(len(texts), dimensions), dtype=float32]
            With ``pooling="none"`` a list of ndarray [shape=(tokens, hidden_size), dtype=float32]. With
            ``windows="each"`` a list of `WindowVectors`: ``vectors`` [shape=(windows, dimensions), dtype=float32], and
            ``starts`` and ``ends``, where each window stands in its text: it is ``text[start:end]``.

        Raises
        ------
        InputError
        """
        listed = listed_texts(texts)
        checked_callable(on_coverage, "on_coverage")
        checked_choice(windows, "windows", EMBED_WINDOWS)
        if stride is not None:
            if windows == "one":
                raise InputError(f"stride is {shown(stride)}, expected None with windows 'one', which overlap none")
            checked_number(stride, "stride", "0 to as many tokens as windows may share", least=0)
        info, pipeline = self._runner.info, self._runner.info.pipeline
        tasks.embed.check_embedding_options(pooling, normalize, dimensions, pipeline, self.hidden_size)
        if pooling == "none" and windows != "one":
            raise InputError(f"windows is {windows!r}, expected 'one' with pooling none, which joins no tokens")
        before = tasks.embed.prompt_of(info.prompts, info.default_prompt, prompt, prompt_name)
        options = tasks.embed.VectorOptions(pooling, normalize, dimensions)
        vectors: list[Any]
        if checked_flag(progress, "progress") and listed:
            wanted = {**options._asdict(), "prompt": before, "windows": windows, "stride": stride}
            vectors = list(self.stream("embed", listed, progress=True, on_coverage=on_coverage, **wanted))
        elif windows == "one":
            vectors, coverages = tasks.embed.embed(self._runner, listed, options, before)
            report(coverages, on_coverage, self.max_length)
        else:
            found, sizes, coverages = tasks.embed.embed_windows(
                self._runner, listed, options, before, Cut(stride=stride)
            )
            report(coverages, on_coverage, self.max_length)
            normalized = tasks.embed.is_normalized(pipeline, options)
            vectors = [*found]
            if windows == "mean":
                vectors = [tasks.embed.mean_of_windows(*each, normalized) for each in zip(found, sizes, strict=True)]
        if pooling == "none" or windows == "each":
            return vectors
        width = dimensions or pipeline.dimensions(self.hidden_size, pooling)
        return np.stack(vectors) if vectors else np.empty((0, width), np.float32)

    def embed_sparse(
        self,
        texts: Iterable[str],
        top_k: int | None = None,
        *,
        query: bool = False,
        ids: bool = False,
        prompt: str | None = None,
        prompt_name: str | None = None,
        whole: bool = False,
        stride: int | None = None,
        on_coverage: OnCoverage | None = None,
    ) -> list[SparseVector]:
        """Compute for each text the words that say what it is about, with their weights (SPLADE, arXiv 2109.10086).

        Most of them do not stand in the text itself. A document fits a query as well as their vectors' dot product
        says; a search engine with an inverted index finds it by these words. The model is one for masked words, best
        one that was trained for this: by sentence-transformers' SparseEncoder, whose vectors these are.

        Parameters
        ----------
        texts : iterable of str
        top_k : int, optional
            How many words, the best ones; by default all that have a weight, or as many as the model's makers said.
        query : bool
            Whether the texts are queries: then the model's prompt for these is put before them, and where it has
            weights for the words of queries (an ``idf.json``), they are all that a query takes: there is no forward
            pass, and no other word.
        ids : bool
            Whether the model's numbers of the words stand in their place.
        prompt, prompt_name : str, optional
            What to put before every text, or the name of one of `prompts`.
        whole : bool
            Whether all of a text that is too long is read, in windows, as if it were one; without, one window is, as
            `embed` does.
        stride : int, optional
            Tokens that two windows have in common; a quarter of a window by default.
        on_coverage
            As the class says.

        Returns
        -------
        list of SparseVector
            For each text a dict from word, as the model's vocabulary writes it, to weight, above 0, the best first:
            ``{"film": 1.93, "movie": 1.2}``; it has a method ``dot(other)``.

        Raises
        ------
        InputError
            Also when the model has no head for masked words.
        """
        self._runner.require("embed_sparse")
        listed = listed_texts(texts)
        if top_k is not None:
            checked_number(top_k, "top_k", "None for all, or a number of words from 1 on")
        cut = _checked_whole(whole, stride, on_coverage)
        vectors, coverages = tasks.sparse.embed_sparse(
            self._runner,
            listed,
            cut,
            top_k=top_k,
            query=checked_flag(query, "query"),
            ids=checked_flag(ids, "ids"),
            prompt=prompt,
            prompt_name=prompt_name,
        )
        report(coverages, on_coverage, self.max_length)
        return vectors

    def embed_tokens(
        self,
        texts: Iterable[str],
        *,
        query: bool = False,
        prompt: str | None = None,
        prompt_name: str | None = None,
        whole: bool = False,
        stride: int | None = None,
        on_coverage: OnCoverage | None = None,
    ) -> list[np.ndarray]:
        """Compute a vector for each token of each text, by a model for late interaction (ColBERT, arXiv 2004.12832).

        How well a document fits a query `edgebert.maxsim` tells by their vectors, which may be kept; `rank` asks both
        at once. The vectors are those of PyLate, and of sentence-transformers' MultiVectorEncoder.

        Parameters
        ----------
        texts : iterable of str
        query : bool
            Whether the texts are queries: they have another marker or prompt than documents, and are filled up with
            mask tokens where the model's makers meant it. Of documents, punctuation has no vectors, likewise.
        prompt, prompt_name : str, optional
            What to put before every text, or the name of one of `prompts`; by default the model's prompt for queries or
            for documents, where it has one.
        whole : bool
            Whether all of a text that is too long is read, in windows; without, one window is, and of a query as much
            as the model's makers meant.
        stride : int, optional
            Tokens that two windows have in common; a quarter of a window by default.
        on_coverage
            As the class says.

        Returns
        -------
        list of ndarray [shape=(tokens, dimensions), dtype=float32]
            Special tokens included.

        Raises
        ------
        InputError
            Also when the model was not made for this.
        """
        tasks.late_interaction.require(self._runner)
        listed = listed_texts(texts)
        cut = _checked_whole(whole, stride, on_coverage)
        vectors, coverages = tasks.late_interaction.embed_tokens(
            self._runner,
            listed,
            cut,
            query=checked_flag(query, "query"),
            prompt=prompt,
            prompt_name=prompt_name,
        )
        report(coverages, on_coverage, self.max_length)
        return vectors

    def similarity(self, a: Iterable[str], b: Iterable[str] | None = None) -> np.ndarray:
        """Compare texts by the cosines of their vectors; long ones are read whole, in windows.

        Parameters
        ----------
        a : iterable of str
        b : iterable of str, optional
            What they are compared with; by default with one another.

        Returns
        -------
        ndarray [shape=(len(a), len(b)), dtype=float32]
            From -1 to 1; 1 for texts that mean the same. A model with prompts for queries and documents
            is asked with those by ``embed(prompt_name=...)``.

        Raises
        ------
        InputError
        """
        of_a = self._units(listed_texts(a, "a"))
        of_b = of_a if b is None else self._units(listed_texts(b, "b"))
        return tasks.similarity.cosines(of_a, of_b)

    def passages(self, text: str) -> list[Passage]:
        """Cut a text into passages that each fit one window, as `search` does.

        A passage is a paragraph, or several short ones; a paragraph that is too long is cut at sentences.

        Parameters
        ----------
        text : str

        Returns
        -------
        list of Passage
            ``start`` and ``end`` [characters], and the ``line`` in which it begins, from 1: the passage is
            ``text[start:end]``. Only white space is in none.

        Raises
        ------
        InputError
        """
        from edgebert.search.passages import passages

        return list(passages(checked_text(text, "text"), self._runner.tokenizer))

    def search(self, query: str, documents: Iterable[str], top_k: int = 5) -> list[dict[str, Any]]:
        """Find the passages of documents that fit a query best, by their meaning and by their words.

        Documents are cut into passages, at paragraphs and sentences. They are ranked twice, by the cosine of their
        vector to the query's, and by the query's words in them (BM25); both ranks are merged by reciprocal rank fusion
        (doi 10.1145/1571941.1572114). To search the same documents often, make an index: `edgebert.search.Index`.

        Parameters
        ----------
        query : str
        documents : iterable of str
        top_k : int
            How many passages.

        Returns
        -------
        list of dict
            ``{"index", "score", "cosine", "text", "start", "end", "line"}``, the best first; ``index`` is the
            document's place in `documents`, ``text`` is ``document[start:end]``, which begins in ``line`` (from 1).

        Raises
        ------
        InputError
        """
        from edgebert.search import search_texts

        checked_text(query, "query")
        checked_number(top_k, "top_k", "a number of passages from 1 on")
        return search_texts(self, query, listed_texts(documents, "documents"), top_k)

    def _units(self, texts: list[str]) -> np.ndarray:
        """Return vectors of length one: float32 (texts, dimensions)."""
        return self.embed(texts, normalize=True, windows="mean")


def _checked_whole(whole: bool, stride: int | None, on_coverage: OnCoverage | None) -> Cut:
    """Return what becomes of long texts, of which one window is read unless they are read whole."""
    if stride is not None and not checked_flag(whole, "whole"):
        raise InputError(f"stride is {shown(stride)}, expected None without whole=True: there is one window")
    return checked_cut(not checked_flag(whole, "whole"), stride, on_coverage)
