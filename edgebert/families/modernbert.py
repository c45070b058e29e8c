"""ModernBERT (arXiv 2412.13663): rotary positions, windows in most layers, gated GELU, LayerNorms before, no biases."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgebert.architecture import Attention, Embeddings, Encoder, FeedForward, Layer, Linear, Norm, Rotary, Table
from edgebert.config import BertConfig, HeadLayers, flag_faults
from edgebert.families import rope
from edgebert.families.family import Family
from edgebert.families.rules import honoured, without_effect

__all__ = ["FAMILY", "ModernBertConfig"]

_GLOBAL, _LOCAL = "full_attention", "sliding_attention"
_BASES = {_GLOBAL: "global_rope_theta", _LOCAL: "local_rope_theta"}
_BIASES = ("attention_bias", "mlp_bias", "norm_bias", "classifier_bias", "decoder_bias")


@dataclasses.dataclass(frozen=True)
class ModernBertConfig(BertConfig):
    """Every ``global_attn_every_n_layers``-th layer sees all tokens, the others ``local_attention`` around each.

    Where there are ``layer_types``, one a layer, these say which: ``"full_attention"`` or ``"sliding_attention"``.
    """

    global_attn_every_n_layers: int = 3
    local_attention: int = 128
    global_rope_theta: float = 160000.0
    local_rope_theta: float = 10000.0
    attention_bias: bool = False
    mlp_bias: bool = False
    norm_bias: bool = False
    classifier_bias: bool = False
    decoder_bias: bool = True
    classifier_pooling: str = "cls"
    layer_types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "layer_types", tuple(self.layer_types))  # a list, in JSON

    @property
    def head_layers(self) -> HeadLayers:
        """What stands before the last layer of heads."""
        return HeadLayers(
            self.classifier_pooling,
            transform=True,
            dense_bias=self.classifier_bias,
            norm_bias=self.norm_bias,
            decoder_bias=self.decoder_bias,
        )

    def is_global(self, layer: int) -> bool:
        """Whether a layer sees all tokens."""
        if self.layer_types:
            return self.layer_types[layer] == _GLOBAL
        return layer % self.global_attn_every_n_layers == 0

    @classmethod
    def own_faults(cls, values: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with the fields that BERT has not."""
        faults = flag_faults(values, *_BIASES)
        for name, least in (("global_attn_every_n_layers", 1), ("local_attention", 2)):
            if type(values[name]) is not int or not least <= values[name] <= 2**20:
                faults.append(f"{name} is {values[name]!r}, expected a whole number from {least} to {2**20}")
        faults += rope.base_faults(values, *_BASES.values())
        if values["classifier_pooling"] not in ("cls", "mean"):
            faults.append(f"classifier_pooling is {values['classifier_pooling']!r}, expected 'cls' or 'mean'")
        types, layers = values["layer_types"], values["num_hidden_layers"]
        if not isinstance(types, (list, tuple)) or len(types) not in (0, layers) or not {*map(str, types)} <= {*_BASES}:
            faults.append(f"layer_types is {types!r}, expected {_GLOBAL!r} or {_LOCAL!r} for each of {layers} layers")
        if values["hidden_size"] // values["num_attention_heads"] % 2:
            faults.append(
                f"hidden_size {values['hidden_size']} in {values['num_attention_heads']} attention heads gives each an"
                " odd number of values, expected an even one, which are turned in pairs"
            )
        return faults


def encoder(config: ModernBertConfig) -> Encoder:
    """Return the parts of its encoder."""
    H = config.hidden_size
    return Encoder(
        embeddings=Embeddings(
            words=Table("embeddings.word_embeddings", config.vocab_size, H),
            positions=None,
            token_types=None,
            norm=_norm("embeddings.LayerNorm", config),
        ),
        layers=tuple(_layer(i, config) for i in range(config.num_hidden_layers)),
        hidden_size=H,
        longest=config.max_position_embeddings,
        final_norm=_norm("encoder.final_norm", config),
    )


