"""The tokenizer of a model folder, as the JSON text that the tokenizers library reads."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from edgebert.checkpoint.faults import listed
from edgebert.checkpoint.text_files import read_json
from edgebert.checkpoint.tokenizer_classes import TokenizerClass, class_of
from edgebert.checkpoint.tokenizer_settings import ROLES, added_token
from edgebert.checkpoint.vocabulary import read_vocabulary
from edgebert.choices import TRUNCATION_SIDES
from edgebert.config import BertConfig
from edgebert.errors import CheckpointError, CheckpointWarning
from edgebert.tokens import fault_of

__all__ = ["last_id", "read_tokenizer", "read_truncation_side"]

_MASK_TOKENS = ("[MASK]", "<mask>")
_KEEP = "set tokenizer_class to PreTrainedTokenizerFast in tokenizer_config.json to keep the tokenizer.json as it is"


def read_tokenizer(
    folder: Path,
    settings: Mapping[str, Any],
    values: Mapping[str, Any],
    config: BertConfig,
    *,
    lowercase: bool,
) -> tuple[str, str]:
    """Return the text of a ``tokenizer.json`` without truncation and padding, and the token of a masked word.

    The vocabulary is that of the folder's ``tokenizer.json``, else of its vocabulary files; what the tokenizer's class
    makes of it follows the settings (`edgebert.checkpoint.tokenizer_classes`). The mask token may be empty.

    Parameters
    ----------
    folder : Path
        Where the files lie.
    settings : Mapping
        By `edgebert.checkpoint.tokenizer_settings.read_tokenizer_settings`.
    values : Mapping
        Of config.json; its ``tokenizer_class`` and ``model_type`` count where the settings name no class.
    config : BertConfig
        Its ``vocab_size`` is the number of rows of the word embeddings, which no token's id may reach.
    lowercase : bool
        Put every text into lower case first, whatever the tokenizer does
        (``do_lower_case`` of sentence-transformers).

    Raises
    ------
    CheckpointError
        There is no tokenizer, it cannot be read, its files contradict each other, or it has more tokens than the
        embeddings have rows.
    UnsupportedModelError
        The tokenizer's class splits texts, or keeps its vocabulary, in a way that edgebert does not follow.

    Warns
    -----
    CheckpointWarning
        The class and the tokenizer.json do not fit each other.
    """
    own = class_of(folder, settings, values)
    if (folder / "tokenizer.json").is_file():
        path = folder / "tokenizer.json"
        # Read and written by the library: a damaged part is refused, needed or not, and old spellings become today's.
        parts = json.loads(_read(read_json(path, dict), path).to_str())
        own = _fitting(own, parts, path)
        made = own.build(own, settings, parts, parts["model"])
    else:
        path, model = read_vocabulary(folder, own)
        made = own.build(own, settings, {}, model)
    kept = made.get("added_tokens", [])
    tokenizer = _read({**made, "added_tokens": kept, "truncation": None, "padding": None}, path)
    _add_tokens(tokenizer, own, settings, config.vocab_size, path)
    _check_vocabulary(tokenizer, config.vocab_size, path)

    whole = json.loads(tokenizer.to_str())
    if own.model:
        ends = _ends(tokenizer, own, settings, path)
        whole["post_processor"] = own.finish(settings, *ends)
    if config.type_vocab_size > 1 and not _has_types(own, settings):
        whole["post_processor"] = _of_one_type(whole["post_processor"])
    if lowercase:
        steps = [{"type": "Lowercase"}, *([whole["normalizer"]] if whole.get("normalizer") else [])]
        whole["normalizer"] = {"type": "Sequence", "normalizers": steps}
    vocabulary = _read(whole, path).get_vocab(with_added_tokens=True)
    masks = (own.token("mask", settings), *_MASK_TOKENS)
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
    return text, next((token for token in masks if token in vocabulary), "")


def last_id(tokenizer_json: str) -> int | None:
    """Return the token that a text ends in; None where a short one has no token."""
    ids = Tokenizer.from_str(tokenizer_json).encode("a").ids
    return ids[-1] if ids else None


def _read(parts: Mapping[str, Any], path: Path) -> Tokenizer:
    """Return the tokenizer that its parts describe."""
    try:
        return Tokenizer.from_str(json.dumps(parts))
    except BaseException as error:
        raise CheckpointError(f"{path} cannot be read by the tokenizers library: {fault_of(error)}") from error


def _fitting(own: TokenizerClass, parts: Mapping[str, Any], path: Path) -> TokenizerClass:
    """Return the class that a tokenizer.json is for; say so where that is not the folder's.

    A vocabulary of another kind than the class's is no use to it: the tokenizer.json is taken as it is. Where the
    vocabulary is of its kind and another part is not, the class's own part takes its place, as in transformers 5.
    """
    if not own.model:
        return own
    found = _kind(parts.get("model"))
    if found != own.model:
        warnings.warn(
            f"{path} has a {found} model, and a {own.name} a {own.model} model: it is taken as it is; {_KEEP}",
            CheckpointWarning,
            stacklevel=3,
        )
        return TokenizerClass(own.name, types=own.types)
    replaced = [
        f"a {name} of type {kind}"
        for name in ("normalizer", "pre_tokenizer")
        if (kind := _kind(parts.get(name))) and kind not in _OWN_PARTS[own.model][name]
    ]
    if replaced:
        warnings.warn(
            f"{path} has {' and '.join(replaced)}, in whose place a {own.name} has its own; {_KEEP}",
            CheckpointWarning,
            stacklevel=3,
        )
    return own


_ANY_NORMALIZER = ("Precompiled", "Sequence", "NFC", "NFKC", "NFD", "NFKD", "Replace", "Lowercase", "Strip", "Nmt")
_OWN_PARTS: dict[str, dict[str, tuple[str, ...]]] = {
    "WordPiece": {"normalizer": ("BertNormalizer",), "pre_tokenizer": ("BertPreTokenizer",)},
    "BPE": {"normalizer": (), "pre_tokenizer": ("ByteLevel",)},
    "Unigram": {"normalizer": _ANY_NORMALIZER, "pre_tokenizer": ("Sequence", "Metaspace")},
}
"""A class's model -> the parts of a tokenizer.json that it has its own of, or keeps."""


