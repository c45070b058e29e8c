"""Spans of any labels, which stand before the text (GLiNER, arXiv 2311.08526).

Before a text there is a marker for each label, with its words behind. A word of the text has the hidden state of its
first token, a label that of its marker; layers on both say how well they fit. Models score spans of up to some words,
or words as the first, the last and any of a span (the form that NuNER Zero has, arXiv 2402.15343).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from edgebert.config import BertConfig
from edgebert.engine.backend import Layers
from edgebert.heads.chain import Chain, Part
from edgebert.heads.dense import activate, columns_of
from edgebert.kernels.plan import whole_vectors

__all__ = ["ABSENT", "Gliner", "GlinerHead", "decisions", "gliner_parts"]

ABSENT = np.float32(-1e30)
"""The logit of a span that would end beyond the window's last word."""
_DIRECTIONS = ("forward", "backward")
_MOST_RNN_LAYERS = 16
_STARTS = 32
"""Words whose spans are scored at a time: each has several rows of intermediate values."""
_GATES = 4
"""Of an LSTM: input, forget, cell and output, in torch's order."""


class Gliner(NamedTuple):
    """How a model finds spans of any labels.

    Attributes
    ----------
    entity_token, separator : str
        What stands before each label, and behind the last.
    entity_id : int
        The id of the former.
    behind_marker : bool
        Whether a label has the hidden state of the token behind its marker.
    hidden_size : int
        Of what the layers here read: the encoder's, or that of a projection of its hidden states.
    rnn_layers : int
        How many layers a bidirectional LSTM over the words has; 0 without one.
    max_width : int
        Words of a span at most; 0 of a model that scores words.
    max_words : int
        Words of a window at most.
    """

    entity_token: str
    separator: str
    entity_id: int
    behind_marker: bool
    hidden_size: int
    rnn_layers: int
    max_width: int
    max_words: int

    def faults(self, config: BertConfig) -> list[str]:
        """Return what no spans could be found with, of a model with this config."""
        faults = []
        for name, least, most in (
            ("entity_id", 0, config.vocab_size - 1),
            ("hidden_size", 2, 1 << 16),
            ("rnn_layers", 0, _MOST_RNN_LAYERS),
            ("max_width", 0, 1 << 10),
            ("max_words", 1, 1 << 20),
        ):
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                faults.append(f"{name} of gliner is {value!r}, expected {least} to {most}")
        for name in ("entity_token", "separator"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                faults.append(f"{name} of gliner is {getattr(self, name)!r}, expected a token")
        if type(self.behind_marker) is not bool:
            faults.append(f"behind_marker of gliner is {self.behind_marker!r}, expected true or false")
        if not faults and self.rnn_layers and self.hidden_size % 2:
            faults.append(f"hidden_size of gliner is {self.hidden_size}, expected an even number with an LSTM")
        return faults


def gliner_parts(gliner: Gliner, hidden_size: int) -> dict[str, Part]:
    """Return the layers behind an encoder by name; those of an LSTM are two for each layer and direction.

    The first layer behind two that are put side by side is two here, whose outputs are added: so it is computed once
    for each word, not for each span.
    """
    D, inner = gliner.hidden_size, 4 * gliner.hidden_size
    parts = [] if hidden_size == D else [Part("gliner.projection", D, hidden_size, "int8")]
    for layer in range(gliner.rnn_layers):
        for direction in _DIRECTIONS:
            name = f"gliner.rnn.{layer}.{direction}"
            parts += [Part(f"{name}.input", 2 * D, D, "int8"), Part(f"{name}.recurrent", 2 * D, D // 2)]
    if gliner.max_width:
        for end in ("start", "end"):
            parts += [Part(f"gliner.{end}.0", inner, D, "int8", "relu"), Part(f"gliner.{end}.1", D, inner, "int8")]
        parts += [Part("gliner.out.start", inner, D, "int8"), Part("gliner.out.end", inner, D, "int8", bias=False)]
        parts += [Part("gliner.out.1", D, inner)]
        parts += [Part("gliner.label.0", inner, D, "float16", "relu"), Part("gliner.label.1", D, inner, "float16")]
    else:
        parts += [Part("gliner.word", 2 * D, D, "int8"), Part("gliner.label", 2 * D, D, "float16")]
        parts += [Part("gliner.out.word", inner, D, "int8"), Part("gliner.out.label", inner, D, "float16", bias=False)]
        parts += [Part("gliner.out.pair", inner, D, "int8", bias=False), Part("gliner.out.1", 3, inner)]
    return {part.name: part for part in parts}


class GlinerHead:
    """The layers behind the encoder.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        With their weights and biases.
    gliner : Gliner
    config : BertConfig
        The encoder's.
    backend : Layers
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], gliner: Gliner, config: BertConfig, backend: Layers) -> None:
        self._gliner, self._backend = gliner, backend
        self._layers: dict[str, Chain] = {}
        self._recurrent: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for name, part in gliner_parts(gliner, config.hidden_size).items():
            if name.endswith(".recurrent"):
                self._recurrent[name] = _columns_of_gates(tensors[f"{name}.weight"]), tensors[f"{name}.bias"]
            elif name == "gliner.out.1" and gliner.max_width:
                self._last = columns_of(tensors[f"{name}.weight"].T), columns_of(tensors[f"{name}.bias"][None])
            else:
                self._layers[name] = Chain([part], tensors, config, backend)

    def __call__(self, states: np.ndarray, rows: np.ndarray, label_rows: np.ndarray) -> np.ndarray:
        """Score the words or spans of a window for each label.

        Parameters
        ----------
        states : ndarray [shape=(T, H), dtype=float32]
            The window's hidden states.
        rows : ndarray [shape=(W,), dtype=int]
            Which of them are the words'; -1 for a word without a token.
        label_rows : ndarray [shape=(C,), dtype=int]
            Which of them are the labels'.

        Returns
        -------
        ndarray [dtype=float32]
            Logits: of spans (W, max_width, C), of a first word and so many behind it, `ABSENT` where there are less;
            of words (W, C, 3), as the first of a span, its last, and any of it.
        """
        project = self._layers.get("gliner.projection", _as_it_is)
        words = np.where((rows < 0)[:, None], np.float32(0), project(states[np.maximum(rows, 0)]))
        labels = project(states[label_rows])
        for layer in range(self._gliner.rnn_layers):
            words = np.concatenate(
                [self._recur(words, f"gliner.rnn.{layer}.{each}", each) for each in _DIRECTIONS], axis=1
            )
        return self._of_spans(words, labels) if self._gliner.max_width else self._of_words(words, labels)

    def _recur(self, words: np.ndarray, name: str, direction: str) -> np.ndarray:
        """Apply one direction of an LSTM's layer: float32 (W, D) -> (W, D / 2)."""
        step = 1 if direction == "forward" else -1
        weight, bias = self._recurrent[f"{name}.recurrent"]
        gates = _padded_gates(self._layers[f"{name}.input"](words[::step]) + bias)
        if not np.isfinite(gates).all():  # a gate would be open or shut by it, and hide it
            return np.full((len(words), len(bias) // _GATES), np.nan, np.float32)
        return self._backend.lstm(gates, weight)[:, : len(bias) // _GATES][::step]

    def _of_spans(self, words: np.ndarray, labels: np.ndarray) -> np.ndarray:
        first, last = (
            self._layers[f"gliner.out.{end}"](activate(self._chain(end, words), "relu")) for end in ("start", "end")
        )
        # The last layer of spans has nothing but sums behind it: it is applied to the few labels instead.
        weight, bias = self._last
        wanted = self._chain("label", labels)
        of_labels = columns_of(self._backend.dense(wanted, weight)[:, : first.shape[1]])
        offset = self._backend.dense(wanted, bias)[:, 0]
        W, width, C = len(words), self._gliner.max_width, len(labels)
        logits = np.full((W, width, C), ABSENT, np.float32)
        for begin in range(0, W, _STARTS):
            own = np.arange(begin, min(begin + _STARTS, W))
            ends = own[:, None] + np.arange(width)
            there = ends < W
            spans = activate(first[np.repeat(own, there.sum(axis=1))] + last[ends[there]], "relu")
            logits[begin : begin + _STARTS][there] = self._backend.dense(spans, of_labels)[:, :C] + offset
        return logits

    def _of_words(self, words: np.ndarray, labels: np.ndarray) -> np.ndarray:
        D, C = self._gliner.hidden_size, len(labels)
        own, wanted = self._layers["gliner.word"](words), self._layers["gliner.label"](labels)
        of_words = self._layers["gliner.out.word"](own[:, :D])
        of_labels = self._layers["gliner.out.label"](wanted[:, :D])
        logits = np.empty((len(words), C, 3), np.float32)
        for begin in range(0, len(words), _STARTS):
            part = slice(begin, begin + _STARTS)
            pairs = (own[part, None, D:] * wanted[None, :, D:]).reshape(-1, D)
            inner = of_words[part, None] + of_labels + self._layers["gliner.out.pair"](pairs).reshape(-1, C, 4 * D)
            logits[part] = self._layers["gliner.out.1"](activate(inner, "relu").reshape(-1, 4 * D)).reshape(-1, C, 3)
        return logits

    def _chain(self, name: str, x: np.ndarray) -> np.ndarray:
        """Apply two layers, one behind the other."""
        return self._layers[f"gliner.{name}.1"](self._layers[f"gliner.{name}.0"](x))


def decisions(logits: np.ndarray) -> np.ndarray:
    """Return what a model decides of each word, in whole numbers that a quantized one should decide alike.

    Which is the best of the spans that begin with it, or of the labels that begin, end or go on with it; 0 where none
    is more likely than not.
    """
    of_word = logits.reshape(len(logits), -1)
    return np.where(of_word.max(axis=1) > 0, of_word.argmax(axis=1) + 1, 0)


def _as_it_is(x: np.ndarray) -> np.ndarray:
    return x


def _padded_gates(gates: np.ndarray) -> np.ndarray:
    """Extend each of four gates with zeros to whole vectors: (T, 4 h) -> (T, 4 h padded)."""
    size = gates.shape[1] // _GATES
    split = gates.reshape(len(gates), _GATES, size)
    return np.ascontiguousarray(
        np.pad(split, [(0, 0), (0, 0), (0, whole_vectors(size) - size)]).reshape(len(gates), -1)
    )


def _columns_of_gates(weight: np.ndarray) -> np.ndarray:
    """Lay a recurrent weight out as the kernel reads it: (4 h, h) -> float32 (h padded, 4 h padded)."""
    size = weight.shape[1]
    columns = _padded_gates(np.ascontiguousarray(weight.T))
    return np.pad(columns, [(0, whole_vectors(size) - size), (0, 0)])
