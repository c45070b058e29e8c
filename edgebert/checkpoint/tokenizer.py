"""The tokenizer of a model folder, as the JSON text that the tokenizers library reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from edgebert.checkpoint.faults import listed
from edgebert.checkpoint.text_files import read_json, read_text
from edgebert.errors import CheckpointError, UnsupportedModelError

__all__ = ["read_tokenizer"]

_WORDPIECE_CLASSES = ("BertTokenizer", "BertTokenizerFast")
_LONGEST_WORD = 100  # characters; BERT's tokenizer takes a longer word for unknown


def read_tokenizer(folder: Path, settings: Mapping[str, Any], vocab_size: int, *, lowercase: bool) -> str:
    """Return the text of a ``tokenizer.json`` without truncation and padding.

    It is the folder's own, else one built from its ``vocab.txt``.

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
        parts = json.loads(_wordpiece(path, settings).to_str())
    else:
        raise CheckpointError(f"{folder} has no tokenizer, expected tokenizer.json or vocab.txt")
    # Length is edgebert's matter, and padding does not exist in it.
    parts |= {"truncation": None, "padding": None}
    if lowercase:
        steps = [{"type": "Lowercase"}, *([parts["normalizer"]] if parts.get("normalizer") else [])]
        parts["normalizer"] = {"type": "Sequence", "normalizers": steps}
    text = json.dumps(parts, ensure_ascii=False)
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing narrower
        raise CheckpointError(f"{path} cannot be read by the tokenizers library: {error}") from error
    ids = tokenizer.get_vocab(with_added_tokens=True).values()
    if max(ids, default=-1) >= vocab_size:
        raise CheckpointError(
            f"{path} has token ids up to {max(ids)}, but config.json has a vocab_size of {vocab_size}:"
            " the tokenizer is of another model"
        )
    return text


def _wordpiece(path: Path, settings: Mapping[str, Any]) -> Tokenizer:
    """Build BERT's tokenizer from a vocabulary, one token a line, its id the number of the line."""
    kind = settings.get("tokenizer_class") or "BertTokenizer"
    if kind not in _WORDPIECE_CLASSES:
        raise UnsupportedModelError(
            f"{path} is for a {kind}; without a tokenizer.json edgebert builds"
            f" {' or '.join(_WORDPIECE_CLASSES)} alone"
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

    tokenizer = Tokenizer(
        models.WordPiece(vocabulary, unk_token=special["unk"], max_input_chars_per_word=_LONGEST_WORD)
    )
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=settings.get("tokenize_chinese_chars") is not False,
        strip_accents=settings.get("strip_accents"),  # None: where the text is put into lower case
        lowercase=settings.get("do_lower_case") is not False,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    cls, sep = special["cls"], special["sep"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(cls, vocabulary[cls]), (sep, vocabulary[sep])],
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    # Those that the vocabulary lacks would be given new ids, for which there is no embedding.
    present = [token for token in special.values() if token in vocabulary]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in present])
    return tokenizer


def _content(token: Any, default: str) -> str:
    """Return a special token's text, which tokenizer_config.json gives as such or in an object."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) and token else default
