"""What a sentence-transformers folder adds to a model: pooling, normalisation, length, lower case."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from edgebert.checkpoint.text_files import read_json
from edgebert.errors import CheckpointError, UnsupportedModelError

__all__ = ["SentenceSettings", "read_sentence_settings"]

_POOLINGS = {
    "cls": "cls",
    "cls_token": "cls",
    "mean": "mean",
    "mean_tokens": "mean",
    "max": "max",
    "max_tokens": "max",
}
_PIPELINE = ("Transformer", "Pooling", "Normalize")


@dataclasses.dataclass(frozen=True)
class SentenceSettings:
    """How token vectors become one vector a text; the defaults are those of a plain folder.

    ``max_length`` is in tokens, None where the folder does not say.
    """

    pooling: str = "mean"
    normalize: bool = False
    max_length: int | None = None
    lowercase: bool = False


def read_sentence_settings(folder: Path) -> SentenceSettings:
    """Read ``modules.json`` and what it names; the defaults where there is none.

    Raises
    ------
    CheckpointError
        A file is missing or malformed.
    UnsupportedModelError
        A module, a pooling or a prompt that edgebert does not run.
    """
    if not (folder / "modules.json").is_file():
        return SentenceSettings()
    modules = read_json(folder / "modules.json", list)
    try:
        kinds = tuple(str(module["type"]).rpartition(".")[2] for module in modules)
        paths = dict(zip(kinds, (Path(module["path"]) for module in modules), strict=True))
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / 'modules.json'} has a module without its type or path") from error
    if unknown := [kind for kind in kinds if kind not in _PIPELINE]:
        raise UnsupportedModelError(
            f"{folder} has sentence-transformers modules {', '.join(unknown)}; edgebert runs {', '.join(_PIPELINE)}"
        )
    if not kinds or kinds != _PIPELINE[: len(kinds)]:
        raise UnsupportedModelError(
            f"{folder} has sentence-transformers modules in the order {', '.join(kinds) or 'of none'};"
            f" edgebert runs {', '.join(_PIPELINE)}, from the first on"
        )
    if paths["Transformer"] != Path():
        raise UnsupportedModelError(
            f"{folder} keeps its encoder in the subfolder {str(paths['Transformer'])!r}:"
            " load and save it with a present version of sentence-transformers"
        )
    _refuse_prompt(folder)
    length, lowercase = _transformer(folder)
    pooling = _pooling(folder / paths["Pooling"] / "config.json") if "Pooling" in paths else "mean"
    return SentenceSettings(pooling, "Normalize" in paths, length, lowercase)


def _transformer(folder: Path) -> tuple[int | None, bool]:
    """Return the length in tokens, and whether texts are put into lower case first."""
    path = folder / "sentence_bert_config.json"
    settings = read_json(path, dict) if path.is_file() else {}
    length = settings.get("max_seq_length")
    if length is not None and (type(length) is not int or length < 1):
        raise CheckpointError(f"{path} has max_seq_length {length!r}, expected a number of tokens")
    return length, settings.get("do_lower_case") is True


def _pooling(path: Path) -> str:
    """Return the one pooling of a Pooling module's config, in either of its spellings."""
    settings = read_json(path, dict)
    prefix = "pooling_mode_"
    chosen: Any = settings.get("pooling_mode")
    if chosen is None:
        chosen = [key.removeprefix(prefix) for key, on in settings.items() if key.startswith(prefix) and on is True]
    modes = [str(mode) for mode in (chosen if isinstance(chosen, list) else [chosen])]
    if not modes:
        return "mean"  # sentence-transformers' own default
    if len(modes) > 1 or modes[0] not in _POOLINGS:
        raise UnsupportedModelError(f"{path} pools by {' and '.join(modes)}; edgebert pools by one of cls, mean, max")
    return _POOLINGS[modes[0]]


def _refuse_prompt(folder: Path) -> None:
    """Refuse a prompt put before every text: without it the vectors would be others, and nobody told."""
    path = folder / "config_sentence_transformers.json"
    settings = read_json(path, dict) if path.is_file() else {}
    name = settings.get("default_prompt_name")
    prompts = settings.get("prompts")
    harmless = isinstance(name, str) and isinstance(prompts, dict) and prompts.get(name) == ""
    if name is not None and not harmless:
        raise UnsupportedModelError(
            f"{path} puts the prompt {name!r} before every text, which edgebert does not:"
            " set default_prompt_name to null there, and begin the texts with it yourself"
        )
