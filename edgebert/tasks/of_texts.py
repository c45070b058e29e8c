"""What a model says of whole texts: labels, order, whether one follows another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from edgebert.arguments import Text, checked_choice, checked_flag, checked_text, listed_pairs, listed_texts
from edgebert.errors import InputError
from edgebert.heads.classification import FUNCTIONS
from edgebert.heads.pooling import unit
from edgebert.runner import Cut, Extent, OnExtent
from edgebert.tasks import classify, embed, zero_shot
from edgebert.tasks.asked import Asked

__all__ = ["TextTasks"]

_NO_LABEL = {"label": None, "score": None}


class TextTasks(Asked):
    """The methods of `edgebert.Model` about whole texts."""

    def classify(
        self,
        texts: Iterable[Text | Mapping[str, str]],
        top_k: int | None = 1,
        function_to_apply: str | None = None,
        *,
        labels: Sequence[str] | Mapping[str, str] | None = None,
        multi_label: bool = False,
        hypothesis_template: str = zero_shot.HYPOTHESIS,
        pool: str = "mean",
        stride: int | None = None,
        truncate: bool = False,
        on_extent: OnExtent | None = None,
    ) -> list[Any]:
        """Find the best labels of each text: the classifier's own, or any with ``labels``.

        Parameters
        ----------
        texts : iterable of str, pairs of str, or ``{"text", "text_pair"}``
        top_k : int or None
            How many labels; None for all.
        function_to_apply : str, optional
            ``"softmax"``, ``"sigmoid"`` or ``"none"``; by default what the classifier was trained with.
        labels : sequence of str, or mapping of label to description, optional
            Classify without training: by a model of natural language inference (does ``hypothesis_template``, filled
            with the label, follow from the text?), else by the similarity of vectors.
        multi_label : bool
            With ``labels``: whether several may hold.
        hypothesis_template : str
        pool : str
            ``"mean"`` of the scores of a long text's windows, ``"max"`` for each label, or the ``"first"``.
        stride, truncate, on_extent
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
        cut = self._cut(truncate, stride, on_extent)
        checked_flag(multi_label, "multi_label")
        checked_choice(pool, "pool", classify.POOLS)
        if labels is not None:
            wanted = zero_shot.descriptions_of(labels)
            plain = listed_texts(texts)  # type: ignore[arg-type] # it refuses pairs
            return self._zero_shot(plain, wanted, multi_label, hypothesis_template, pool, cut, on_extent)
        head = self._head("sequence_classification", "classify")
        problem_type, prompt = self._description.problem_type, self._prompt()

        def ask(items: list[Text]) -> tuple[list[Any], list[Extent]]:
            asked = [prompt + text if isinstance(text, str) else (prompt + text[0], text[1]) for text in items]
            return classify.classify(
                self._runner, head, self.labels, problem_type, asked, top_k, function_to_apply, pool, cut
            )

        return self._asked(listed_pairs(texts), ask, lambda _: dict(_NO_LABEL) if top_k == 1 else [], on_extent)

    def _zero_shot(
        self,
        texts: list[str],
        labels: dict[str, str],
        multi_label: bool,
        template: str,
        pool: str,
        cut: Cut,
        on_extent: OnExtent | None,
    ) -> list[Any]:
        if "sequence_classification" in self._heads:
            entailment = zero_shot.entailment_of(self.labels)
            if entailment is None:
                raise InputError(
                    f"the model's labels are {', '.join(self.labels)}: to find others, expected a model of natural"
                    " language inference, with a label for entailment, or one for embeddings"
                )
            head = self._heads["sequence_classification"]

            def ask(items: list[str]) -> tuple[list[Any], list[Extent]]:
                return zero_shot.by_entailment(
                    self._runner, head, entailment, items, labels, template, multi_label, pool, cut
                )
        else:
            of_labels, _ = self._embed(list(labels.values()))

            def ask(items: list[str]) -> tuple[list[Any], list[Extent]]:
                vectors, extents = self._embed(items)
                found = np.stack(vectors) if vectors else np.empty((0, 0))
                return zero_shot.by_similarity(items, found, labels, np.stack(of_labels), multi_label), extents

        return self._asked(texts, ask, lambda text: {"sequence": text, "labels": [], "scores": []}, on_extent)

    def _prompt(self) -> str:
        """Return what a cross-encoder of sentence-transformers puts before every text, or the first one of a pair."""
        return self._description.prompts.get(self._description.default_prompt, "")

    def _embed(self, texts: list[str]) -> tuple[list[np.ndarray], list[Extent]]:
        """Compute vectors of length one, with no prompt."""
        vectors, extents = embed.embed(self._runner, self._embedding, texts, None, False, None, "", True)
        return [unit(vector) for vector in vectors], extents

    def next_sentence(
        self, pairs: Iterable[tuple[str, str]], *, on_extent: OnExtent | None = None
    ) -> list[dict[str, Any]]:
        """Tell whether the second text of each pair follows the first (arXiv 1810.04805, section 3.1).

        Parameters
        ----------
        pairs : iterable of pairs of str
        on_extent
            As the class says; of texts that do not fit, what fits is looked at.

        Returns
        -------
        list of dict
            ``{"label": "IsNext" or "NotNext", "score": float}``; both None where both texts are blank.

        Raises
        ------
        InputError
        """
        head, cut = self._head("next_sentence", "next_sentence"), self._cut(True, None, on_extent)
        return self._asked(
            listed_pairs(pairs, only=True),
            lambda items: classify.next_sentence(self._runner, head, items, cut),
            lambda _: dict(_NO_LABEL),
            on_extent,
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
        on_extent: OnExtent | None = None,
    ) -> list[dict[str, Any]]:
        """Order documents by how well they fit a query, by a cross-encoder (arXiv 1901.04085).

        Parameters
        ----------
        query : str
        documents : iterable of str
        top_k : int, optional
            How many; all by default.
        label : str, optional
            Of a model with several labels, the one whose score counts.
        stride, truncate, on_extent
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
        head = self._head("sequence_classification", "rank")
        cut, query = self._cut(truncate, stride, on_extent), checked_text(query, "query")
        listed = listed_texts(documents, "documents")
        classify.check_top_k(top_k, "documents")
        column = classify.scored_label(self.labels, label)
        function = FUNCTIONS[self._description.problem_type]

        def ask(items: list[str]) -> tuple[list[Any], list[Extent]]:
            pairs = [(self._prompt() + query, document) for document in items]
            return classify.relevance(self._runner, head, pairs, function, column, cut)

        values = self._asked(listed, ask, lambda _: None, on_extent)
        found = [i for i, value in enumerate(values) if value is not None]
        best = sorted(found, key=lambda i: -values[i])[:top_k]  # of the same score the earlier first
        return [{"index": i, "score": values[i], "text": listed[i]} for i in best]
