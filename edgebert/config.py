"""The shape of a BERT encoder, in the field names of Hugging Face's ``config.json``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from edgebert.errors import CheckpointError
from edgebert.kernels.plan import LONGEST_TEXT

__all__ = ["ACTIVATIONS", "HEAD_ACTIVATIONS", "BertConfig", "HeadLayers", "flag_faults"]

ACTIVATIONS = {
    "gelu": "erf",
    "gelu_python": "erf",
    "gelu_new": "tanh",
    "gelu_fast": "tanh",
    "gelu_pytorch_tanh": "tanh",
    "gelu_python_tanh": "tanh",
    "gelu_accurate": "tanh",
    "quick_gelu": "quick",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
"""Spelling of ``hidden_act`` -> the form that computes it (`edgebert.functions.activate`)."""

_LARGEST = {
    "vocab_size": 2**31 - 1,
    "hidden_size": 2**16,
    "num_hidden_layers": 1000,
    "num_attention_heads": 2**16,
    "intermediate_size": 2**20,
    "max_position_embeddings": LONGEST_TEXT,
    "type_vocab_size": 2**31 - 1,
}
"""Field -> largest value: token ids are int32, and a damaged config must not ask for a billion layers."""

_BUCKETS = (0, *range(4, 511, 2))
HEAD_ACTIVATIONS = ("tanh", *ACTIVATIONS)
"""What may stand behind the dense layer of a head."""


class HeadLayers(NamedTuple):
    """What stands before the last layer of a family's heads, where it is not as in BERT.

    ``pooling``, of `edgebert.choices.POOLINGS`, makes one vector of a text's tokens for heads of whole texts. With
    ``transform``, what stands before the decoder of masked words stands before the last layer of every head, in the
    place of a pooler; or without ``pooler``, nothing. Its dense layer, its LayerNorm, the decoder and the last layer of
    heads of whole texts may lack a bias: zeros stand there.
    """

    pooling: str = "cls"
    transform: bool = False
    pooler: bool = True
    output_bias: bool = True
    dense_bias: bool = True
    norm_bias: bool = True
    decoder_bias: bool = True


def flag_faults(values: Mapping[str, Any], *names: str) -> list[str]:
    """Return which of some fields are neither true nor false."""
    return [f"{name} is {values[name]!r}, expected true or false" for name in names if type(values[name]) is not bool]


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """Sizes and constants of one encoder (arXiv 1810.04805, section 3).

    Fields have Hugging Face's names and defaults, so that ``BertConfig.from_dict(json)``
    reads a BERT's ``config.json`` as it is; what the encoder does not need is ignored. Other families' are
    brought to this form first (`edgebert.families`).

    Beyond BERT's own: ``embedding_size`` is the width of the embeddings, projected to the hidden size where it is
    another (ELECTRA; 0: the same); ``relative_attention_num_buckets`` is the number of learned distances between
    tokens (MPNet; 0: none); with ``positions_follow_padding`` the first of the position embeddings is that of
    ``pad_token_id``, wherever in a text it stands, and only the other tokens are counted (RoBERTa, MPNet);
    ``pooler_act`` stands behind the pooler, ``transform_act`` behind the transform of the
    masked words' head (empty: ``hidden_act``).
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    model_type: str = "bert"
    embedding_size: int = 0
    relative_attention_num_buckets: int = 0
    pooler_act: str = "tanh"
    transform_act: str = ""
    positions_follow_padding: bool = False

    @property
    def embedding_width(self) -> int:
        """Width of the embeddings."""
        return self.embedding_size or self.hidden_size

    @property
    def padding(self) -> int | None:
        """The token that takes the first of the position embeddings and is not counted; None where all are counted."""
        return self.pad_token_id if self.positions_follow_padding else None

    @property
    def position_rows(self) -> int:
        """Position embeddings: one for each token of the longest text, and that of the padding."""
        return self.max_position_embeddings + self.positions_follow_padding

    @property
    def projects_embeddings(self) -> bool:
        """Whether a linear layer lies between the embeddings and the encoder."""
        return self.embedding_width != self.hidden_size

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def refused_id(self) -> int | None:
        """An id that no text may have; None where all may."""
        return None

    @property
    def activation(self) -> str:
        """The form of ``hidden_act``, of those in `ACTIVATIONS`."""
        return ACTIVATIONS[self.hidden_act]

    @property
    def head_layers(self) -> HeadLayers:
        """What stands before the last layer of heads."""
        return HeadLayers()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BertConfig:
        """Read the known fields of a ``config.json`` and check them.

        Raises
        ------
        CheckpointError
            Naming every field whose value cannot be used.
        """
        fields = {field.name: field.default for field in dataclasses.fields(cls)}
        given = {name: values[name] for name in fields if values.get(name) is not None}
        merged = {**fields, **given}
        faults = [
            f"{name} is {merged[name]!r}, expected a whole number from 1 to {largest}"
            for name, largest in _LARGEST.items()
            if type(merged[name]) is not int or not 1 <= merged[name] <= largest
        ]
        activation = merged["hidden_act"]
        if not isinstance(activation, str) or activation not in ACTIVATIONS:
            faults.append(f"hidden_act is {activation!r}, expected one of {', '.join(ACTIVATIONS)}")
        for name, allowed in (("pooler_act", HEAD_ACTIVATIONS), ("transform_act", ("", *ACTIVATIONS))):
            if merged[name] not in allowed:
                faults.append(f"{name} is {merged[name]!r}, expected one of {', '.join(filter(None, allowed))}")
        if type(merged["embedding_size"]) is not int or not 0 <= merged["embedding_size"] <= 2**16:
            faults.append(f"embedding_size is {merged['embedding_size']!r}, expected a whole number from 0 to 65536")
        buckets = merged["relative_attention_num_buckets"]
        if type(buckets) is not int or buckets not in _BUCKETS:
            faults.append(f"relative_attention_num_buckets is {buckets!r}, expected 0, or an even number from 4 to 510")
        if not isinstance(merged["model_type"], str):
            faults.append(f"model_type is {merged['model_type']!r}, expected a name")
        faults += flag_faults(merged, "positions_follow_padding")
        if type(merged["pad_token_id"]) is not int or not 0 <= merged["pad_token_id"] < 2**31:
            faults.append(f"pad_token_id is {merged['pad_token_id']!r}, expected a whole number")
        epsilon = merged["layer_norm_eps"]
        if type(epsilon) not in (int, float) or not 0 < epsilon < 1:
            faults.append(f"layer_norm_eps is {epsilon!r}, expected a number between 0 and 1")
        positions = values.get("position_embedding_type") or "absolute"
        if positions != "absolute":
            faults.append(f"position_embedding_type is {positions!r}, expected 'absolute'")
        if values.get("is_decoder") or values.get("add_cross_attention"):
            faults.append("is_decoder or add_cross_attention is set, expected a bidirectional encoder")
        if not (faults or merged.get("head_size")) and merged["hidden_size"] % merged["num_attention_heads"]:
            faults.append(
                f"hidden_size {merged['hidden_size']} does not divide into"
                f" {merged['num_attention_heads']} attention heads"
            )
        faults = faults or cls.own_faults(merged)
        if faults:
            raise CheckpointError("config.json cannot be used: " + "; ".join(faults))
        return cls(**merged)

    @classmethod
    def own_faults(cls, values: Mapping[str, Any]) -> list[str]:  # noqa: ARG003 (as every family)
        """Return what is wrong with the fields that BERT has not; its own are right."""
        return []

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dictionary that `from_dict` reads back."""
        return dataclasses.asdict(self)
