"""The families of models that edgebert runs: one file each.

A new family of known parts is a file in this folder, named by its ``model_type``, with the `Family` that it calls
FAMILY, and a golden folder: nothing else names it. `edgebert/README.md` says how to add one.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

from edgebert.architecture import Encoder
from edgebert.config import BertConfig
from edgebert.errors import UnsupportedModelError
from edgebert.families.family import Family

__all__ = ["FAMILIES", "Family", "config_of", "encoder_of", "family_of"]


_MODEL_TYPES = {name: name for name in ("gemma3_text", "jina_bert", "nomic_bert")}
"""Module -> its ``model_type``, where that has an underscore as well."""


class _Families(Mapping[str, Family]):
    """``model_type`` of a config.json -> its family, whose module is imported when it is asked for."""

    def __getitem__(self, model_type: str) -> Family:
        return importlib.import_module(f"{__name__}.{_modules()[model_type]}").FAMILY

    def __contains__(self, model_type: object) -> bool:
        return model_type in _modules()

    def __iter__(self) -> Iterator[str]:
        return iter(_modules())

    def __len__(self) -> int:
        return len(_modules())


@functools.cache
def _modules() -> dict[str, str]:
    """Return ``model_type`` -> the module of its family: all in this folder but what every family is made with."""
    names = {module.name for module in pkgutil.iter_modules(__path__)} - {"family", "rope", "rules"}
    return {_MODEL_TYPES.get(name, name.replace("_", "-")): name for name in sorted(names)}


FAMILIES = _Families()


def family_of(values: Mapping[str, Any], *, source: str) -> Family:
    """Return the family that a config.json names.

    Raises
    ------
    UnsupportedModelError
        Naming its ``model_type``, and what is supported.
    """
    model_type = values.get("model_type") or "bert"
    if model_type == "bert" and values.get("position_embedding_type") == "alibi":
        model_type = "jina_bert"  # which says that it is a BERT
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise UnsupportedModelError(f"{source} is a model of type {model_type!r}; edgebert runs {', '.join(FAMILIES)}")
    return FAMILIES[model_type]


def config_of(values: Mapping[str, Any]) -> BertConfig:
    """Read back what `BertConfig.to_dict` gave, as an .edgebert file has it.

    Raises
    ------
    CheckpointError
        Naming every field whose value cannot be used, or its ``model_type``.
    """
    family = family_of(values, source="its config")
    return family.config.from_dict({**values, "model_type": family.model_type})


@functools.lru_cache(maxsize=64)
def encoder_of(config: BertConfig) -> Encoder:
    """Return what the encoder of a config is made of."""
    return FAMILIES[config.model_type].encoder(config)
