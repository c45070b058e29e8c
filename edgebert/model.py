"""A model that answers: every task that its heads were trained for is a method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from edgebert.arguments import (
    Text,
    checked_callable,
    checked_choice,
    checked_flag,
    checked_text,
    listed_pairs,
    listed_sequences,
    listed_texts,
)
from edgebert.batch import Ids
from edgebert.choices import POOLS
from edgebert.coverage import Coverage, OnCoverage, answer_texts, checked_cut, report
from edgebert.engine.backend import Backend
from edgebert.errors import EdgebertError, InputError
from edgebert.heads import HEAD_OF_TASK, architecture_of
from edgebert.model_info import ModelSource
from edgebert.model_redact import RedactingModel
from edgebert.runner import Runner
from edgebert.tasks import answer, classify, embed, fill_mask, rank, tag, zero_shot

__all__ = ["Model"]

_NO_LABEL = {"label": None, "score": None}


class Model(RedactingModel):
    """A loaded model. It may be called from several threads at once, and inherited by a forked child.

    A signal handler or a finalizer that interrupts a call may not call the same model: that is an `EdgebertError`.
    Pickled, for worker processes, it is its path and the options of `edgebert.load`, by which it is loaded there; a
    copy is the model itself, which nothing changes. Its file is mapped, not read: replace it by renaming another one
    to its name, never by writing over it. A call finds that out, and raises `ArtifactError`; a file that is cut short
    during a call ends the process.

    Make one with `edgebert.load`. A task whose head the model lacks raises `InputError`, which says what it has.

    **Long texts.** For labels, tags, masked words, scores and answers, a text over `max_length` is read in windows
    that overlap: ``stride`` is the number of tokens that two of them have in common (a quarter of a window by default),
    and ``truncate=True`` reads one window alone: the first, or the last where the model's tokenizer cuts texts on the
    left (``truncation_side``), which holds for vectors and pairs of sentences, too. **How much was seen** of each text
    is told to ``on_coverage``, a callable that gets the index of a text and its `Coverage`: tokens, windows, whether
    something was not seen. Without it, texts that were not seen whole cause one `TruncationWarning` for the call.

    **Blank texts**, white space alone, have no label, tag, word or score: None or an empty list stands in their place,
    as the command line leaves the answers of blank lines empty, and they are not ranked. A vector and an answer they
    have like any other text, from special tokens alone; where the tokenizer adds none, `InputError` says so.

    **Numbers.** What a damaged or extreme model computes may be no finite number: then `ArtifactError` is raised,
    whatever it was asked.

    Attributes
    ----------
    labels : tuple of str
        Of the classifier; empty for a model without one.
    max_length : int
        Tokens of a text that the model sees at once, special ones included.
    hidden_size : int
        Width of a token's hidden state.
    dimensions : int
        Width of a text's vector.
    threads : int
    device : str
        ``"cpu"`` or ``"cuda"``.
    """

    def __init__(
        self,
        source: ModelSource,
        backend: Backend,
        *,
        max_memory: int | None = None,
        reload: tuple[Callable[..., Model], tuple[Any, ...]] | None = None,
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

    def __copy__(self) -> Model:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
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
            ``"answer"``, ``"next_sentence"``; or ``"embed"``, which every model can do.

        Raises
        ------
        InputError
            That of the method itself, when the model does not have the head for it; or when there is no such task.
        """
        checked_choice(task, "task", (*HEAD_OF_TASK, "embed"))
        if task == "rank":
            rank.scorer_of(self._runner)
        elif task != "embed":
            self._runner.require(task)

    def classify(
        self,
        texts: Iterable[Text | Mapping[str, str]],
        top_k: int | None = 1,
        function_to_apply: str | None = None,
        *,
        labels: Sequence[str] | Mapping[str, str] | None = None,
        multi_label: bool = False,
        hypothesis_template: str | None = None,
        pool: str = "mean",
        stride: int | None = None,
        truncate: bool = False,
        on_coverage: OnCoverage | None = None,
    ) -> list[Any]:
        """Find the best labels of each text: the classifier's own, or any with ``labels``.

        Parameters
        ----------
        texts : iterable of str, pairs of str, or ``{"text", "text_pair"}``
        top_k : int or None
            How many of the classifier's own labels; None for all.
        function_to_apply : str, optional
            ``"softmax"``, ``"sigmoid"`` or ``"none"``; by default what the classifier was trained with.
        labels : sequence of str, or mapping of label to description, optional
            Classify without training: by a model of natural language inference (does ``hypothesis_template`` follow,
            ``"This example is {}."`` by default?), else by the similarity of vectors, without a hypothesis.
        multi_label : bool
            With ``labels``: whether several may hold.
        hypothesis_template : str, optional
        pool : str
            ``"mean"`` of the scores of a long text's windows, ``"max"`` for each label, or the ``"first"``.
        stride, truncate, on_coverage
            As the class says. Of a pair, the second text is cut into windows.

        Returns
        -------
        list
            ``{"label": str, "score": float}`` for each text; a list of these, the best first, unless ``top_k`` is 1. A
            blank text has no label: both are None, or the list is empty.
            With ``labels`` ``{"sequence": str, "labels": list, "scores": list}``, the best first.

        Raises
        ------
        InputError
            When the model has no classifier, `texts` holds something else, or an option has no such value.
        """
        cut = checked_cut(truncate, stride, on_coverage)
        checked_flag(multi_label, "multi_label")
        checked_choice(pool, "pool", POOLS)
        if labels is not None:
            wanted = zero_shot.descriptions_of(labels, top_k, function_to_apply)
            return self._answered(
                listed_texts(texts),  # type: ignore[arg-type] # it refuses pairs
                lambda items: zero_shot.classify(
                    self._runner, items, wanted, multi_label, hypothesis_template, pool, cut
                ),
                lambda text: {"sequence": text, "labels": [], "scores": []},
                on_coverage,
            )
        head = self._runner.require("classify")
        return self._answered(
            listed_pairs(texts),
            lambda items: classify.classify(self._runner, head, items, top_k, function_to_apply, pool, cut),
            lambda _: dict(_NO_LABEL) if top_k == 1 else [],
            on_coverage,
        )

    def next_sentence(
        self, pairs: Iterable[tuple[str, str]], *, on_coverage: OnCoverage | None = None
    ) -> list[dict[str, Any]]:
        """Tell whether the second text of each pair follows the first (arXiv 1810.04805, section 3.1).

        Parameters
        ----------
        pairs : iterable of pairs of str
        on_coverage
            As the class says; of texts that do not fit, what fits is looked at.

        Returns
        -------
        list of dict
            ``{"label": "IsNext" or "NotNext", "score": float}``; both None where both texts are blank.

        Raises
        ------
        InputError
        """
        head, cut = self._runner.require("next_sentence"), checked_cut(True, None, on_coverage)
        return self._answered(
            listed_pairs(pairs, only=True),
            lambda items: classify.next_sentence(self._runner, head, items, cut),
            lambda _: dict(_NO_LABEL),
            on_coverage,
        )

    def rank(
        self,
        query: str,
        documents: Iterable[str],
        top_k: int | None = None,
        *,
        label: str | None = None,
        stride: int | None = None,
        truncate: bool = False,
        on_coverage: OnCoverage | None = None,
    ) -> list[dict[str, Any]]:
        """Order documents by how well they fit a query: by a cross-encoder (arXiv 1901.04085), or by their vectors.

        Parameters
        ----------
        query : str
        documents : iterable of str
        top_k : int, optional
            How many; all by default.
        label : str, optional
            Of a classifier with several labels, the one whose score counts.
        stride, truncate, on_coverage
            As the class says. A long document is worth what its best window is.

        Returns
        -------
        list of dict
            ``{"index", "score", "text"}``, the best first; ``index`` is the document's place in `documents`. Blank ones
            are left out.

        Raises
        ------
        InputError
        """
        rank.scorer_of(self._runner)
        cut, query = checked_cut(truncate, stride, on_coverage), checked_text(query, "query")
        listed = listed_texts(documents, "documents")
        classify.check_top_k(top_k, "documents")
        column = rank.check_label(self._runner, label)
        values = self._answered(
            listed,
            lambda items: rank.relevance(self._runner, query, items, column, cut),
            lambda _: None,
            on_coverage,
        )
        return rank.best(listed, values, top_k)

    def tag(
        self,
        texts: Iterable[str],
        aggregation_strategy: str = "first",
        *,
        ignore_labels: Iterable[str] = ("O",),
        threshold: float | None = None,
        stride: int | None = None,
        truncate: bool = False,
        on_coverage: OnCoverage | None = None,
    ) -> list[list[dict[str, Any]]]:
        """Find names, and whatever else the model tags, in each text.

        Parameters
        ----------
        texts : iterable of str
        aggregation_strategy : str
            Words are tagged as their ``"first"`` token is, by the ``"average"`` of their tokens or by the surest
            (``"max"``), and never cut; ``"simple"`` joins neighbouring tokens of one kind, ``"none"`` gives each.
            Punctuation is no part of a word. Where a script has no spaces, every token is one.
        ignore_labels : iterable of str
        threshold : float, optional
            A word or token is tagged where the probabilities of all labels but the ignored ones sum to this, 0 to 1,
            and that sum is its score: with less than 0.5 more is found, and more that is none. By default the most
            probable label counts, an ignored one too.
        stride, truncate, on_coverage
            As the class says. A token that two windows have is tagged in the one that has more around it; spans cross
            from window to window.

        Returns
        -------
        list of list of dict
            ``{"entity_group", "score", "word", "start", "end"}``; with ``"none"`` ``{"entity", "score", "index",
            "word", "start", "end"}``. ``word`` is ``text[start:end]``. Labels may be tagged in BIO, BIOES, BILOU, BMES
            or IO: ``B-PER``, ``B_PER``, ``PER-B`` or ``PER_B`` is the begin of a ``PER``.

        Raises
        ------
        InputError
        """
        head, cut = self._runner.require("tag"), checked_cut(truncate, stride, on_coverage)
        return self._answered(
            listed_texts(texts),
            lambda items: tag.tag(self._runner, head, items, aggregation_strategy, ignore_labels, cut, threshold),
            lambda _: [],
            on_coverage,
        )

    def fill_mask(
        self,
        texts: Iterable[str],
        top_k: int = 5,
        *,
        targets: Sequence[str] | None = None,
        stride: int | None = None,
        truncate: bool = False,
        on_coverage: OnCoverage | None = None,
    ) -> list[Any]:
        """Find the words that may stand where `mask_token` stands in each text.

        Parameters
        ----------
        texts : iterable of str
            With one or several masks each.
        top_k : int
        targets : sequence of str, optional
            Words to choose from, each one token of the model.
        stride, truncate, on_coverage
            As the class says.

        Returns
        -------
        list
            For each text, the best words first: ``{"score", "token", "token_str", "sequence"}``; for a text with
            several masks a list of such lists; an empty list for a blank text.

        Raises
        ------
        InputError
            Also when a text has no mask, and is not blank.
        """
        head, cut = self._runner.require("fill_mask"), checked_cut(truncate, stride, on_coverage)
        return self._answered(
            listed_texts(texts),
            lambda items: fill_mask.fill_mask(self._runner, head, items, top_k, targets, cut),
            lambda _: [],
            on_coverage,
        )

    def score(
        self,
        texts: Iterable[str],
        *,
        stride: int | None = None,
        truncate: bool = False,
        on_coverage: OnCoverage | None = None,
    ) -> list[dict[str, Any]]:
        """Tell how natural each text is: its pseudo-log-likelihood (arXiv 1910.14659), every token masked in turn.

        Parameters
        ----------
        texts : iterable of str
        stride, truncate, on_coverage
            As the class says.

        Returns
        -------
        list of dict
            ``{"score", "tokens", "perplexity"}``: the sum of the natural logarithms of the tokens' probabilities, their
            number without special ones, and exp(-score / tokens); all three None for a blank text.

        Raises
        ------
        InputError
        """
        head, cut = self._runner.require("score"), checked_cut(truncate, stride, on_coverage)
        return self._answered(
            listed_texts(texts),
            lambda items: fill_mask.score(self._runner, head, items, cut),
            lambda _: {"score": None, "tokens": None, "perplexity": None},
            on_coverage,
        )

    def answer(
        self,
        question: str | Sequence[str],
        context: str | Sequence[str],
        top_k: int = 1,
        *,
        max_answer_len: int = 15,
        handle_impossible_answer: bool = False,
        align_to_words: bool = True,
        stride: int | None = None,
        truncate: bool = False,
        on_coverage: OnCoverage | None = None,
    ) -> Any:
        """Find the answer to a question in a text.

        Parameters
        ----------
        question, context : str, or sequences of str of the same length
        top_k : int
        max_answer_len : int
            Tokens that an answer may have, before it is widened.
        handle_impossible_answer : bool
            Whether there may be no answer: then ``""``, with the score of that, is among the answers.
        align_to_words : bool
            Whether an answer is widened to whole words, where the text has spaces between them.
        stride, truncate, on_coverage
            As the class says. A long context is cut into windows, each with the question.

        Returns
        -------
        dict
            ``{"score", "start", "end", "answer"}``, the answer being ``context[start:end]``; a list of these, the best
            first, unless `top_k` is 1; for sequences a list of what each question gets.

        Raises
        ------
        InputError
        """
        head, cut = self._runner.require("answer"), checked_cut(truncate, stride, on_coverage)
        alone = isinstance(question, str)
        questions = listed_texts([question] if alone else question, "question")  # type: ignore[list-item]
        contexts = listed_texts([context] if isinstance(context, str) else context, "context")
        if len(questions) != len(contexts):
            raise InputError(
                f"there are {len(questions)} questions and {len(contexts)} contexts, expected one for each"
            )
        pairs = list(zip(questions, contexts, strict=True))
        impossible = checked_flag(handle_impossible_answer, "handle_impossible_answer")
        align = checked_flag(align_to_words, "align_to_words")
        results, coverages = answer.answer(self._runner, head, pairs, top_k, max_answer_len, impossible, align, cut)
        report(coverages, on_coverage, self.max_length)
        empty = {"score": 0.0, "start": 0, "end": 0, "answer": ""}
        found: list[Any] = [(each or [empty])[0] for each in results] if top_k == 1 else results
        return found[0] if alone else found

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
