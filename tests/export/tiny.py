"""Tiny models with random weights: texts are longer than their windows, and than what attention does at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.checkpoint.folders import copy_model, write_safetensors

__all__ = ["ALL_SEEN", "BIDIRECTIONAL", "CAUSAL", "LONGEST", "MODERNBERT", "TINY", "VOCABULARY", "write_tiny"]

LONGEST = 700
"""Tokens of a text."""
VOCABULARY = 165

MODERNBERT, CAUSAL, BIDIRECTIONAL, ALL_SEEN = "modernbert", "gemma3-text", "gemma3-text-bidirectional", "qwen3"
"""Their names, where those of golden models are known: windows, rotations and gates; of Gemma 3, with a window to one
side or to both, norms of what is added and of heads; without windows, but causal. Of these keys have fewer heads."""

_COMMON = {"vocab_size": VOCABULARY, "num_hidden_layers": 4, "max_position_embeddings": LONGEST, "pad_token_id": 0}
_SHARED = {
    **_COMMON,
    "hidden_size": 40,
    "intermediate_size": 72,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 36,  # half a head is no whole vector
    "rope_theta": 5000.0,
}
_GEMMA = {
    **_SHARED,
    "model_type": "gemma3_text",
    "architectures": ["Gemma3TextModel"],
    "rope_local_base_freq": 700.0,
    "sliding_window": 20,
    "query_pre_attn_scalar": 30,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
}
_CONFIGS: Mapping[str, Mapping[str, Any]] = {
    MODERNBERT: {
        **_COMMON,
        "model_type": "modernbert",
        "architectures": ["ModernBertModel"],
        "hidden_size": 60,
        "intermediate_size": 40,
        "num_attention_heads": 3,
        "global_attn_every_n_layers": 2,
        "local_attention": 18,
    },
    CAUSAL: _GEMMA,
    BIDIRECTIONAL: {**_GEMMA, "use_bidirectional_attention": True},
    ALL_SEEN: {**_SHARED, "model_type": "qwen3", "architectures": ["Qwen3Model"]},
}
TINY = tuple(_CONFIGS)


def write_tiny(name: str, folder: Path) -> Path:
    """Write a checkpoint, with the tokenizer of a golden model; return its folder."""
    copy_model("encoder", folder)
    config = _CONFIGS[name]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    shapes = _of_modernbert(config) if name == MODERNBERT else _of_decoder(config)
    rng = np.random.default_rng(0)
    arrays = {}
    for tensor, shape in shapes.items():
        # Gemma's norms lack 1.
        middle = 0 if len(shape) == 2 or name in (CAUSAL, BIDIRECTIONAL) else 1
        size = 1 if "embed" in tensor and len(shape) == 2 else 0.2
        arrays[f"{tensor}.weight"] = rng.normal(middle, size, size=shape).astype(np.float32)
    write_safetensors(folder / "model.safetensors", arrays)
    return folder


def _of_modernbert(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of the tensors of a ModernBERT, without ``.weight``."""
    H, I = config["hidden_size"], config["intermediate_size"]  # noqa: E741 (the field's own name)
    shapes: dict[str, tuple[int, ...]] = {"embeddings.tok_embeddings": (VOCABULARY, H)}
    for i in range(config["num_hidden_layers"]):
        linears = {"attn.Wqkv": (3 * H, H), "attn.Wo": (H, H), "mlp.Wi": (2 * I, H), "mlp.Wo": (H, I)}
        norms = {norm: (H,) for norm in ("attn_norm", "mlp_norm") if i or norm == "mlp_norm"}
        shapes |= {f"layers.{i}.{name}": shape for name, shape in {**linears, **norms}.items()}
    return {**shapes, "embeddings.norm": (H,), "final_norm": (H,)}


def _of_decoder(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of the tensors of a Qwen3 or a Gemma 3, without ``.weight``."""
    H, I, size = config["hidden_size"], config["intermediate_size"], config["head_dim"]  # noqa: E741
    queries, keys = config["num_attention_heads"] * size, config["num_key_value_heads"] * size
    layer: dict[str, tuple[int, ...]] = {
        **{f"self_attn.{part}_proj": (rows, H) for part, rows in (("q", queries), ("k", keys), ("v", keys))},
        "self_attn.o_proj": (H, queries),
        **{f"self_attn.{part}_norm": (size,) for part in "qk"},
        **{f"mlp.{part}_proj": (I, H) for part in ("gate", "up")},
        "mlp.down_proj": (H, I),
        **{norm: (H,) for norm in ("input_layernorm", "post_attention_layernorm")},
    }
    if config["model_type"] == "gemma3_text":
        layer |= {f"{place}_feedforward_layernorm": (H,) for place in ("pre", "post")}
    layers = {f"layers.{i}.{name}": shape for i in range(config["num_hidden_layers"]) for name, shape in layer.items()}
    return {"embed_tokens": (VOCABULARY, H), **layers, "norm": (H,)}