def _layer(i: int, config: ModernBertConfig) -> Layer:
    H, I = config.hidden_size, config.intermediate_size  # noqa: E741 (the field's own name)
    name, is_global = f"encoder.layer.{i}", config.is_global(i)
    query_key_value = Linear(f"{name}.attention.self.query_key_value", 3 * H, H, bias=config.attention_bias)
    return Layer(
        attention=Attention(
            heads=config.num_attention_heads,
            head_dim=config.head_dim,
            query_key_value=query_key_value,
            output=Linear(f"{name}.attention.output.dense", H, H, bias=config.attention_bias),
            rotary=Rotary(float(config.global_rope_theta if is_global else config.local_rope_theta)),
            window=0 if is_global else config.local_attention // 2,
        ),
        attention_norm=_norm(f"{name}.attention.LayerNorm", config) if i else None,
        feed_forward=FeedForward(
            intermediate=Linear(f"{name}.intermediate.dense", 2 * I, H, bias=config.mlp_bias),
            activation=config.activation,
            output=Linear(f"{name}.output.dense", H, I, bias=config.mlp_bias),
            factor=f"{name}.intermediate.factor",
            gated=True,
        ),
        feed_forward_norm=_norm(f"{name}.intermediate.LayerNorm", config),
    )


def _norm(name: str, config: ModernBertConfig) -> Norm:
    return Norm(name, config.hidden_size, config.layer_norm_eps, bias=config.norm_bias)


def _translate(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return rope.read_bases(values, _BASES)


FAMILY = Family(
    "modernbert",
    "ModernBert",
    "model.",
    (
        (r"^embeddings\.tok_embeddings\.", "embeddings.word_embeddings."),
        (r"^embeddings\.norm\.", "embeddings.LayerNorm."),
        (r"^final_norm\.", "encoder.final_norm."),
        (r"^layers\.", "encoder.layer."),
        (r"\.attn_norm\.", ".attention.LayerNorm."),
        (r"\.attn\.Wqkv\.", ".attention.self.query_key_value."),
        (r"\.attn\.Wo\.", ".attention.output.dense."),
        (r"\.mlp_norm\.", ".intermediate.LayerNorm."),
        (r"\.mlp\.Wi\.", ".intermediate.dense."),
        (r"\.mlp\.Wo\.", ".output.dense."),
        (r"^head\.dense\.", "cls.predictions.transform.dense."),
        (r"^head\.norm\.", "cls.predictions.transform.LayerNorm."),
        (r"^decoder\.", "cls.predictions.decoder."),
    ),
    encoder,
    fields={"hidden_act": "hidden_activation", "layer_norm_eps": "norm_eps", "transform_act": "classifier_activation"},
    defaults={
        "vocab_size": 50368,
        "intermediate_size": 1152,
        "num_hidden_layers": 22,
        "max_position_embeddings": 8192,
        "norm_eps": 1e-5,
        "pad_token_id": 50283,
        "classifier_activation": "gelu",
    },
    fixed={"type_vocab_size": 1, "position_embedding_type": None},
    token_types=False,
    tokenizer="PreTrainedTokenizer",
    head_renames={"question_answering": ((r"^classifier\.", "qa_outputs."),)},
    rules={
        **honoured(
            "the encoder's",
            "hidden_activation norm_eps norm_bias attention_bias mlp_bias",
            "global_attn_every_n_layers local_attention global_rope_theta local_rope_theta layer_types",
        ),
        **without_effect("the family reads hidden_activation and norm_eps", "hidden_act layer_norm_eps"),
        **without_effect(
            "the family has rotary positions and no types, whatever it says", "position_embedding_type type_vocab_size"
        ),
        **rope.RULES,
        **honoured("the heads'", "classifier_bias classifier_activation classifier_pooling decoder_bias"),
        **without_effect("for training", "attention_dropout embedding_dropout mlp_dropout initializer_cutoff_factor"),
        **without_effect("of its code for GPUs", "deterministic_flash_attn reference_compile repad_logits_with_grad"),
        **without_effect("all logits are computed", "sparse_prediction sparse_pred_ignore_index"),
        **without_effect("the tokenizer has them", "bos_token_id cls_token_id eos_token_id sep_token_id"),
    },
    config=ModernBertConfig,
    translate=_translate,
)
