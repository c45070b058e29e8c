"""A tiny ModernBERT with random weights, for texts longer than its windows, and than what attention does at a time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.checkpoint.folders import copy_model, write_safetensors

__all__ = ["LONGEST", "MODERNBERT", "write_modernbert"]

MODERNBERT = "modernbert"
"""Its name, where those of golden models are known."""
LONGEST = 700
"""Tokens of a text."""
_H, _HEADS, _I, _LAYERS, _VOCABULARY = 60, 3, 40, 4, 165
"""Half a head is no whole vector; two layers see all tokens, two a window of 9 to either side."""


def write_modernbert(folder: Path) -> Path:
    """Write a checkpoint, with the tokenizer of a golden model; return its folder."""
    copy_model("encoder", folder)
    config = {
        "model_type": "modernbert",
        "architectures": ["ModernBertModel"],
        "vocab_size": _VOCABULARY,
        "hidden_size": _H,
        "intermediate_size": _I,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": _HEADS,
        "max_position_embeddings": LONGEST,
        "global_attn_every_n_layers": 2,
        "local_attention": 18,
        "pad_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    rng = np.random.default_rng(0)
    arrays = {"embeddings.tok_embeddings.weight": rng.normal(size=(_VOCABULARY, _H))}
    shapes = {"attn.Wqkv": (3 * _H, _H), "attn.Wo": (_H, _H), "mlp.Wi": (2 * _I, _H), "mlp.Wo": (_H, _I)}
    for i in range(_LAYERS):
        for name, shape in shapes.items():
            arrays[f"layers.{i}.{name}.weight"] = rng.normal(0, 0.2, size=shape)
    norms = [f"layers.{i}.{name}" for i in range(_LAYERS) for name in ("attn_norm", "mlp_norm") if i or "mlp" in name]
    for name in ("embeddings.norm", *norms, "final_norm"):
        arrays[f"{name}.weight"] = rng.normal(1, 0.2, size=_H)
    write_safetensors(folder / "model.safetensors", {name: each.astype(np.float32) for name, each in arrays.items()})
    return folder
