"""Models of a chosen size with random weights: for speed, which the weights' values do not change."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from edgebert.architecture import Linear, Norm
from edgebert.artifact import write_artifact
from edgebert.bundled import default_model
from edgebert.checkpoint.names import encoder_tensors
from edgebert.families import encoder_of, family_of
from edgebert.kernels.plan import PANEL_K, group_size
from edgebert.layout import TOKENIZER, expected_tensors
from edgebert.model_file import ModelFile
from edgebert.quantize.law import SCHEME

__all__ = ["write_random_artifact", "write_random_bert"]

_OWN_NAMES = {
    "deberta-v2": ((r"\.self\.(query|key|value)\.", r".self.\1_proj."),),
    "modernbert": (
        (r"^embeddings\.word_embeddings\.", "embeddings.tok_embeddings."),
        (r"^embeddings\.LayerNorm\.", "embeddings.norm."),
        (r"^encoder\.final_norm\.", "final_norm."),
        (r"^encoder\.layer\.", "layers."),
        (r"\.attention\.LayerNorm\.", ".attn_norm."),
        (r"\.attention\.self\.query_key_value\.", ".attn.Wqkv."),
        (r"\.attention\.output\.dense\.", ".attn.Wo."),
        (r"\.intermediate\.LayerNorm\.", ".mlp_norm."),
        (r"\.intermediate\.dense\.", ".mlp.Wi."),
        (r"\.output\.dense\.", ".mlp.Wo."),
    ),
}
"""Family -> from BERT's names of tensors to its own."""

DEVIATION = 0.02  # of the weights, as BERT's own initialisation has it


def write_random_bert(folder: Path, sizes: dict[str, Any], tokenizer_folder: Path) -> None:
    """Write a Hugging Face folder of an encoder.

    Parameters
    ----------
    folder : Path
        Made if need be; it gets config.json, model.safetensors and the tokenizer's files.
    sizes : dict
        A value of `benchmarks.shapes.SHAPES`.
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
        if isinstance(part, Norm | Linear) and not part.bias:
            for name in part.stored if isinstance(part, Linear) else [part.stored]:
                del tensors[f"{name}.bias"]
    for pattern, replacement in _OWN_NAMES.get(family.model_type, ()):
        tensors = {re.sub(pattern, replacement, name): tensor for name, tensor in tensors.items()}
    return tensors


def write_random_artifact(path: Path, sizes: dict[str, Any]) -> None:
    """Write an .edgebert file of an encoder, with random whole numbers in the place of what a conversion makes.

    It has a fast form of every linear layer (depth 2), the tokenizer of the model that comes with edgebert, and no
    receipt: it says nothing, but takes as long as a model of that size.

    Parameters
    ----------
    path : Path
    sizes : dict
        A value of `benchmarks.shapes.SHAPES`.
    """
    own = ModelFile(default_model("classify"))
    config = family_of(sizes, source="a shape").read_config({"model_type": "bert", "hidden_act": "gelu", **sizes})
    info = dataclasses.replace(
        own.info, config=config, heads=(), labels=(), problem_type="", max_length=config.max_position_embeddings
    )
    rng = np.random.default_rng(0)
    expected = expected_tensors(config)
    tensors = {TOKENIZER: own.tensors[TOKENIZER]}
    for name, (shape, dtype) in expected.items():
        layer, _, part = name.rpartition(".")
        if part in ("scale", "column_sums") and shape[0] is None:
            K = PANEL_K * (expected[f"{layer}.weight"][0][1] or 0)
            shape = (-(-K // group_size(K)), *shape[1:])
        if part == "depth":
            tensors[name] = np.array([2], np.uint8)
        elif part == "column_sums":
            tensors[name] = np.zeros(shape, np.int16)
        elif dtype is np.int8:
            tensors[name] = rng.integers(-31, 32, shape, np.int8)  # of which no four exceed 16 bits
        elif part == "scale":
            tensors[name] = np.full(shape, 1e-3, np.float32)
        elif name != TOKENIZER:
            tensors[name] = np.full(shape, part != "bias", dtype)
    metadata = {"scheme": SCHEME, **info.to_json(), "embeddings": "int8", "receipt": {}}
    write_artifact(path, tensors, metadata, lambda _: None)
