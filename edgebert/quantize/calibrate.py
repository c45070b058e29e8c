"""The text that passes through a model while it is quantized."""

from __future__ import annotations

from pathlib import Path

from edgebert.batch import PackedBatch, TextTokenizer, pack

__all__ = ["DEFAULT_TEXTS", "calibration_batch"]

DEFAULT_TEXTS = Path(__file__).with_name("calibration.txt")
"""Written for this purpose: several registers, a few languages; one text a line."""


def calibration_batch(tokenizer: TextTokenizer, texts: list[str] | None = None) -> PackedBatch:
    """Tokenize and pack the calibration text.

    Parameters
    ----------
    tokenizer : TextTokenizer
        The model's own.
    texts : list of str, optional
        `DEFAULT_TEXTS` by default.
    """
    if texts is None:
        texts = DEFAULT_TEXTS.read_text(encoding="utf-8").splitlines()
    tokens = [tokenizer(text) for text in texts]
    return pack([text.ids for text in tokens], [text.type_ids for text in tokens])
