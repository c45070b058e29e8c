"""A vector for each token, and how well those of a document fit those of a query (ColBERT, arXiv 2004.12832).

A query says what it is by a token behind its first one, and so does a document. Queries are filled up with mask tokens,
whose vectors stand for words that it might have had (section 3.2); vectors of punctuation in documents are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from edgebert.architecture import Encoder
from edgebert.config import BertConfig
from edgebert.engine.backend import Backend
from edgebert.exact import multiply, total
from edgebert.families import encoder_of
from edgebert.heads.pooling import DenseModules, Pipeline, unit

__all__ = ["LateInteraction", "TokenVectors", "maxsim"]

NONE = -1


class LateInteraction(NamedTuple):
    """How the texts of a model for late interaction become vectors of their tokens.

    Attributes
    ----------
    query_marker, document_marker : int
        The id that stands behind the first token of a query, or of a document; -1 for none.
    query_length : int
        Tokens that a query is cut to.
    filled_length : int
        Tokens that it is filled up to; 0 where it is not.
    filler : int
        The id that it is filled up with; -1 where it is not.
    attends_to_fillers : bool
        Whether other tokens attend to those; they do to the others in any case.
    skipped : tuple of int
        Ids whose vectors are left out of a document's.
    skips_in_queries : bool
        Whether they are left out of a query's, too.
    mean : bool
        Whether the score of a document is the mean over a query's tokens, instead of the sum.
    """

    query_marker: int = NONE
    document_marker: int = NONE
    query_length: int = 32
    filled_length: int = 0
    filler: int = NONE
    attends_to_fillers: bool = False
    skipped: tuple[int, ...] = ()
    skips_in_queries: bool = False
    mean: bool = False

    def marker(self, *, query: bool) -> int | None:
        """Return the id that stands behind the first token of a query, or of a document, if there is one."""
        own = self.query_marker if query else self.document_marker
        return None if own == NONE else own

    def faults(self, config: BertConfig) -> list[str]:
        """Return what no vectors could be made with, of a model with this config."""
        faults, ids = [], range(config.vocab_size)
        for name in ("query_marker", "document_marker", "filler"):
            value = getattr(self, name)
            if type(value) is not int or not (value == NONE or value in ids):
                faults.append(f"{name} of late interaction is {value!r}, expected an id, or {NONE} for none")
        if not isinstance(self.skipped, tuple) or not all(type(own) is int and own in ids for own in self.skipped):
            faults.append(f"skipped of late interaction is {self.skipped!r}, expected ids")
        for name in ("attends_to_fillers", "skips_in_queries", "mean"):
            if type(getattr(self, name)) is not bool:
                faults.append(f"{name} of late interaction is {getattr(self, name)!r}, expected true or false")
        longest = config.max_position_embeddings
        if type(self.query_length) is not int or not 3 < self.query_length <= longest:
            faults.append(f"query_length of late interaction is {self.query_length!r}, expected 4 to {longest}")
        elif type(self.filled_length) is not int or not 0 <= self.filled_length <= self.query_length:
            faults.append(
                f"filled_length of late interaction is {self.filled_length!r}, expected 0 to {self.query_length}"
            )
        elif not self.attends_to_fillers and self.filled_length > (reach := _reach(encoder_of(config))):
            faults.append(
                f"filled_length of late interaction is {self.filled_length}, expected at most {reach}, the window"
                " of the model's attention: what fills a query up would see none of its tokens"
            )
        if (self.filler == NONE) != (self.filled_length == 0):
            faults.append("one of filler and filled_length of late interaction is there without the other")
        return faults


def _reach(encoder: Encoder) -> int:
    """Return how far every token sees in every layer."""
    return min((layer.attention.window for layer in encoder.layers if layer.attention.window), default=encoder.longest)


class TokenVectors:
    """What stands behind the encoder: Dense modules on every token, and lengths of one.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        With the weights of the Dense modules, named by `edgebert.heads.pooling.dense_name`.
    pipeline : Pipeline
        Its Dense modules, and whether vectors have length one.
    backend : Backend
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], pipeline: Pipeline, backend: Backend) -> None:
        self._pipeline, self._dense = pipeline, DenseModules(tensors, pipeline, backend)

    def __call__(self, states: np.ndarray) -> np.ndarray:
        """Return the vectors of tokens, float32 (T, dimensions), from their hidden states (T, H)."""
        vectors = self._dense(states)
        vectors = unit(vectors) if self._pipeline.normalize else vectors
        return vectors[:, : self._pipeline.truncate_dim or None]


def maxsim(query: np.ndarray, document: np.ndarray, *, mean: bool = False) -> float:
    """Say how well a document fits a query: for each of its tokens the best of the document's, summed.

    The same bits on every computer (arXiv 2004.12832, section 3.3).

    Parameters
    ----------
    query : ndarray [shape=(T, dimensions), dtype=float32]
        As `edgebert.Model.embed_tokens` makes them, with ``query=True``.
    document : ndarray [shape=(D, dimensions), dtype=float32]
    mean : bool
        Whether to take the mean over the query's tokens, instead of the sum.

    Returns
    -------
    float
        Of vectors of length one, from -T to T; 0 where one of both has no token.
    """
    if not len(query) or not len(document):
        return 0.0
    best = multiply(query, document.T).max(axis=1).astype(np.float64)
    return float(total(best)) / (len(best) if mean else 1)
