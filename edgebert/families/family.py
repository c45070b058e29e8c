"""What every family of models is."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from edgebert.architecture import Encoder
from edgebert.config import BertConfig
from edgebert.errors import CheckpointError
from edgebert.families.rules import Rule

__all__ = ["Family", "Renames", "said_of_types"]

Renames = tuple[tuple[str, str], ...]

_EITHER_NAME = ("hidden_size", "num_attention_heads", "num_hidden_layers")
"""Sizes that transformers takes by BERT's name too, where a family has its own."""
_OF_SOME = ("pooler_act", "transform_act", "embedding_size", "relative_attention_num_buckets")
"""Fields that only some families have: others' config.json is not to bring them in by chance."""


@dataclasses.dataclass(frozen=True)
class Family:
    """A family: how it spells its config and its tensors, and what its encoders are made of.

    Attributes
    ----------
    model_type : str
        Of a config.json.
    classes : str
        How the names of its classes begin: ``"Roberta"`` of RobertaForMaskedLM.
    prefix : str
        What stands before the names of its encoder's tensors, in a model with a head.
    renames : tuple of (pattern, replacement)
        From its names of tensors to those that `encoder` and the heads use.
    encoder : callable
        From a config to what the encoder is made of.
    fields : dict of str to str
        BERT's name of a field of config.json -> its own.
    defaults : dict
        Values of fields that its config.json leaves out, where they are others than BERT's.
    fixed : dict
        Values that its config.json has no field for.
    positions_follow_padding : bool
        Whether the row ``pad_token_id`` of the position embeddings is that of this token, and the first position the
        one behind it.
    token_types : bool
        Whether it has embeddings of token types.
    pooler : bool
        Whether its encoder brings the pooler, whatever head stands behind it.
    tokenizer : str
        The tokenizer's class in a folder that names none, without ``Fast``.
    head_renames : dict of str to tuple
        Head -> from a name, once it is renamed, to that which this head uses: for what another head calls the same.
    heads : dict of str to tuple
        Classes that have other heads than BERT's class of that name, without the family's name -> their heads.
    rules : dict
        What becomes of the fields of its config.json that BERT has not, or has otherwise.
    config : type
        Its hyperparameters, where it has more than BERT.
    translate : callable
        What is done to the values of a config.json first, where other names alone do not do; it raises CheckpointError.
    """

    model_type: str
    classes: str
    prefix: str
    renames: Renames
    encoder: Callable[[Any], Encoder]
    fields: Mapping[str, str] = dataclasses.field(default_factory=dict)
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    positions_follow_padding: bool = False
    token_types: bool = True
    pooler: bool = False
    tokenizer: str = "BertTokenizer"
    head_renames: Mapping[str, Renames] = dataclasses.field(default_factory=dict)
    heads: Mapping[str, tuple[str, ...] | None] = dataclasses.field(default_factory=dict)
    rules: Mapping[str, Rule] = dataclasses.field(default_factory=dict)
    config: type[BertConfig] = BertConfig
    translate: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict

    def canonical_name(self, name: str) -> str:
        """Return the name of a tensor as `encoder` and the heads have it, without prefix."""
        return _renamed(name.removeprefix(self.prefix), self.renames)

    def name_in_heads(self, name: str, heads: Iterable[str]) -> str:
        """Return the name of a tensor, as `canonical_name` has it, in a model with these heads."""
        for head in heads:
            name = _renamed(name, self.head_renames.get(head, ()))
        return name

    def read_config(self, values: Mapping[str, Any]) -> BertConfig:
        """Read a ``config.json``.

        Raises
        ------
        CheckpointError
            Naming every field whose value cannot be used; or a size is given by the family's name and by BERT's, and
            they differ.
        """
        return self.config.from_dict(self.canonical_values(values))

    def canonical_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return a config.json's values as a BERT's would say them (`edgebert.config.BertConfig.from_dict`)."""
        given = self.translate(values)
        result = {**self.defaults, **{name: value for name, value in given.items() if value is not None}}
        for name in _OF_SOME:
            if name not in self.defaults:
                result.pop(name, None)
        for name, own in self.fields.items():
            general = result.pop(name, None)
            if given.get(own) is not None and name in _EITHER_NAME and general not in (None, result[own]):
                raise CheckpointError(
                    f"config.json has {own} {result[own]!r} and {name} {general!r}, expected one of them"
                )
            if name in _EITHER_NAME and general is not None:
                result[name] = general
            elif own in result:
                result[name] = result[own]
        result |= self.fixed
        result |= {"model_type": self.model_type, "positions_follow_padding": self.positions_follow_padding}
        positions, padding = result.get("max_position_embeddings", 512), result.get("pad_token_id", 0)
        if self.positions_follow_padding and type(positions) is type(padding) is int:
            result["max_position_embeddings"] = positions - padding - 1
        if result.get("embedding_size") == result.get("hidden_size"):
            result.pop("embedding_size", None)
        return result


def said_of_types(values: Mapping[str, Any], default: int) -> dict[str, Any]:
    """Return whether a model has embeddings of token types, of which a config.json may say that there are none.

    Parameters
    ----------
    values : mapping
        Of config.json.
    default : int
        Types, where it does not say.

    Returns
    -------
    dict
        ``has_types``; and where there are none a ``type_vocab_size`` as BERT may have it.
    """
    given = values.get("type_vocab_size")
    has_types = (default if given is None else given) != 0
    return {"has_types": has_types} if has_types else {"has_types": False, "type_vocab_size": 1}


def _renamed(name: str, renames: Renames) -> str:
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name
