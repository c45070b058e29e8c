"""What a model says of the words in a text: tags, masked words, answers, how natural they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from edgebert.arguments import checked_flag, listed_texts
from edgebert.errors import InputError
from edgebert.runner import OnExtent
from edgebert.tasks import answer, fill_mask, tag
from edgebert.tasks.asked import Asked

__all__ = ["TokenTasks"]


class TokenTasks(Asked):
    """The methods of `edgebert.Model` about the words in texts."""

    @property
    def mask_token(self) -> str:
        """What stands for a masked word in a text; empty where the tokenizer has none."""
        return self._description.mask_token

    def tag(
        self,
        texts: Iterable[str],
        aggregation_strategy: str = "first",
        *,
        ignore_labels: Iterable[str] = ("O",),
        stride: int | None = None,
        truncate: bool = False,
        on_extent: OnExtent | None = None,
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
        stride, truncate, on_extent
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
        head, cut = self._head("token_classification", "tag"), self._cut(truncate, stride, on_extent)
        return self._asked(
            listed_texts(texts),
            lambda items: tag.tag(self._runner, head, self.labels, items, aggregation_strategy, ignore_labels, cut),
            lambda _: [],
            on_extent,
        )

    def fill_mask(
        self,
        texts: Iterable[str],
        top_k: int = 5,
        *,
        targets: Sequence[str] | None = None,
        stride: int | None = None,
        truncate: bool = False,
        on_extent: OnExtent | None = None,
    ) -> list[Any]:
        """Find the words that may stand where `mask_token` stands in each text.

        Parameters
        ----------
        texts : iterable of str
            With one or several masks each.
        top_k : int
        targets : sequence of str, optional
            Words to choose from, each one token of the model.
        stride, truncate, on_extent
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
        head, cut = self._head("masked_lm", "fill_mask"), self._cut(truncate, stride, on_extent)
        return self._asked(
            listed_texts(texts),
            lambda items: fill_mask.fill_mask(self._runner, head, self.mask_token, items, top_k, targets, cut),
            lambda _: [],
            on_extent,
        )

    def score(
        self,
        texts: Iterable[str],
        *,
        stride: int | None = None,
        truncate: bool = False,
        on_extent: OnExtent | None = None,
    ) -> list[dict[str, Any]]:
        """Tell how natural each text is: its pseudo-log-likelihood (arXiv 1910.14659), every token masked in turn.

        Parameters
        ----------
        texts : iterable of str
        stride, truncate, on_extent
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
        head, cut = self._head("masked_lm", "score"), self._cut(truncate, stride, on_extent)
        return self._asked(
            listed_texts(texts),
            lambda items: fill_mask.score(self._runner, head, self.mask_token, items, cut),
            lambda _: {"score": None, "tokens": None, "perplexity": None},
            on_extent,
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
        on_extent: OnExtent | None = None,
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
        stride, truncate, on_extent
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
        head, cut = self._head("question_answering", "answer"), self._cut(truncate, stride, on_extent)
        alone = isinstance(question, str)
        questions = listed_texts([question] if alone else question, "question")  # type: ignore[list-item]
        contexts = listed_texts([context] if isinstance(context, str) else context, "context")
        if len(questions) != len(contexts):
            raise InputError(
                f"there are {len(questions)} questions and {len(contexts)} contexts, expected one for each"
            )
        results, extents = answer.answer(
            self._runner,
            head,
            questions,
            contexts,
            top_k,
            max_answer_len,
            checked_flag(handle_impossible_answer, "handle_impossible_answer"),
            checked_flag(align_to_words, "align_to_words"),
            cut,
        )
        empty = {"score": 0.0, "start": 0, "end": 0, "answer": ""}
        found: list[Any] = [(each or [empty])[0] for each in results] if top_k == 1 else results
        return self._told(found[0] if alone else found, extents, on_extent)
