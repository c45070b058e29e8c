"""Rotary positions as config.json has them.

transformers 5 writes ``rope_parameters``; these are brought to the fields from before, ``rope_theta`` and the like.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgebert.config import BertConfig
from edgebert.errors import CheckpointError, UnsupportedModelError
from edgebert.families.rules import Rule, honoured, refused

__all__ = ["BASES", "RULES", "RotaryConfig", "base_faults", "read_bases"]

BASES = {"": "rope_theta"}
"""The field of the base where all layers have one."""

RULES: dict[str, Rule] = {
    **honoured("the encoder's", "rope_parameters"),
    **refused("edgebert stretches no positions", "rope_scaling", unless=({}, {"rope_type": "default"})),
}
"""What becomes of the fields that all families with rotary positions have."""


def read_bases(values: Mapping[str, Any], bases: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of a config.json with its bases in fields of their own.

    Parameters
    ----------
    values : mapping
        Of config.json.
    bases : mapping of str to str
        Type of layers, as ``layer_types`` has it, -> the field of its base; `BASES` where there is one type.

    Raises
    ------
    CheckpointError
        ``rope_parameters`` is not made so.
    UnsupportedModelError
        It asks for more than a base.
    """
    given = values.get("rope_parameters") or {}
    parts = {"": given} if bases == BASES else given
    objects = isinstance(given, dict) and all(isinstance(each, dict) for each in parts.values())
    if not objects or parts.keys() - bases:
        expected = f"an object for {' and '.join(bases)}" if bases != BASES else "an object"
        raise CheckpointError(f"config.json has rope_parameters {given!r}, expected {expected}")
    result = dict(values)
    for kind, own in parts.items():
        others = {name: value for name, value in own.items() if name != "rope_theta"}
        if others not in ({}, {"rope_type": "default"}):
            raise UnsupportedModelError(
                f"config.json has rope_parameters {own!r}{kind and f' for {kind}'}; edgebert turns positions by"
                " rope_theta alone, of the rope_type 'default'"
            )
        if own.get("rope_theta") is not None:
            result[bases[kind]] = own["rope_theta"]
    return result


def base_faults(values: Mapping[str, Any], *names: str) -> list[str]:
    """Return what is wrong with bases, by the names of their fields."""
    return [
        f"{name} is {values[name]!r}, expected a number above 1, at most 1e12"
        for name in names
        if type(values[name]) not in (int, float) or not 1 < values[name] <= 1e12
    ]


@dataclasses.dataclass(frozen=True)
class RotaryConfig(BertConfig):
    """A BERT's with rotary positions: ``rope_theta`` is their base in all layers."""

    rope_theta: float = 10000.0

    @classmethod
    def own_faults(cls, values: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with the fields that BERT has not."""
        faults = base_faults(values, "rope_theta")
        if values["hidden_size"] // values["num_attention_heads"] % 2:
            faults.append(
                f"hidden_size {values['hidden_size']} in {values['num_attention_heads']} attention heads gives each an"
                " odd number of values, expected an even one, which are turned in pairs"
            )
        return faults