def _kind(part: Any) -> str:
    """Return the type of a part of a tokenizer.json; empty where there is no such part, or no type."""
    kind = part.get("type") if isinstance(part, dict) else None
    return kind if isinstance(kind, str) else ""


def _add_tokens(
    tokenizer: Tokenizer, own: TokenizerClass, settings: Mapping[str, Any], vocab_size: int, path: Path
) -> None:
    """Add the tokens that the files name beyond the vocabulary, and mark those in it."""
    declared: Mapping[int, AddedToken] = settings["added_tokens_decoder"]
    tokenizer.add_tokens([declared[i] for i in sorted(declared)])
    wrong = [
        f"{token.content!r} is {i}, not {found}"
        for i, token in sorted(declared.items())
        if token.content and (found := tokenizer.token_to_id(token.content)) != i
    ]
    if wrong:
        raise CheckpointError(
            f"{path.parent} has added tokens with ids that do not follow on {path.name} without a gap, or that are"
            f" another's: by its own count {listed(wrong)}"
        )
    known = {token.content for token in declared.values()}
    # A token added already would be there a second time if it were added with other flags.
    known |= {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    for token, named in _special_tokens(own, settings):
        if token.content in known:
            continue
        # One that the vocabulary lacks gets a new id; where the embeddings have no row for it, no text has it either.
        size = tokenizer.get_vocab_size(with_added_tokens=True)
        if named or size < vocab_size or tokenizer.token_to_id(token.content) is not None:
            tokenizer.add_tokens([token])
            known.add(token.content)


def _special_tokens(own: TokenizerClass, settings: Mapping[str, Any]) -> Iterator[tuple[AddedToken, bool]]:
    """Yield the special tokens, and of each whether it is there for itself: not for a role that every class fills."""
    for role in ROLES:
        name = f"{role}_token"
        value = settings.get(name) or own.tokens.get(role)
        if value:
            flags = dict(own.flags)
            if role == "mask" and own.mask_takes_space:
                flags["lstrip"] = True
            token = added_token(value, f"tokenizer_config.json: {name}", special=True, **flags)
            token.special = True
            yield token, False
    for value in settings["extra_special_tokens"]:
        yield added_token(value, "tokenizer_config.json: a token of extra_special_tokens", special=True), True
    if not settings["extra_special_tokens"]:
        yield from ((AddedToken(text, special=True), False) for text in own.extra)


def _check_vocabulary(tokenizer: Tokenizer, vocab_size: int, path: Path) -> None:
    """Refuse a tokenizer with more tokens than the embeddings have rows."""
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if largest >= vocab_size:
        raise CheckpointError(
            f"{path} has token ids up to {largest}, but config.json has a vocab_size of {vocab_size}:"
            " the tokenizer is of another model"
        )


def read_truncation_side(folder: Path, settings: Mapping[str, Any]) -> str:
    """Return where a text that is too long is cut, ``"right"`` or ``"left"``.

    Raises
    ------
    CheckpointError
        It is said to be cut elsewhere.
    """
    side = settings.get("truncation_side")
    if side is None:
        return "right"
    if side not in TRUNCATION_SIDES:
        raise CheckpointError(f"the tokenizer in {folder} has truncation_side {side!r}, expected 'right' or 'left'")
    return str(side)


def _ends(
    tokenizer: Tokenizer, own: TokenizerClass, settings: Mapping[str, Any], path: Path
) -> list[tuple[str, int | None]]:
    """Return the tokens before and behind a text with their ids; the one for unknown words must be there as well."""
    ends = [own.token(role, settings) for role in own.ends]
    unknown = own.token("unk", settings)
    missing = [token for token in ends if tokenizer.token_to_id(token) is None]
    if own.model == "WordPiece" and unknown not in tokenizer.get_vocab(with_added_tokens=False):
        missing = [unknown, *missing]
    if missing:
        raise CheckpointError(f"{path} lacks special tokens that the model needs: {listed(missing)}")
    return [(token, tokenizer.token_to_id(token)) for token in ends]


def _has_types(own: TokenizerClass, settings: Mapping[str, Any]) -> bool:
    """Say whether the second text of a pair has a type of its own; transformers gives a model no others."""
    names = settings.get("model_input_names")
    if names is None:
        return own.types
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CheckpointError(f"tokenizer_config.json has model_input_names {names!r}, expected a list of names")
    return "token_type_ids" in names


def _of_one_type(part: Any) -> dict[str, Any]:
    """Return a post-processor that gives every token the type 0, and else does what `part` does."""
    text = {name: {"Sequence": {"id": name, "type_id": 0}} for name in ("A", "B")}
    bare = {"type": "TemplateProcessing", "single": [text["A"]], "pair": [*text.values()], "special_tokens": {}}
    kind = _kind(part)
    if kind == "TemplateProcessing":
        return {**part, **{name: [_type_0(piece) for piece in part[name]] for name in ("single", "pair")}}
    if kind == "BertProcessing":
        (sep, sep_id), (cls, cls_id) = part["sep"], part["cls"]
        first, last = ({"SpecialToken": {"id": token, "type_id": 0}} for token in (cls, sep))
        special = {token: {"id": token, "ids": [i], "tokens": [token]} for token, i in ((sep, sep_id), (cls, cls_id))}
        single = [first, text["A"], last]
        return {**bare, "single": single, "pair": [*single, text["B"], last], "special_tokens": special}
    if kind == "RobertaProcessing":
        return dict(part)
    if kind == "Sequence":
        steps = [_of_one_type(step) if _kind(step) != "ByteLevel" else step for step in part["processors"]]
        return {**part, "processors": steps if any(_kind(step) != "ByteLevel" for step in steps) else [*steps, bare]}
    return bare if part is None else {"type": "Sequence", "processors": [part, bare]}


def _type_0(piece: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {kind: {**fields, "type_id": 0} for kind, fields in piece.items()}
