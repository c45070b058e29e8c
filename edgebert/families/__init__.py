"""The families of models that edgebert runs: one file each.

A new family of known parts is a file with a `Family`, whose module stands in this folder, and a golden folder: nothing
else names it. `edgebert/README.md` says how to add one.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

from edgebert.architecture import Encoder
from edgebert.config import BertConfig
from edgebert.errors import UnsupportedModelError
from edgebert.families.family import Family

__all__ = ["FAMILIES", "Family", "config_of", "encoder_of", "family_of"]


def _found() -> dict[str, Family]:
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    families = [value for module in modules for value in vars(module).values() if isinstance(value, Family)]
    return {family.model_type: family for family in families}


FAMILIES = _found()
"""``model_type`` of a config.json -> its family."""


def family_of(values: Mapping[str, Any], *, source: str) -> Family:
    """Return the family that a config.json names.

    Raises
    ------
    UnsupportedModelError
        Naming its ``model_type``, and what is supported.
    """
    model_type = values.get("model_type") or "bert"
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
