"""The text that passes through a model while it is quantized."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgebert.engine.backend import Linear
from edgebert.evaluate.compare import masked
from edgebert.evaluate.float32 import Float32Layers
from edgebert.evaluate.spans import SpanText
from edgebert.heads.gliner import GlinerHead
from edgebert.model_info import ModelInfo
from edgebert.tokens import TextTokenizer
from edgebert.windows import Window

__all__ = ["calibration_windows", "default_texts", "evaluation_texts", "inputs_of_spans", "vocabulary_texts"]

# Written for this purpose: several registers, a few languages; one text a line, none of them in both.
_CALIBRATION, _EVALUATION = (Path(__file__).with_name(name) for name in ("calibration.txt", "evaluation.txt"))

_VOCABULARY_TEXTS, _SHORTEST, _LONGEST = 250, 4, 40


def default_texts(tokenizer: TextTokenizer) -> list[str]:
    """Return what a model is calibrated on when its user names no text: our own, and words of its own vocabulary."""
    return _CALIBRATION.read_text(encoding="utf-8").splitlines() + vocabulary_texts(tokenizer)


def evaluation_texts() -> list[str]:
    """Return what a converted model is measured on when its user names no text."""
    return _EVALUATION.read_text(encoding="utf-8").splitlines()


def vocabulary_texts(tokenizer: TextTokenizer) -> list[str]:
    """Return texts of words drawn from a model's vocabulary, always the same.

    They make no sense, but bring every kind of token, of any language or field, which a small text cannot: on
    MiniLM-L6 they take a quarter off the error that our own text alone leaves.
    """
    words = sorted({token.lstrip("#\u2581\u0120") for token in tokenizer.vocabulary})
    words = [word for word in words if _letters(word)]
    if not words:
        return []
    draw = random.Random(0).random  # the one method that Python promises to keep as it is

    def text() -> str:
        count = _SHORTEST + int(draw() * (_LONGEST - _SHORTEST + 1))
        return " ".join(words[int(draw() * len(words))] for _ in range(count))

    return [text() for _ in range(_VOCABULARY_TEXTS)]


def _letters(word: str) -> bool:
    """Say whether a word is letters alone, by a version of Unicode that every Python has: all draw the same words."""
    return bool(word) and all(unicodedata.ucd_3_2_0.category(letter).startswith("L") for letter in word)


def calibration_windows(tokenizer: TextTokenizer, texts: Sequence[str], mask_token: str) -> list[Window]:
    """Tokenize the calibration text with the model's own tokenizer, masked as a model of words will see it."""
    windows = [tokenizer.single(text) for text in texts]
    mask = tokenizer.id_of(mask_token) if mask_token else None
    return windows if mask is None else [masked(window, mask) for window in windows]


def inputs_of_spans(
    weights: Mapping[str, np.ndarray], info: ModelInfo, texts: Sequence[SpanText], hidden: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """Return what the int8 layers of a model for spans read of texts, by their names, from hidden states (T, H)."""
    inputs: dict[str, list[np.ndarray]] = {}

    class Collecting(Float32Layers):
        @staticmethod
        def linear(tensors: Mapping[str, np.ndarray], name: str, N: int) -> Linear:
            layer = Float32Layers.linear(tensors, name, N)

            def collect(x: np.ndarray) -> np.ndarray:
                inputs.setdefault(name, []).append(x)
                return layer(x)

            return collect

    assert info.gliner
    head = GlinerHead(weights, info.gliner, info.config, Collecting())
    for own, states in zip(texts, hidden, strict=True):
        head(states, own.rows, own.label_rows)
    return {name: np.concatenate(parts) for name, parts in inputs.items()}
