"""A model that answers: every task that its heads were trained for is a method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edgebert import tasks
from edgebert.arguments import (
    Text,
    checked_choice,
    checked_flag,
    checked_text,
    described_labels,
    listed_pairs,
    listed_texts,
)
from edgebert.choices import POOLS
from edgebert.coverage import OnCoverage, checked_cut, report
from edgebert.errors import InputError
from edgebert.model_spans import SpanModel

__all__ = ["Model"]

_NO_LABEL = {"label": None, "score": None}


class Model(SpanModel):
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
            tasks.zero_shot.check_alone(top_k, function_to_apply)
            wanted = described_labels(labels)
            return self._answered(
                listed_texts(texts),  # type: ignore[arg-type] # it refuses pairs
                lambda items: tasks.zero_shot.classify(
                    self._runner, items, wanted, multi_label, hypothesis_template, pool, cut
                ),
                lambda text: {"sequence": text, "labels": [], "scores": []},
                on_coverage,
            )
        head = self._runner.require("classify")
        return self._answered(
            listed_pairs(texts),
            lambda items: tasks.classify.classify(self._runner, head, items, top_k, function_to_apply, pool, cut),
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
            lambda items: tasks.classify.next_sentence(self._runner, head, items, cut),
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
        tasks.rank.scorer_of(self._runner)
        cut, query = checked_cut(truncate, stride, on_coverage), checked_text(query, "query")
        listed = listed_texts(documents, "documents")
        tasks.classify.check_top_k(top_k, "documents")
        column = tasks.rank.check_label(self._runner, label)
        values = self._answered(
            listed,
            lambda items: tasks.rank.relevance(self._runner, query, items, column, cut),
            lambda _: None,
            on_coverage,
        )
        return tasks.rank.best(listed, values, top_k)

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
            lambda items: tasks.fill_mask.fill_mask(self._runner, head, items, top_k, targets, cut),
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
            lambda items: tasks.fill_mask.score(self._runner, head, items, cut),
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
        results, coverages = tasks.answer.answer(
            self._runner, head, pairs, top_k, max_answer_len, impossible, align, cut
        )
        report(coverages, on_coverage, self.max_length)
        empty = {"score": 0.0, "start": 0, "end": 0, "answer": ""}
        found: list[Any] = [(each or [empty])[0] for each in results] if top_k == 1 else results
        return found[0] if alone else found
