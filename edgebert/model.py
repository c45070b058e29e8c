"""A model that answers: load an .edgebert file, classify and embed texts."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.batch import Ids, TextTokenizer, Tokens, batches, check_ids, pack
from edgebert.description import Description
from edgebert.engine.backend import open_backend
from edgebert.engine.processor import default_threads
from edgebert.errors import InputError, TruncationWarning
from edgebert.heads.classification import SequenceClassification
from edgebert.heads.pooling import pool, unit

__all__ = ["DEFAULT_MODEL", "Model", "load"]

DEFAULT_MODEL = Path(__file__).parent / "models" / "sentiment.edgebert"
"""The sentiment classifier that comes with the package."""

TOKEN_BUDGET = 1024
"""Most tokens of one forward pass (or the model's longest text): their activations fit a second-level cache."""

OnTruncated = Callable[[int, int], object]


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
    return Model(Description(DEFAULT_MODEL if path is None else path), default_threads(threads))


class Model:
    """A loaded model. It may be called from several threads at once, and inherited by a forked child.

    Make one with `edgebert.load`.

    Attributes
    ----------
    labels : tuple of str
        Of the classifier; empty for a model without one.
    max_length : int
        Tokens of a text that the model sees, special ones included.
    hidden_size : int
        Width of a text's vector.
    threads : int
    """

    def __init__(self, description: Description, threads: int) -> None:
        config = self._config = description.config
        self._description = description
        self.labels, self.max_length = description.labels, description.max_length
        self.hidden_size = config.hidden_size
        self._tokenizer = TextTokenizer(description.tokenizer, self.max_length)
        self._budget = max(TOKEN_BUDGET, config.max_position_embeddings)
        self._backend = open_backend(config, description.tensors, threads, self._budget)
        self.threads = self._backend.threads
        self._classification: SequenceClassification | None = None
        if description.head == "sequence_classification":
            self._classification = SequenceClassification(
                description.tensors, self.labels, description.problem_type, self._backend
            )

    def __repr__(self) -> str:
        return f"<edgebert.Model {self._description.path.name}: {self._description.info['architecture']}>"

    @property
    def info(self) -> dict[str, Any]:
        """Facts about the model, in the order of reading them."""
        return self._description.info

    @property
    def model_card(self) -> str:
        """What the model's makers say of it; empty where they say nothing."""
        return self._description.card

    def classify(self, texts: Iterable[str], *, on_truncated: OnTruncated | None = None) -> list[dict[str, Any]]:
        """Find the best label of each text.

        Parameters
        ----------
        texts : iterable of str
        on_truncated : callable, optional
            Called with (index of the text, tokens that it has) for each text that is longer than the model takes
            and is classified from what fits. Without it one `TruncationWarning` is issued.

        Returns
        -------
        list of dict
            ``{"label": str, "score": float}`` for each text, in order.

        Raises
        ------
        InputError
            When the model has no classifier, or `texts` holds something else than strings.
        """
        if self._classification is None:
            raise InputError(
                f"{self._description.path.name} has no classifier, it serves embed(); to classify,"
                " convert a BertForSequenceClassification"
            )
        texts = _listed(texts)
        results: list[dict[str, Any]] = [{}] * len(texts)
        for indices, hidden in self._encode_texts(texts, on_truncated):
            logits = self._classification.logits(np.stack([rows[0] for rows in hidden]))
            for index, row in zip(indices, logits, strict=True):
                results[index] = self._classification.best(row)
        return results

    def embed(self, texts: Iterable[str], *, on_truncated: OnTruncated | None = None) -> np.ndarray:
        """Compute a vector for each text, with the model's own pooling and normalisation.

        Parameters
        ----------
        texts : iterable of str
        on_truncated : callable, optional
            As in `classify`.

        Returns
        -------
        ndarray [shape=(len(texts), hidden_size), dtype=float32]

        Raises
        ------
        InputError
            When `texts` holds something else than strings.
        """
        texts = _listed(texts)
        result = np.empty((len(texts), self.hidden_size), np.float32)
        for indices, hidden in self._encode_texts(texts, on_truncated):
            for index, rows in zip(indices, hidden, strict=True):
                vector = pool(rows, self._description.pooling)
                result[index] = unit(vector) if self._description.normalize else vector
        return result

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
        checked = check_ids(token_ids, self._config.vocab_size, self._config.max_position_embeddings)
        results: list[np.ndarray] = [np.empty(0, np.float32)] * len(checked)
        for indices, hidden in self._encode(checked):
            for index, rows in zip(indices, hidden, strict=True):
                results[index] = rows
        return results

    def _encode_texts(
        self, texts: list[str], on_truncated: OnTruncated | None
    ) -> Iterator[tuple[list[int], list[np.ndarray]]]:
        """Tokenize and encode; yield the indices of some texts and the hidden states of each."""
        tokens = self._tokenize(texts, on_truncated)
        # Kernels index tables by these: a tokenizer that does not fit its model must not reach beyond them.
        config, longest = self._config, self._config.max_position_embeddings
        ids = check_ids([text.ids for text in tokens], config.vocab_size, longest)
        types = check_ids([text.type_ids for text in tokens], config.type_vocab_size, longest, "token_type_ids")
        return self._encode(ids, types)

    def _encode(
        self, ids: list[np.ndarray], types: list[np.ndarray] | None = None
    ) -> Iterator[tuple[list[int], list[np.ndarray]]]:
        """Encode checked sequences batch by batch; yield the indices of a batch and the hidden states of each."""
        for indices in batches([len(sequence) for sequence in ids], self._budget):
            batch = pack([ids[i] for i in indices], None if types is None else [types[i] for i in indices])
            hidden = self._backend.encode(batch)
            ends = batch.cu_seqlens.tolist()  # np.split takes longer than a short text
            yield indices, [hidden[begin:end] for begin, end in itertools.pairwise(ends)]

    def _tokenize(self, texts: list[str], on_truncated: OnTruncated | None) -> list[Tokens]:
        try:
            tokens = [self._tokenizer(text) for text in texts]
        except TypeError as error:  # how the tokenizers library says that a string is no Unicode text
            raise InputError("a text has a lone surrogate; decode it with errors='replace'") from error
        cut = [index for index, text in enumerate(tokens) if text.count > len(text.ids)]
        if on_truncated is not None:
            for index in cut:
                on_truncated(index, tokens[index].count)
        elif cut:
            warnings.warn(
                f"{len(cut)} of {len(tokens)} texts are longer than the model's {self.max_length} tokens;"
                " what does not fit is not seen",
                TruncationWarning,
                stacklevel=4,
            )
        return tokens


def _listed(texts: Iterable[str]) -> list[str]:
    """Check that texts are texts."""
    if isinstance(texts, (str, bytes)):
        raise InputError("texts is one string, expected a list of them; write [text]")
    try:
        listed = list(texts)
    except TypeError as error:
        raise InputError(f"texts is a {type(texts).__name__}, expected a list of strings") from error
    for index, text in enumerate(listed):
        if not isinstance(text, str):
            raise InputError(f"texts[{index}] is a {type(text).__name__}, expected a string")
    return listed
