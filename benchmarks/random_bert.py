"""A BERT folder of a chosen size with random weights: for speed, which the weights' values do not change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from edgebert.checkpoint.names import encoder_tensors
from edgebert.config import BertConfig
from edgebert.families import encoder_of

__all__ = ["SHAPES", "write_random_bert"]

SHAPES = {
    "minilm-l6": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
    "bert-base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "tiny": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64},
}
"""Name -> the sizes that make it, in Hugging Face's names."""

DEVIATION = 0.02  # of the weights, as BERT's own initialisation has it


def write_random_bert(folder: Path, sizes: dict[str, int], tokenizer_folder: Path) -> None:
    """Write a Hugging Face folder of a `BertModel`.

    Parameters
    ----------
    folder : Path
        Made if need be; it gets config.json, model.safetensors and the tokenizer's files.
    sizes : dict
        A value of `SHAPES`.
    tokenizer_folder : Path
        A folder whose tokenizer, vocabulary size and number of positions the model shares.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads((tokenizer_folder / "config.json").read_text("utf-8"))
    config = {
        **config,
        **sizes,
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "torch_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2), "utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        if (tokenizer_folder / name).exists():
            shutil.copy(tokenizer_folder / name, folder / name)
    save_file(_tensors(config), folder / "model.safetensors", metadata={"format": "pt"})


def _tensors(config: dict) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    bert = BertConfig.from_dict(config)
    shapes = {**encoder_tensors(encoder_of(bert)), "pooler.dense.weight": 2 * (bert.hidden_size,)}
    shapes["pooler.dense.bias"] = (bert.hidden_size,)
    tensors = {name: (DEVIATION * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    for norm in encoder_of(bert).norms():
        tensors[f"{norm.name}.weight"] = np.ones(norm.size, np.float32)
        tensors[f"{norm.name}.bias"] = np.zeros(norm.size, np.float32)
    return tensors
