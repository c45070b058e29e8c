"""What a sentence-transformers folder adds to a model: pooling, Dense modules, normalisation, length, prompts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebert.checkpoint.stored import StoredTensor
from edgebert.checkpoint.text_files import read_json
from edgebert.checkpoint.weights import stored_tensors, weight_files
from edgebert.errors import CheckpointError, UnsupportedModelError
from edgebert.heads.pooling import DENSE_ACTIVATIONS, POOLINGS

__all__ = ["DenseModule", "SentenceSettings", "read_sentence_settings"]

_ALIASES = {"cls_token": "cls", "mean_tokens": "mean", "max_tokens": "max", "weightedmean_tokens": "weightedmean"}
_ALIASES |= {name: name for name in POOLINGS}
_PIPELINE = ("Transformer", "Pooling", "Dense", "Normalize")


@dataclasses.dataclass(frozen=True)
class DenseModule:
    """A linear layer behind the pooling: its folder, its sizes, and what stands behind it (empty for nothing)."""

    folder: Path
    N: int
    K: int
    bias: bool
    activation: str

    def tensors(self) -> dict[str, StoredTensor]:
        """Return ``weight``, and ``bias`` where it has one, checked.

        Raises
        ------
        CheckpointError
        """
        stored = stored_tensors(weight_files(self.folder))
        expected = {"weight": (self.N, self.K), **({"bias": (self.N,)} if self.bias else {})}
        found = {name.removeprefix("linear."): tensor for name, tensor in stored.items()}
        shapes = {name: tensor.shape for name, tensor in found.items()}
        if shapes != expected:
            raise CheckpointError(f"{self.folder} has tensors {shapes}, expected {expected}")
        return found


@dataclasses.dataclass(frozen=True)
class SentenceSettings:
    """How token vectors become one vector a text; the defaults are those of a plain folder.

    ``max_length`` is in tokens, None where the folder does not say; ``prompts`` are texts to put before others, by
    name, ``default_prompt`` the name of the one that is always put there, if any.
    """

    pooling: str = "mean"
    normalize: bool = False
    max_length: int | None = None
    lowercase: bool = False
    dense: tuple[DenseModule, ...] = ()
    prompts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default_prompt: str = ""
    include_prompt: bool = True


def read_sentence_settings(folder: Path) -> SentenceSettings:
    """Read ``modules.json`` and what it names; the defaults where there is none.

    Raises
    ------
    CheckpointError
        A file is missing or malformed.
    UnsupportedModelError
        A module or a pooling that edgebert does not run.
    """
    if not (folder / "modules.json").is_file():
        return SentenceSettings()
    modules = read_json(folder / "modules.json", list)
    try:
        pairs = [(str(module["type"]).rpartition(".")[2], Path(module["path"])) for module in modules]
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / 'modules.json'} has a module without its type or path") from error
    kinds = [kind for kind, _ in pairs]
    if unknown := [kind for kind in kinds if kind not in _PIPELINE]:
        raise UnsupportedModelError(
            f"{folder} has sentence-transformers modules {', '.join(unknown)}; edgebert runs {', '.join(_PIPELINE)}"
        )
    once = [kind for kind in kinds if kind != "Dense"]
    ordered = kinds == sorted(kinds, key=_PIPELINE.index) and len(once) == len(set(once))
    if not ordered or kinds[:1] != ["Transformer"] or ("Pooling" not in kinds and len(kinds) > 1):
        raise UnsupportedModelError(
            f"{folder} has sentence-transformers modules in the order {', '.join(kinds) or 'of none'};"
            f" edgebert runs {', '.join(_PIPELINE)}, from the first on"
        )
    if pairs[0][1] != Path():
        raise UnsupportedModelError(
            f"{folder} keeps its encoder in the subfolder {str(pairs[0][1])!r}:"
            " load and save it with a present version of sentence-transformers"
        )
    length, lowercase = _transformer(folder)
    pooling, include_prompt = _pooling(folder / pairs[1][1] / "config.json") if len(pairs) > 1 else ("mean", True)
    prompts, default = _prompts(folder)
    return SentenceSettings(
        pooling=pooling,
        normalize="Normalize" in kinds,
        max_length=length,
        lowercase=lowercase,
        dense=tuple(_dense(folder / path) for kind, path in pairs if kind == "Dense"),
        prompts=prompts,
        default_prompt=default,
        include_prompt=include_prompt,
    )


def _transformer(folder: Path) -> tuple[int | None, bool]:
    """Return the length in tokens, and whether texts are put into lower case first."""
    path = folder / "sentence_bert_config.json"
    settings = read_json(path, dict) if path.is_file() else {}
    length = settings.get("max_seq_length")
    if length is not None and (type(length) is not int or length < 1):
        raise CheckpointError(f"{path} has max_seq_length {length!r}, expected a number of tokens")
    return length, settings.get("do_lower_case") is True


def _pooling(path: Path) -> tuple[str, bool]:
    """Return the one pooling of a Pooling module's config, in either of its spellings; and whether prompts count."""
    settings = read_json(path, dict)
    include_prompt = settings.get("include_prompt") is not False
    prefix = "pooling_mode_"
    chosen: Any = settings.get("pooling_mode")
    if chosen is None:
        chosen = [key.removeprefix(prefix) for key, on in settings.items() if key.startswith(prefix) and on is True]
    modes = [str(mode) for mode in (chosen if isinstance(chosen, list) else [chosen])]
    if not modes:
        return "mean", include_prompt  # sentence-transformers' own default
    if len(modes) > 1 or modes[0] not in _ALIASES:
        raise UnsupportedModelError(
            f"{path} pools by {' and '.join(modes)}; edgebert pools by one of {', '.join(POOLINGS)}"
        )
    return _ALIASES[modes[0]], include_prompt


def _dense(folder: Path) -> DenseModule:
    """Return a Dense module by its config."""
    path = folder / "config.json"
    settings = read_json(path, dict)
    N, K = settings.get("out_features"), settings.get("in_features")
    if type(N) is not int or type(K) is not int or min(N, K) < 1:
        raise CheckpointError(f"{path} has out_features {N!r} and in_features {K!r}, expected whole numbers")
    activation = str(settings.get("activation_function", "Tanh")).rpartition(".")[2]
    if activation not in DENSE_ACTIVATIONS:
        raise UnsupportedModelError(
            f"{path} has activation_function {activation!r}; edgebert runs {', '.join(DENSE_ACTIVATIONS)}"
        )
    bias = settings.get("bias") is not False
    return DenseModule(folder, N, K, bias, DENSE_ACTIVATIONS[activation])


def _prompts(folder: Path) -> tuple[dict[str, str], str]:
    """Return the prompts by name, and the name of the one that is put before every text."""
    path = folder / "config_sentence_transformers.json"
    settings = read_json(path, dict) if path.is_file() else {}
    prompts, default = settings.get("prompts") or {}, settings.get("default_prompt_name") or ""
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise CheckpointError(f"{path} has prompts that are no texts by name")
    if not isinstance(default, str) or (default and default not in prompts):
        raise CheckpointError(f"{path} has default_prompt_name {default!r}, but no such prompt")
    return prompts, default
