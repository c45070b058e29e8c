"""Make tiny models in the layout of GLiNER (arXiv 2311.08526), and what its library finds with them.

Run with torch, transformers 5 and gliner 0.2.29 installed::

    python tools/make_golden_gliner.py tests/data/golden tests/data/golden/gliner

``span`` scores spans, behind a smaller projection and an LSTM; ``span-plain`` has neither, and takes the token behind a
marker for its label; ``token`` scores tokens, behind an LSTM of two layers. Every folder has ``expected.npz``, the
logits of each text with `LABELS`, and ``expected.json``, the spans that are found so; ``texts.json`` has what was
asked. The weights are random.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from gliner import GLiNER
from make_golden import fill, write_json
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, DebertaV2Config, ModernBertConfig

LABELS = ["person", "film", "place to be"]
DESCRIBED = {"PER": "who it is", "FILM": "what was seen"}
TEXTS = [
    "Alice liked the film, but Bob-Ray did not: no plot_twist at all!",
    "A very good story by C. Doe (2024) in the cafe",
    "a",
    "",
    " \n",
    "Caf\u00e9 Stra\u00dfe \u4e2d\u6587\u7535\u5f71 \u0301x na\u00efve\u2014good",
]
THRESHOLD = 0.4


def encoders() -> dict[str, tuple[str, Any]]:
    """Return name of a golden folder -> the tokenizer that is taken from it, and the config of the encoder."""
    deberta = DebertaV2Config(
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=64,
        max_position_embeddings=96,
        relative_attention=True,
        position_buckets=8,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        type_vocab_size=0,
        layer_norm_eps=1e-7,
    )
    modern = ModernBertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=96,
        local_attention=16,
        global_attn_every_n_layers=2,
    )
    return {
        "deberta": ("families/xlm-roberta-classifier", deberta),
        "modernbert": ("families/modernbert-token", modern),
    }


VARIANTS: dict[str, tuple[str, float, dict[str, Any]]] = {
    "span": ("deberta", 1.3, {"hidden_size": 32, "max_width": 5, "num_rnn_layers": 1, "span_mode": "markerV0"}),
    "span-plain": (
        "deberta",
        0.7,
        {"hidden_size": 48, "max_width": 3, "num_rnn_layers": 0, "span_mode": "markerV0", "max_len": 9}
        | {"embed_ent_token": False, "ent_token": "<<E>>", "sep_token": "<<S>>"},
    ),
    "token": (
        "modernbert",
        2.6,
        {"hidden_size": 32, "num_rnn_layers": 2, "span_mode": "token_level", "max_width": 100},
    ),
}
"""Folder -> its encoder, by what the weights behind it are multiplied, or else no score would be sure; its settings."""


def save_encoder(golden: Path, place: str, config: Any, folder: Path, seed: int) -> None:
    """Save an encoder with random weights, and a tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(golden / place)
    tokenizer.model_max_length = 96
    config.vocab_size = len(tokenizer)
    for name in ("pad", "bos", "eos", "cls", "sep"):
        setattr(config, f"{name}_token_id", getattr(tokenizer, f"{name}_token_id") or 0)
    model = AutoModel.from_config(config)
    fill(model, seed=seed)
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def make(folder: Path, base: Path, factor: float, settings: dict[str, Any], seed: int) -> None:
    """Save a model on an encoder, in float16."""
    model = GLiNER.from_config(
        {"model_name": str(base), "dropout": 0.1, **settings},
        backbone_from_pretrained=True,
        resize_token_embeddings=True,
    )
    for i, (name, module) in enumerate(model.model.named_children()):
        if name != "token_rep_layer":
            fill(module, seed=seed + i)
            for parameter in module.parameters():
                parameter.data *= factor
    if hasattr(model.model, "scorer"):
        model.model.scorer.out_mlp[3].bias.data += 1.5  # three scores have to be high at once
    if hasattr(model.model.token_rep_layer, "projection"):
        fill(model.model.token_rep_layer.projection, seed=seed + 9)
    model.half().save_pretrained(folder, safe_serialization=True)
    config = json.loads((folder / "gliner_config.json").read_text(encoding="utf-8"))
    config["model_name"] = config["encoder_config"]["_name_or_path"] = "tiny/encoder"
    write_json(folder / "gliner_config.json", config)
    tensors = {name: tensor.half().contiguous() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def expect(folder: Path) -> None:
    """Compute what the library finds, each text alone, in float32."""
    model = GLiNER.from_pretrained(str(folder), local_files_only=True).float().eval()
    arrays, found = {}, []
    for i, text in enumerate(TEXTS):
        prepared = model.prepare_batch([text], LABELS)
        if prepared["input_x"]:
            collated = model.collate_batch(prepared["input_x"], prepared["entity_types"])
            arrays[f"logits_{i}"] = model.run_batch(collated)[0][0].numpy()
        options = {"flat": {}, "nested": {"flat_ner": False}, "several": {"flat_ner": False, "multi_label": True}}
        threshold = {"threshold": THRESHOLD}
        found.append({name: model.predict_entities(text, LABELS, **threshold, **own) for name, own in options.items()})
        found[-1]["described"] = model.predict_entities(text, DESCRIBED, **threshold)
    np.savez_compressed(folder / "expected.npz", **arrays)
    write_json(folder / "expected.json", found)


def main() -> None:
    """Write all folders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("golden", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for i, (kind, (place, config)) in enumerate(encoders().items()):
            save_encoder(arguments.golden, place, config, Path(name, kind), 500 + i)
        for i, (variant, (kind, factor, settings)) in enumerate(VARIANTS.items()):
            target = arguments.output / variant
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            make(target, Path(name, kind), factor, settings, 640 + 10 * i)
            expect(target)
    texts = {"texts": TEXTS, "labels": LABELS, "described": DESCRIBED, "threshold": THRESHOLD}
    write_json(arguments.output / "texts.json", texts)
    sizes = [path.stat().st_size for path in arguments.output.rglob("*") if path.is_file()]
    print(f"{len(sizes)} files, {sum(sizes):,} bytes")


if __name__ == "__main__":
    main()
