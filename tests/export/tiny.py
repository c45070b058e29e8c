"""Tiny models with random weights: texts are longer than their windows, and than what attention does at a time."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
from safetensors.numpy import load_file

import edgebert
from edgebert import families
from edgebert.architecture import Encoder, Linear, Norm
from edgebert.batch import pack
from edgebert.checkpoint import open_checkpoint
from edgebert.config import BertConfig
from edgebert.evaluate.arithmetic import Float32Arithmetic
from edgebert.families import bert, encoder_of, family_of
from edgebert.steps import Place, run
from tests.checkpoint.folders import copy_model, write_safetensors

__all__ = [
    "CAUSAL",
    "DEBERTA",
    "LONGEST",
    "MODERNBERT",
    "TINY",
    "VOCABULARY",
    "convert_tiny",
    "plant",
    "slopes",
    "write_tiny",
]

LONGEST = 700
"""Tokens of a text."""
VOCABULARY = 165

MODERNBERT, CAUSAL, DEBERTA = "modernbert", "gemma3-text", "deberta-v2"
OUTLIERS = (3, 17, 30)
"""Columns of the word embeddings that `plant` makes a thousand times as large as the others."""
_COMMON = {"vocab_size": VOCABULARY, "max_position_embeddings": LONGEST, "pad_token_id": 0}
_SHARED = {
    **_COMMON,
    "hidden_size": 72,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 36,
    "rope_theta": 5000.0,
}
_GEMMA = {
    **_SHARED,
    "model_type": "gemma3_text",
    "rope_local_base_freq": 700.0,
    "sliding_window": 20,
    "query_pre_attn_scalar": 30,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
}
_CONFIGS: Mapping[str, Mapping[str, Any]] = {
    MODERNBERT: {
        **_COMMON,
        "model_type": "modernbert",
        "hidden_size": 60,
        "intermediate_size": 40,
        "num_hidden_layers": 4,
        "num_attention_heads": 3,
        "global_attn_every_n_layers": 2,
        "local_attention": 18,
    },
    CAUSAL: _GEMMA,
    "gemma3-text-both-sides": {**_GEMMA, "use_bidirectional_attention": True},
    "qwen3": {**_SHARED, "model_type": "qwen3"},
    "qwen3-outliers": {**_SHARED, "model_type": "qwen3"},
    DEBERTA: {
        **_COMMON,
        "model_type": "deberta-v2",
        "hidden_size": 72,
        "intermediate_size": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "position_buckets": 24,
        "norm_rel_ebd": "layer_norm",
        "relative_attention": True,
        "share_att_key": True,
        "pos_att_type": "c2p|p2c",
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
}
TINY = tuple(_CONFIGS)
"""Their names, where those of golden models are known: windows, rotations and gates; Gemma 3, with windows to one side
or to both, fewer keys than queries, norms of heads and of what is added; without windows, but causal; queries and keys
that score distances; columns of the embeddings that need factors. Neither a head nor half of it is whole vectors."""


def write_tiny(name: str, folder: Path) -> Path:
    """Write a checkpoint, with the tokenizer of a golden model; return its folder."""
    _write(_CONFIGS[name], folder)
    return plant(folder) if name.endswith("-outliers") else folder


def plant(folder: Path) -> Path:
    """Make a few columns of the residual stream a thousand times as large as the others, as large models have them.

    The norms are made to fit, one after the other: the others reach each layer as large as before, and these as a
    tenth of them, so that the model stays about what it is.
    """
    path = folder / "model.safetensors"
    encoder, before = _sizes(folder)
    arrays = {name: array.copy() for name, array in load_file(path).items()}
    words = arrays[f"{encoder.embeddings.words.name}.weight"]
    usual = np.sqrt(np.mean(np.square(words)))
    rng = np.random.default_rng(0)
    words[:, OUTLIERS] = 1000 * usual * (1 + 0.1 * rng.standard_normal((len(words), len(OUTLIERS))))
    branches = {layer.attention_branch_norm for layer in encoder.layers}
    branches |= {layer.feed_forward_branch_norm for layer in encoder.layers}
    for norm in before:
        if norm in branches:
            continue
        write_safetensors(path, arrays)
        weight = arrays[f"{norm.stored}.weight"] + np.float32(norm.offset)
        weight *= _sizes(folder)[1][norm] / before[norm]
        weight[list(OUTLIERS)] *= 0.1 * before[norm] / (1000 * usual * encoder.embeddings.scale)
        arrays[f"{norm.stored}.weight"] = (weight - norm.offset).astype(np.float32)
    write_safetensors(path, arrays)
    return folder


def _sizes(folder: Path) -> tuple[Encoder, dict[Norm, float]]:
    """Return an encoder, and the root of the mean square of what each norm of the stream reads."""
    checkpoint = open_checkpoint(folder)
    encoder, found = encoder_of(checkpoint.info.config), {}

    class Watching(Float32Arithmetic):
        def normalise(self, norm: Norm, x: np.ndarray, target: Place) -> np.ndarray:
            found[norm] = float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
            return super().normalise(norm, x, target)

    texts = pack([list(range(first, first + 12)) for first in range(5, VOCABULARY - 12, 12)])
    run(encoder, Watching(encoder, checkpoint.tensors, texts))
    return encoder, found


def convert_tiny(folder: Path, path: Path) -> Path:
    """Convert a checkpoint with random weights, by a text or two: how well it is quantized is not what is tested."""
    return edgebert.convert(folder, path, calibrate=["the film was good"], evaluate=["a bad film"], force=True)


@contextmanager
def slopes(folder: Path, *, causal: bool) -> Iterator[Path]:
    """Make a family known meanwhile, and write a checkpoint of it: a BERT whose scores fall with distances (ALiBi).

    It has token types but no positions; or where it is causal, with a window in its second layer, positions but no
    token types.
    """

    def encoder(config: BertConfig) -> Encoder:
        whole = bert.encoder(config)
        gone: dict[str, Any] = {"token_types" if causal else "positions": None}
        layers = [
            layer._replace(
                attention=layer.attention._replace(
                    slopes=tuple(2.0 ** -(1 + head) for head in range(config.num_attention_heads)),
                    causal=causal,
                    window=30 if causal and number == 1 else 0,
                )
            )
            for number, layer in enumerate(whole.layers)
        ]
        return dataclasses.replace(whole, embeddings=whole.embeddings._replace(**gone), layers=tuple(layers))

    name = f"slopes-{causal}".lower()
    family = dataclasses.replace(bert.FAMILY, model_type=name, encoder=encoder, token_types=not causal)
    config = {**_COMMON, "model_type": name, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2}
    known = {**families._modules(), name: "slopes"}
    with (
        mock.patch.object(families, "_modules", return_value=known),
        mock.patch.dict("sys.modules", {f"{families.__name__}.slopes": SimpleNamespace(FAMILY=family)}),
    ):
        yield _write({**config, "num_attention_heads": 4}, folder)


def _write(config: Mapping[str, Any], folder: Path) -> Path:
    """Write a checkpoint in the names that families' own are brought to."""
    copy_model("encoder", folder)
    family = family_of(config, source="it")
    values = {**config, "architectures": [f"{family.classes}Model"]}
    (folder / "config.json").write_text(json.dumps(values), encoding="utf-8")
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for part in encoder_of(family.read_config(values)).parts():
        if isinstance(part, Linear):
            for name, rows in part.stored.items():
                arrays[f"{name}.weight"] = rng.normal(0, 0.2, size=(rows, part.K))
                arrays |= {f"{name}.bias": rng.normal(0, 0.2, size=rows)} if part.bias else {}
        elif isinstance(part, Norm):
            arrays[f"{part.stored}.weight"] = rng.normal(1 - part.offset, 0.2, size=part.size)
            arrays |= {f"{part.stored}.bias": rng.normal(0, 0.2, size=part.size)} if part.bias else {}
        else:
            arrays[f"{part.name}.weight"] = rng.normal(size=(part.rows, part.width))
    write_safetensors(folder / "model.safetensors", {name: each.astype(np.float32) for name, each in arrays.items()})
    return folder
