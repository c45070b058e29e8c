"""Vocabularies of folders without a tokenizer.json: ``vocab.txt``, or ``vocab.json`` with ``merges.txt``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebert.checkpoint.text_files import read_json, read_text
from edgebert.checkpoint.tokenizer_classes import TokenizerClass
from edgebert.errors import CheckpointError, UnsupportedModelError

__all__ = ["read_vocabulary"]

_FILES = {"WordPiece": ("vocab.txt",), "WordLevel": ("vocab.txt",), "BPE": ("vocab.json", "merges.txt")}
_RESAVE = "load the tokenizer with transformers' AutoTokenizer, and save_pretrained writes its tokenizer.json"


def read_vocabulary(folder: Path, own: TokenizerClass) -> tuple[Path, dict[str, Any]]:
    """Return the file, and the ``vocab`` and ``merges`` that it holds.

    Raises
    ------
    CheckpointError
        A file is missing or damaged.
    UnsupportedModelError
        The class keeps its vocabulary in a form that edgebert does not read: naming the class, and the remedy.
    """
    names = _FILES.get(own.model, ())
    missing = [name for name in names if not (folder / name).is_file()]
    if names and missing:
        raise CheckpointError(
            f"{folder} has no tokenizer, expected tokenizer.json or {' and '.join(names)} of a {own.name};"
            f" {' and '.join(missing)} is not there"
        )
    if not names:
        there = [name for names in _FILES.values() for name in names if (folder / name).is_file()]
        form = "in a SentencePiece file" if own.model else "there alone"
        raise UnsupportedModelError(
            f"{folder} has no tokenizer.json, and the vocabulary of a {own.name} is {form}"
            f"{', not in ' + there[0] if there else ''}; edgebert needs its tokenizer.json: {_RESAVE}"
        )
    if names == _FILES["WordPiece"]:
        return folder / names[0], {"vocab": _lines(folder / names[0])}
    vocabulary, merges = (folder / name for name in names)
    return vocabulary, {"vocab": read_json(vocabulary, dict), "merges": _merges(merges)}


def _lines(path: Path) -> dict[str, int]:
    """Return a vocabulary of one token a line, its id the number of the line.

    A last empty line is a token as well, an empty one, which takes an id; so it is in the tokenizers library.
    """
    read_text(path)  # says which byte is no text
    # "\n" alone ends a line: vocabularies hold other characters that Python would break at.
    lines = path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    return {line.rstrip(" \t\r"): i for i, line in enumerate(lines)}


def _merges(path: Path) -> list[list[str]]:
    """Return the pairs of a merges.txt in their order; ``#version`` begins a line that is none."""
    lines = read_text(path).split("\n")
    pairs = [line.removesuffix("\r").split(" ") for line in lines if line.strip() and not line.startswith("#version")]
    if faulty := next((pair for pair in pairs if len(pair) != 2), None):
        raise CheckpointError(f"{path} has the line {' '.join(faulty)!r}, expected two parts with a space between")
    return pairs
