"""EuroBERT (arXiv 2503.05500): RMS norms, rotary positions and shared heads, seen from both sides, without biases."""

from __future__ import annotations

import dataclasses

from edgebert.architecture import Encoder
from edgebert.families import qwen3
from edgebert.families.qwen3 import DecoderConfig
from edgebert.families.rules import honoured, refused, without_effect

__all__ = ["FAMILY"]


def encoder(config: DecoderConfig) -> Encoder:
    """Return the parts of its encoder: Qwen3's, whose heads are not normalised, and see what stands behind them."""
    result = qwen3.encoder(config)
    layers = (
        layer._replace(attention=layer.attention._replace(causal=False, query_norm=None, key_norm=None))
        for layer in result.layers
    )
    return dataclasses.replace(result, layers=tuple(layers))


FAMILY = dataclasses.replace(
    qwen3.FAMILY,
    model_type="eurobert",
    classes="EuroBert",
    encoder=encoder,
    defaults={
        "vocab_size": 128256,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 8192,
    },
    # Other layers stand before their last, or none, than before those of any head here.
    heads={"ForMaskedLM": None, "ForSequenceClassification": None},
    rules={
        **{name: rule for name, rule in qwen3.FAMILY.rules.items() if "window" not in name},
        **honoured("the encoder's", "attention_bias"),
        **refused("edgebert has no biases in its feed-forward layers", "mlp_bias", unless=(False,)),
        **without_effect("of heads that edgebert does not run", "classifier_pooling clf_pooling"),
        **without_effect("how it is computed, on several computers", "pretraining_tp"),
        **without_effect("names code that is not run", "auto_map"),
    },
)
