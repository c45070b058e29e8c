"""A model folder of a chosen size with random weights: for speed, which the weights' values do not change."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from edgebert.architecture import Norm
from edgebert.checkpoint.names import encoder_tensors
from edgebert.families import encoder_of, family_of

__all__ = ["SHAPES", "write_random_bert"]

SHAPES: dict[str, dict[str, Any]] = {
    "minilm-l6": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
    "bert-base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "deberta-v3-small": {
        "model_type": "deberta-v2",
        "hidden_size": 768,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "vocab_size": 128100,
        "max_position_embeddings": 512,
        "type_vocab_size": 0,
        "relative_attention": True,
        "position_buckets": 256,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": "p2c|c2p",
        "position_biased_input": False,
        "max_relative_positions": -1,
    },
    "tiny": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64},
}
"""Name -> what makes it, in Hugging Face's names; a BERT, unless it says otherwise."""
_OWN_NAMES = {"deberta-v2": ((r"\.self\.(query|key|value)\.", r".self.\1_proj."),)}
"""Family -> from BERT's names of tensors to its own."""

DEVIATION = 0.02  # of the weights, as BERT's own initialisation has it


def write_random_bert(folder: Path, sizes: dict[str, Any], tokenizer_folder: Path) -> None:
    """Write a Hugging Face folder of an encoder.

    Parameters
    ----------
    folder : Path
        Made if need be; it gets config.json, model.safetensors and the tokenizer's files.
    sizes : dict
        A value of `SHAPES`.
    tokenizer_folder : Path
        A folder whose tokenizer the model shares; and its vocabulary size and number of positions, where `sizes` has
        none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shared = json.loads((tokenizer_folder / "config.json").read_text("utf-8"))
    config = {"model_type": "bert", **sizes, "hidden_act": "gelu", "torch_dtype": "float32"}
    config = {**(shared if config["model_type"] == "bert" else {}), **config}
    config["architectures"] = [f"{family_of(config, source='a shape').classes}Model"]
    (folder / "config.json").write_text(json.dumps(config, indent=2), "utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        if (tokenizer_folder / name).exists():
            shutil.copy(tokenizer_folder / name, folder / name)
    save_file(_tensors(config), folder / "model.safetensors", metadata={"format": "pt"})


def _tensors(config: dict[str, Any]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    family = family_of(config, source="a shape")
    read = family.read_config(config)
    shapes = encoder_tensors(encoder_of(read))
    if family.pooler:
        shapes |= {"pooler.dense.weight": 2 * (read.hidden_size,), "pooler.dense.bias": (read.hidden_size,)}
    tensors = {name: (DEVIATION * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    for part in encoder_of(read).parts():
        if isinstance(part, Norm):
            tensors[f"{part.stored}.weight"] = np.ones(part.size, np.float32)
            tensors[f"{part.stored}.bias"] = np.zeros(part.size, np.float32)
    for pattern, replacement in _OWN_NAMES.get(family.model_type, ()):
        tensors = {re.sub(pattern, replacement, name): tensor for name, tensor in tensors.items()}
    return tensors
