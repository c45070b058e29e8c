"""The tokenizer of a model folder, as the JSON text that the tokenizers library reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from edgebert.checkpoint.faults import listed
from edgebert.checkpoint.text_files import read_json, read_text
from edgebert.errors import CheckpointError, UnsupportedModelError
from edgebert.tokens import TRUNCATION_SIDES

__all__ = ["read_tokenizer", "read_truncation_side"]

_WORDPIECE_CLASSES = tuple(
    f"{family}Tokenizer{fast}" for family in ("Bert", "DistilBert", "Electra") for fast in ("", "Fast")
)
_MASK_TOKENS = ("[MASK]", "<mask>")
_LONGEST_WORD = 100  # characters; BERT's tokenizer takes a longer word for unknown


def read_tokenizer(folder: Path, settings: Mapping[str, Any], vocab_size: int, *, lowercase: bool) -> tuple[str, str]:
    """Return the text of a ``tokenizer.json`` without truncation and padding, and the token of a masked word.

    The first is the folder's own, else one built from its ``vocab.txt``; the second may be empty.

    Parameters
    ----------
    folder : Path
        Where the files lie.
    settings : Mapping
        What ``tokenizer_config.json`` holds; of use for ``vocab.txt`` alone.
    vocab_size : int
        Rows of the word embeddings, which no token's id may reach.
    lowercase : bool
        Put every text into lower case first, whatever the tokenizer does
        (``do_lower_case`` of sentence-transformers).

    Raises
    ------
    CheckpointError
        There is no tokenizer, it cannot be read, or it has more tokens than the embeddings have rows.
    UnsupportedModelError
        There is a ``vocab.txt`` for another tokenizer than BERT's.
    """
    if (folder / "tokenizer.json").is_file():
        path = folder / "tokenizer.json"
        parts = read_json(path, dict)
    elif (folder / "vocab.txt").is_file():
        path = folder / "vocab.txt"
        parts = _wordpiece(path, settings)
    else:
        raise CheckpointError(f"{folder} has no tokenizer, expected tokenizer.json or vocab.txt")
    # Length is edgebert's matter, and padding does not exist in it.
    parts |= {"truncation": None, "padding": None}
    if lowercase:
        steps = [{"type": "Lowercase"}, *([parts["normalizer"]] if parts.get("normalizer") else [])]
        parts["normalizer"] = {"type": "Sequence", "normalizers": steps}
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing narrower
        raise CheckpointError(f"{path} cannot be read by the tokenizers library: {error}") from error
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    largest = max(vocabulary.values(), default=-1)
    if largest >= vocab_size:
        raise CheckpointError(
            f"{path} has token ids up to {largest}, but config.json has a vocab_size of {vocab_size}:"
            " the tokenizer is of another model"
        )
    masks = (_content(settings.get("mask_token"), ""), *_MASK_TOKENS)
    return text, next((token for token in masks if token in vocabulary), "")


def read_truncation_side(folder: Path, settings: Mapping[str, Any]) -> str:
    """Return where a text that is too long is cut, ``"right"`` or ``"left"``.

    ``tokenizer_config.json`` says it, else the truncation of ``tokenizer.json``, as in transformers.

    Raises
    ------
    CheckpointError
        It is said to be cut elsewhere.
    """
    side = settings.get("truncation_side")
    if side is None and (folder / "tokenizer.json").is_file():
        truncation = read_json(folder / "tokenizer.json", dict).get("truncation")
        direction = truncation.get("direction") if isinstance(truncation, dict) else None
        side = {"Right": "right", "Left": "left"}.get(direction, direction) if isinstance(direction, str) else direction
    if side is None:
        return "right"
    if side not in TRUNCATION_SIDES:
        raise CheckpointError(f"the tokenizer in {folder} has truncation_side {side!r}, expected 'right' or 'left'")
    return str(side)


def _wordpiece(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return BERT's ``tokenizer.json`` for a vocabulary: one token a line, its id the number of the line."""
    kind = settings.get("tokenizer_class") or "BertTokenizer"
    if kind not in _WORDPIECE_CLASSES:
        raise UnsupportedModelError(
            f"{path} is for a {kind}; without a tokenizer.json edgebert builds {' or '.join(_WORDPIECE_CLASSES[::2])}"
            " alone"
        )
    if settings.get("do_basic_tokenize") is False:
        raise UnsupportedModelError(
            f"{path} is for text already split into words (do_basic_tokenize is false);"
            " edgebert needs the model's tokenizer.json"
        )
    # "\n" alone ends a line: vocabularies hold other characters that splitlines() would break at.
    lines = read_text(path).removesuffix("\n").split("\n")
    vocabulary = {line: i for i, line in enumerate(lines)}
    special = {
        role: _content(settings.get(f"{role}_token"), f"[{role.upper()}]")
        for role in ("pad", "unk", "cls", "sep", "mask")
    }
    missing = [special[role] for role in ("unk", "cls", "sep") if special[role] not in vocabulary]
    if missing:
        raise CheckpointError(f"{path} lacks special tokens that the model needs: {listed(missing)}")

    cls, sep = special["cls"], special["sep"]
    alone = [_piece(cls, 0), {"Sequence": {"id": "A", "type_id": 0}}, _piece(sep, 0)]
    behind = [{"Sequence": {"id": "B", "type_id": 1}}, _piece(sep, 1)]
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}
    return {
        "version": "1.0",
        # Those that the vocabulary lacks would be given new ids, for which there is no embedding.
        "added_tokens": [
            {"id": vocabulary[token], "content": token} | flags
            for token in sorted(set(special.values()) & set(vocabulary), key=vocabulary.__getitem__)
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": settings.get("tokenize_chinese_chars") is not False,
            "strip_accents": settings.get("strip_accents"),  # null: where the text is put into lower case
            "lowercase": settings.get("do_lower_case") is not False,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": alone,
            "pair": alone + behind,
            "special_tokens": {
                token: {"id": token, "ids": [vocabulary[token]], "tokens": [token]} for token in (cls, sep)
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": special["unk"],
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": _LONGEST_WORD,
            "vocab": vocabulary,
        },
    }


def _piece(token: str, type_id: int) -> dict[str, Any]:
    """Return a special token's place in the template that goes round a text."""
    return {"SpecialToken": {"id": token, "type_id": type_id}}


def _content(token: Any, default: str) -> str:
    """Return a special token's text, which tokenizer_config.json gives as such or in an object."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) and token else default
