"""A model that answers: load an .edgebert file, and ask it what its heads were trained for."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.batch import Ids
from edgebert.description import Described, Description, serves
from edgebert.engine.backend import Backend, open_backend
from edgebert.engine.processor import default_threads
from edgebert.errors import InputError, TruncationWarning
from edgebert.heads import HEADS, Head, architecture_of
from edgebert.heads.pooling import Embedding, unit
from edgebert.runner import Cut, Extent, OnExtent, Runner, Text, listed_pairs, listed_texts, token_budget
from edgebert.tasks import answer, classify, embed, fill_mask, tag, zero_shot

__all__ = ["DEFAULT_MODEL", "Model", "load"]

DEFAULT_MODEL = Path(__file__).parent / "models" / "sentiment.edgebert"
"""The sentiment classifier that comes with the package."""


def load(path: str | os.PathLike[str] | None = None, threads: int | None = None) -> Model:
    """Load a model.

    Parameters
    ----------
    path : path, optional
        An .edgebert file; the sentiment classifier that comes with edgebert by default.
    threads : int, optional
        Threads to compute with; by default ``EDGEBERT_NUM_THREADS``, else the processors that this process may use.

    Raises
    ------
    ArtifactError
        When the file is missing, damaged, or of a newer format.
    SettingError
        When a setting of the environment cannot be used.
    """
    description = Description(DEFAULT_MODEL if path is None else path)
    config = description.config
    backend = open_backend(config, description.tensors, default_threads(threads), token_budget(config))
    return Model(description, backend)


class Model:
    """A loaded model. It may be called from several threads at once, and inherited by a forked child.

    Make one with `edgebert.load`. A task whose head the model lacks raises `InputError`, which says what it has.

    **Long texts.** For labels, tags, masked words, scores and answers, a text over `max_length` is read in windows
    that overlap: ``stride`` is the number of tokens that two of them have in common (a quarter of a window by default),
    and ``truncate=True`` reads the first window alone. **How much was seen** of each text is told to ``on_extent``, a
    callable that gets the index of a text and its `Extent`: tokens, windows, whether something was not seen. Without
    it, texts that were not seen to their end cause one `TruncationWarning` for the call.

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
    """

    def __init__(self, description: Described, backend: Backend) -> None:
        self._description = description
        self.labels, self.max_length = description.labels, description.max_length
        self.hidden_size = description.config.hidden_size
        self.dimensions: int = description.dense[-1][0] if description.dense else self.hidden_size
        self._runner = Runner(description, backend)
        self.threads = backend.threads
        self._heads: dict[str, Head] = {
            name: HEADS[name](description.tensors, description.config, backend) for name in description.heads
        }
        activations = [activation for *_, activation in description.dense]
        self._embedding = Embedding(
            description.tensors, activations, description.pooling, description.normalize, backend
        )

    def __repr__(self) -> str:
        return f"<edgebert.Model {self._description.path.name}: {architecture_of(self._description.heads)}>"

    @property
    def info(self) -> dict[str, Any]:
        """Facts about the model, in the order of reading them."""
        return self._description.info

    @property
    def model_card(self) -> str:
        """What the model's makers say of it; empty where they say nothing."""
        return self._description.card

    @property
    def mask_token(self) -> str:
        """What stands for a masked word in a text; empty where the tokenizer has none."""
        return self._description.mask_token

    @property
    def prompts(self) -> dict[str, str]:
        """Texts to put before others, by the names that `embed` takes."""
        return dict(self._description.prompts)

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
            ``{"label": str, "score": float}`` for each text; a list of these, the best first, unless ``top_k`` is 1.
            With ``labels`` ``{"sequence": str, "labels": list, "scores": list}``, the best first.

        Raises
        ------
        InputError
            When the model has no classifier, `texts` holds something else, or an option has no such value.
        """
        cut = Cut(truncate, stride)
        if labels is not None:
            wanted = zero_shot.descriptions_of(labels)
            plain = listed_texts(texts)  # type: ignore[arg-type] # it refuses pairs
            return self._zero_shot(plain, wanted, multi_label, hypothesis_template, pool, cut, on_extent)
        head = self._head("sequence_classification", "classify")
        problem_type = self._description.problem_type
        results, extents = classify.classify(
            self._runner, head, self.labels, problem_type, listed_pairs(texts), top_k, function_to_apply, pool, cut
        )
        return self._told(results, extents, on_extent)

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
        if pool not in classify.POOLS:
            raise InputError(f"pool is {pool!r}, expected one of {', '.join(classify.POOLS)}")
        if "sequence_classification" in self._heads:
            entailment = zero_shot.entailment_of(self.labels)
            if entailment is None:
                raise InputError(
                    f"the model's labels are {', '.join(self.labels)}: to find others, expected a model of natural"
                    " language inference, with a label for entailment, or one for embeddings"
                )
            head = self._heads["sequence_classification"]
            results, extents = zero_shot.by_entailment(
                self._runner, head, entailment, texts, labels, template, multi_label, pool, cut
            )
        else:
            vectors, extents = self._embed(texts)
            of_labels, _ = self._embed(list(labels.values()))
            results = zero_shot.by_similarity(
                texts, np.stack(vectors) if vectors else np.empty((0, 0)), labels, np.stack(of_labels), multi_label
            )
        return self._told(results, extents, on_extent)

    def _embed(self, texts: list[str]) -> tuple[list[np.ndarray], list[Extent]]:
        """Compute vectors of length one, with no prompt."""
        vectors, extents = embed.embed(self._runner, self._embedding, texts, None, False, None, "", True)
        return [unit(vector) for vector in vectors], extents

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
        ignore_labels : iterable of str
        stride, truncate, on_extent
            As the class says. A token that two windows have is tagged in the one that has more around it; spans cross
            from window to window.

        Returns
        -------
        list of list of dict
            ``{"entity_group", "score", "word", "start", "end"}``; with ``"none"`` ``{"entity", "score", "index",
            "word", "start", "end"}``. ``word`` is ``text[start:end]``.

        Raises
        ------
        InputError
        """
        head = self._head("token_classification", "tag")
        results, extents = tag.tag(
            self._runner,
            head,
            self.labels,
            listed_texts(texts),
            aggregation_strategy,
            ignore_labels,
            Cut(truncate, stride),
        )
        return self._told(results, extents, on_extent)

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
            several masks a list of such lists.

        Raises
        ------
        InputError
            Also when a text has no mask.
        """
        head, cut = self._head("masked_lm", "fill_mask"), Cut(truncate, stride)
        results, extents = fill_mask.fill_mask(
            self._runner, head, self.mask_token, listed_texts(texts), top_k, targets, cut
        )
        return self._told(results, extents, on_extent)

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
            number without special ones, and exp(-score / tokens).

        Raises
        ------
        InputError
        """
        head, cut = self._head("masked_lm", "score"), Cut(truncate, stride)
        return self._told(*fill_mask.score(self._runner, head, self.mask_token, listed_texts(texts), cut), on_extent)

    def next_sentence(
        self, pairs: Iterable[tuple[str, str]], *, on_extent: OnExtent | None = None
    ) -> list[dict[str, Any]]:
        """Tell whether the second text of each pair follows the first (arXiv 1810.04805, section 3.1).

        Parameters
        ----------
        pairs : iterable of pairs of str
        on_extent
            As the class says; of texts that do not fit, the beginning is looked at.

        Returns
        -------
        list of dict
            ``{"label": "IsNext" or "NotNext", "score": float}``.

        Raises
        ------
        InputError
        """
        head = self._head("next_sentence", "next_sentence")
        return self._told(
            *classify.next_sentence(self._runner, head, listed_pairs(pairs, only=True), Cut(truncate=True)), on_extent
        )

    def answer(
        self,
        question: str | Sequence[str],
        context: str | Sequence[str],
        top_k: int = 1,
        *,
        max_answer_len: int = 15,
        handle_impossible_answer: bool = False,
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
            Tokens that an answer may have.
        handle_impossible_answer : bool
            Whether there may be no answer: then ``""``, with the score of that, is among the answers.
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
        head = self._head("question_answering", "answer")
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
            handle_impossible_answer,
            Cut(truncate, stride),
        )
        empty = {"score": 0.0, "start": 0, "end": 0, "answer": ""}
        found: list[Any] = [(each or [empty])[0] for each in results] if top_k == 1 else results
        return self._told(found[0] if alone else found, extents, on_extent)

    def rank(
        self,
        query: str,
        documents: Iterable[str],
        top_k: int | None = None,
        *,
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
        stride, truncate, on_extent
            As the class says. A long document is worth what its best window is.

        Returns
        -------
        list of dict
            ``{"index", "score", "text"}``, the best first; ``index`` is the document's place in `documents`.

        Raises
        ------
        InputError
        """
        head = self._head("sequence_classification", "rank")
        (query,) = listed_texts([query], "query")
        listed, problem_type = listed_texts(documents, "documents"), self._description.problem_type
        results, extents = classify.rank(
            self._runner, head, len(self.labels), problem_type, query, listed, top_k, Cut(truncate, stride)
        )
        return self._told(results, extents, on_extent)

    def embed(
        self,
        texts: Iterable[str],
        pooling: str | None = None,
        normalize: bool | None = None,
        dimensions: int | None = None,
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
        on_extent: OnExtent | None = None,
    ) -> Any:
        """Compute a vector for each text, as the model's makers meant it unless told otherwise.

        Parameters
        ----------
        texts : iterable of str
        pooling : str, optional
            ``"mean"``, ``"cls"``, ``"max"``, ``"weightedmean"``, ``"lasttoken"``, ``"mean_sqrt_len_tokens"``; or
            ``"none"`` for the hidden states of all tokens, special ones included.
        normalize : bool, optional
            Whether vectors have length one.
        dimensions : int, optional
            Keep only the first so many values (arXiv 2205.13147), before normalising.
        prompt, prompt_name : str, optional
            What to put before every text, or the name of one of `prompts`.
        on_extent
            As the class says. Of a text that is too long the beginning is embedded.

        Returns
        -------
        ndarray [shape=(len(texts), dimensions), dtype=float32]
            With ``pooling="none"`` a list of ndarray [shape=(tokens, hidden_size), dtype=float32].

        Raises
        ------
        InputError
        """
        listed = listed_texts(texts)
        embed.check_embedding_options(pooling, dimensions, self.dimensions)
        description = self._description
        before = embed.prompt_of(description.prompts, description.default_prompt, prompt, prompt_name)
        vectors, extents = embed.embed(
            self._runner, self._embedding, listed, pooling, normalize, dimensions, before, description.include_prompt
        )
        if pooling == "none":
            return self._told(vectors, extents, on_extent)
        matrix = np.stack(vectors) if vectors else np.empty((0, dimensions or self.dimensions), np.float32)
        return self._told(matrix, extents, on_extent)

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
        results: list[np.ndarray] = [np.empty(0, np.float32)] * len(token_ids)
        for indices, hidden in self._runner.encode_ids(token_ids):
            for index, rows in zip(indices, hidden, strict=True):
                results[index] = rows
        return results

    def _head(self, name: str, task: str) -> Head:
        if name not in self._heads:
            wanted = HEADS[name].architecture
            raise InputError(
                f"{self._description.path.name} is a {architecture_of(self._description.heads)}, it serves"
                f" {serves(self._description.heads)}; for {task}(), convert a model {wanted}"
            )
        return self._heads[name]

    def _told(self, results: Any, extents: Sequence[Extent], on_extent: OnExtent | None) -> Any:
        """Tell how much was seen of each text; return the results."""
        if on_extent is not None:
            for index, extent in enumerate(extents):
                on_extent(index, extent)
            return results
        cut = sum(extent.truncated for extent in extents)
        if cut:
            warnings.warn(
                f"{cut} of {len(extents)} texts are longer than the model's {self.max_length} tokens;"
                " what does not fit is not seen",
                TruncationWarning,
                stacklevel=_outside(),
            )
        return results


def _outside() -> int:
    """Return how far up the first caller is that is not in this file, as `warnings.warn` counts from `Model._told`."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        level, frame = level + 1, frame.f_back
    return level
