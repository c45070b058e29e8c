"""What the files beside a tokenizer's vocabulary say, put together as transformers 5 puts it together.

``tokenizer_config.json`` comes first. Where it has an ``added_tokens_decoder``, the two files that old versions wrote
are not looked at; where it has none, ``special_tokens_map.json`` wins over it, and ``added_tokens.json`` has tokens
beyond the vocabulary. Those of ``tokenizer.json`` are tokens in any case.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken

from edgebert.checkpoint.fields import check_fields
from edgebert.checkpoint.text_files import read_json
from edgebert.errors import CheckpointError

__all__ = ["ROLES", "added_token", "read_tokenizer_settings", "token_text"]

ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
"""What special tokens are for, in the order in which missing ones are added."""

_ADDED = "added_tokens_decoder"
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


def read_tokenizer_settings(folder: Path, instead: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the fields of ``tokenizer_config.json``, completed from the files beside it.

    ``added_tokens_decoder`` is there in any case, with whole numbers for keys; ``extra_special_tokens`` is a list;
    ``model_max_length`` and ``truncation_side`` are those of other places where it has none.

    Parameters
    ----------
    folder : Path
    instead : mapping, optional
        Fields that replace those of ``tokenizer_config.json``.

    Raises
    ------
    CheckpointError
        A file is damaged, or a field is of the wrong kind.
    UnsupportedModelError
        A field is refused (`edgebert.checkpoint.fields`).

    Warns
    -----
    CheckpointWarning
        A field is set that edgebert does not know.
    """
    path = folder / "tokenizer_config.json"
    settings = _checked(path, instead or {})
    settings.setdefault("model_max_length", settings.get("max_len"))
    settings["extra_special_tokens"] = _extra(path, settings)
    tokenizer = read_json(folder / "tokenizer.json", dict) if (folder / "tokenizer.json").is_file() else {}
    truncation = tokenizer.get("truncation")
    if settings.get("truncation_side") is None and isinstance(truncation, dict):
        settings["truncation_side"] = str(truncation.get("direction", "Right")).lower()
    of_tokenizer = _of_tokenizer(folder / "tokenizer.json", tokenizer)
    if settings.get(_ADDED) is not None:
        settings[_ADDED] = {**of_tokenizer, **_by_id(path, settings[_ADDED])}
        return settings

    path = folder / "special_tokens_map.json"
    extra = settings["extra_special_tokens"]
    more = _checked(path, {})
    settings |= {name: value for name, value in more.items() if value is not None}
    # Its list is a second one by the new name alone; by the old name it counts where there is no other, and tokens
    # of added_tokens.json that it names stay ordinary ones.
    special = extra
    if "extra_special_tokens" in more or not extra:
        extra = extra + [token for token in _extra(path, more) if token not in extra]
    if "extra_special_tokens" in more:
        special = extra
    special = [*special, *(settings.get(f"{role}_token") for role in ROLES)]
    settings["extra_special_tokens"] = extra
    settings[_ADDED] = {**_added_tokens_file(folder, {token_text(token) for token in special}), **of_tokenizer}
    return settings


def added_token(value: Any, where: str, *, special: bool | None = None, **flags: bool) -> AddedToken:
    """Return a token that a file gives as text or as an object.

    Parameters
    ----------
    value : str or dict
    where : str
        Of the message, where it is neither.
    special : bool, optional
        Whether it is a special token, where the object does not say.
    **flags : bool
        Of a token that is given as text.

    Raises
    ------
    CheckpointError
    """
    if isinstance(value, str):
        return AddedToken(value, special=bool(special), **flags)
    if isinstance(value, dict) and isinstance(value.get("content"), str):
        given = {name: value[name] for name in _FLAGS if value.get(name) is not None}
        if all(isinstance(flag, bool) for flag in given.values()):
            return AddedToken(value["content"], **{"special": bool(special), **given})
    raise CheckpointError(f"{where} is {value!r}, expected a token: text, or an object with its content")


def token_text(value: Any) -> str:
    """Return the text of a special token, given as text or as an object; empty for anything else."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""


def _checked(path: Path, instead: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file's fields, checked against its table; none where there is no file. Some may be replaced."""
    values: dict[str, Any] = {**(read_json(path, dict) if path.is_file() else {}), **instead}
    check_fields(path, values)
    return values


def _extra(path: Path, values: Mapping[str, Any]) -> list[Any]:
    """Return the special tokens with roles of the model's own (``image_token``), and those that have none."""
    others = {"add_bos_token", "add_eos_token", *(f"{role}_token" for role in ROLES)}
    named = [value for name, value in values.items() if name.endswith("_token") and name not in others]
    named = [value for value in named if isinstance(value, (str, dict))]
    unnamed: list[Any] = []
    for name in ("extra_special_tokens", "additional_special_tokens", "model_specific_special_tokens"):
        value = values.get(name)
        if isinstance(value, dict):
            named += value.values()
        elif isinstance(value, list):
            unnamed = unnamed or value  # the old name counts where the new one is empty
        elif value is not None:
            raise CheckpointError(f"{path} has {name} {value!r}, expected a list of tokens, or tokens by name")
    return named + unnamed


def _by_id(path: Path, tokens: Any) -> dict[int, AddedToken]:
    """Return the tokens of an ``added_tokens_decoder``."""
    if not isinstance(tokens, dict) or not all(key.isdecimal() for key in tokens):
        raise CheckpointError(f"{path} has an {_ADDED} that is not tokens by id")
    return {int(key): added_token(token, f"{path}: token {key} of {_ADDED}") for key, token in sorted(tokens.items())}


def _added_tokens_file(folder: Path, special: Collection[str]) -> dict[int, AddedToken]:
    """Return the tokens of ``added_tokens.json``; those named in `special` are special ones."""
    path = folder / "added_tokens.json"
    if not path.is_file():
        return {}
    tokens = read_json(path, dict)
    if faulty := [f"{text!r}: {i!r}" for text, i in tokens.items() if type(i) is not int or i < 0]:
        raise CheckpointError(f"{path} holds {', '.join(faulty[:3])}; expected an id, a whole number, for each token")
    return {i: AddedToken(text, normalized=text not in special, special=text in special) for text, i in tokens.items()}


def _of_tokenizer(path: Path, tokenizer: Mapping[str, Any]) -> dict[int, AddedToken]:
    """Return the ``added_tokens`` of a tokenizer.json."""
    tokens = tokenizer.get("added_tokens") or []
    if not isinstance(tokens, list) or not all(
        isinstance(token, dict) and type(token.get("id")) is int and token["id"] >= 0 for token in tokens
    ):
        raise CheckpointError(f"{path} has added_tokens that are not a list of tokens with their ids")
    return {token["id"]: added_token(token, f"{path}: token {token['id']}") for token in tokens}
