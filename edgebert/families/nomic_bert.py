"""Nomic BERT (arXiv 2402.01613): BERT with rotary positions and gated feed-forward, without biases.

Its config.json has GPT-2's names on the hub, and BERT's where transformers 5 wrote it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgebert.architecture import Encoder, FeedForward, Layer, Linear, Rotary
from edgebert.errors import CheckpointError, UnsupportedModelError
from edgebert.families import bert, rope
from edgebert.families.family import Family
from edgebert.families.rope import RotaryConfig
from edgebert.families.rules import honoured, refused, without_effect

__all__ = ["FAMILY"]

_GPT2 = {
    "n_embd": "hidden_size",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_inner": "intermediate_size",
    "n_positions": "max_position_embeddings",
    "layer_norm_epsilon": "layer_norm_eps",
    "rotary_emb_base": "rope_theta",
}
_ACTIVATIONS = {"swiglu": "silu", "geglu": "gelu"}
_TRAINED = 2048  # tokens of the longest text that it saw in training, where its config.json does not say


def encoder(config: RotaryConfig) -> Encoder:
    """Return the parts of its encoder."""
    result = bert.encoder(config)
    return dataclasses.replace(
        result,
        embeddings=result.embeddings._replace(positions=None),
        layers=tuple(_layer(f"encoder.layer.{i}", config) for i in range(config.num_hidden_layers)),
    )


def _layer(name: str, config: RotaryConfig) -> Layer:
    layer, H, I = bert.layer(name, config), config.hidden_size, config.intermediate_size  # noqa: E741
    attention = layer.attention
    gate_and_up = (f"{name}.intermediate.gate", f"{name}.intermediate.up")
    return layer._replace(
        attention=attention._replace(
            query_key_value=Linear(attention.query_key_value.name, 3 * H, H, bias=False),
            output=attention.output._replace(bias=False),
            rotary=Rotary(float(config.rope_theta)),
        ),
        feed_forward=FeedForward(
            intermediate=Linear(f"{name}.intermediate.dense", 2 * I, H, gate_and_up, bias=False),
            activation=config.activation,
            output=Linear(f"{name}.output.dense", H, I, bias=False),
            factor=layer.feed_forward.factor,
            gated=True,
        ),
    )


def _translate(values: Mapping[str, Any]) -> Mapping[str, Any]:
    result = rope.read_bases(values, rope.BASES)
    for own, general in _GPT2.items():
        given = result.pop(own, None)
        if given is not None and result.get(general) not in (None, given):
            raise CheckpointError(
                f"config.json has {own} {given!r} and {general} {result[general]!r}, expected one of them"
            )
        if given is not None:
            result[general] = given
    activation = result.pop("activation_function", None)
    if activation is not None:
        if activation not in tuple(_ACTIVATIONS):
            raise UnsupportedModelError(
                f"config.json has activation_function {activation!r}; edgebert runs those with gates,"
                f" {' and '.join(_ACTIVATIONS)}"
            )
        result["hidden_act"] = _ACTIVATIONS[activation]
    size, hidden, heads = (result.get(name) for name in ("head_dim", "hidden_size", "num_attention_heads"))
    if size is not None and type(hidden) is type(heads) is int and heads > 0 and size != hidden // heads:
        raise UnsupportedModelError(
            f"config.json has head_dim {size!r}, expected hidden_size / num_attention_heads, {hidden // heads}"
        )
    if result.get("rotary_scaling_factor") is not None:  # beyond what it was trained on, positions are stretched
        longest, trained = result.get("max_position_embeddings"), result.get("max_trained_positions") or _TRAINED
        if type(longest) is type(trained) is int:
            result["max_position_embeddings"] = min(longest, trained)
    return result


FAMILY = Family(
    "nomic_bert",
    "NomicBert",
    "nomic_bert.",
    (
        (r"^emb_ln\.", "embeddings.LayerNorm."),
        (r"^encoder\.layers\.", "encoder.layer."),
        (r"\.attn\.Wqkv\.", ".attention.self.query_key_value."),
        (r"\.attn\.out_proj\.", ".attention.output.dense."),
        (r"\.norm1\.", ".attention.output.LayerNorm."),
        (r"\.norm2\.", ".output.LayerNorm."),
        (r"\.mlp\.fc11\.", ".intermediate.up."),
        (r"\.mlp\.fc12\.", ".intermediate.gate."),
        (r"\.mlp\.fc2\.", ".output.dense."),
    ),
    encoder,
    defaults={
        "vocab_size": 30528,
        "hidden_act": "silu",
        "max_position_embeddings": 2048,
        "rope_theta": 1000.0,
    },
    fixed={"position_embedding_type": None},
    # Of its heads the encoder is known alone: where it came from, layers of another kind stand before their last.
    heads=dict.fromkeys(
        ("ForMaskedLM", "ForPreTraining", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering")
    ),
    rules={
        **rope.RULES,
        **honoured("the encoder's", f"{' '.join(_GPT2)} rope_theta activation_function"),
        **honoured("how long a text may be", "rotary_scaling_factor max_trained_positions"),
        **refused("edgebert turns the whole of a head", "rotary_emb_fraction", unless=(1.0, 1)),
        **refused("edgebert turns the halves of a head", "rotary_emb_interleaved", unless=(False,)),
        **refused("edgebert does not scale heads by their position", "rotary_emb_scale_base"),
        **refused("the family's layers are in another order", "prenorm parallel_block", unless=(False,)),
        **refused("the family's norms are others", "parallel_block_tied_norm use_rms_norm", unless=(False,)),
        **refused("the family has none", "qkv_proj_bias mlp_fc1_bias mlp_fc2_bias", unless=(False,)),
        **refused("edgebert runs it as an encoder", "causal", unless=(False,)),
        **refused("scores are scaled by the size of a head", "scale_attn_weights", unless=(True,)),
        **refused("scores are scaled by the size of a head", "scale_attn_by_inverse_layer_idx", unless=(False,)),
        **honoured("checked with the encoder's sizes", "head_dim"),
        **without_effect("the family has rotary positions, whatever it says", "position_embedding_type"),
        **without_effect("for training", "attn_pdrop embd_pdrop resid_pdrop summary_first_dropout use_xentropy"),
        **without_effect("how it is computed", "fused_bias_fc fused_dropout_add_ln use_flash_attn dense_seq_output"),
        **without_effect("how it is computed", "last_layer_subset reorder_and_upcast_attn"),
        **without_effect("the vocabulary's size is the padded one", "pad_vocab_size_multiple pad_vocab_to_multiple_of"),
        **without_effect(
            "of heads that edgebert does not run", "summary_activation summary_proj_to_labels summary_type"
        ),
        **without_effect("of heads that edgebert does not run", "summary_use_proj"),
        **without_effect("names code that is not run", "auto_map"),
    },
    config=RotaryConfig,
    translate=_translate,
)
