"""A BERT folder of a chosen size with random weights: for speed, which the weights' values do not change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

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
    H, I = config["hidden_size"], config["intermediate_size"]  # noqa: E741 (the field's own name)
    tensors = {}

    def random(name: str, *shape: int) -> None:
        tensors[name] = (DEVIATION * rng.standard_normal(shape)).astype(np.float32)

    def linear(name: str, N: int, K: int) -> None:
        random(f"{name}.weight", N, K)
        random(f"{name}.bias", N)

    def norm(name: str) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = np.ones(H, np.float32), np.zeros(H, np.float32)

    random("embeddings.word_embeddings.weight", config["vocab_size"], H)
    random("embeddings.position_embeddings.weight", config["max_position_embeddings"], H)
    random("embeddings.token_type_embeddings.weight", config["type_vocab_size"], H)
    norm("embeddings.LayerNorm")
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}"
        for part in ("query", "key", "value"):
            linear(f"{layer}.attention.self.{part}", H, H)
        linear(f"{layer}.attention.output.dense", H, H)
        norm(f"{layer}.attention.output.LayerNorm")
        linear(f"{layer}.intermediate.dense", I, H)
        linear(f"{layer}.output.dense", H, I)
        norm(f"{layer}.output.LayerNorm")
    linear("pooler.dense", H, H)
    return tensors
