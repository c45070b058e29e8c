"""Make tiny models that have something unusual, and what transformers computes with them.

Run with torch and transformers 5.24 installed::

    python tools/make_golden_kinds.py tests/data/golden

Every folder of ``kinds`` is an ordinary Hugging Face folder, its weights random and float16, its tokenizer that of
another golden model, and one file more: ``outputs.npz`` (the last hidden states for some ids, each sequence alone, and
of a model with a head its logits, computed in float64). The ``odd`` ones have no default and nothing of each other
wherever that can be: whoever takes a default for what the config says gets something else.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path
from typing import Any

import jina_bert
import numpy as np
import torch
import transformers
from golden_kinds import HUB, KINDS, LAYOUT, POSITIONS, STRETCHED, WORDS_KEPT
from make_golden import rounded
from safetensors.torch import load_file, save_file


def as_on_the_hub(model_type: str, folder: Path) -> None:
    """Write a config.json as it was before the class came into transformers."""
    path = folder / "config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    base = values.pop("rope_parameters")["rope_theta"]
    values = {HUB[model_type].get(key, key): value for key, value in values.items()} | {"model_type": model_type}
    values.pop("head_dim", None)
    if model_type == "new":
        names = [name.replace("Gte", "New") for name in values["architectures"]]
        weights = folder / "model.safetensors"
        tensors = {re.sub(r"^gte\.", "new.", key): each for key, each in load_file(weights).items()}
        save_file(tensors, weights, {"format": "pt"})
        values |= {"architectures": names, "rope_theta": base, "position_embedding_type": "rope"}
        values |= {"rope_scaling": {"type": "ntk", "factor": STRETCHED}, "pack_qkv": True}
    else:
        values |= {"rotary_emb_base": base, "rotary_emb_fraction": 1.0, "prenorm": False}
        values |= dict.fromkeys(("qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias"), False)
        values["activation_function"] = {"silu": "swiglu"}[values.pop("hidden_act")]
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def stretch(model: Any) -> None:
    """Turn a model's positions as the type "ntk" does: of a larger base, and slower, for texts that are longer."""
    rotary, size = model.rotary_emb, model.config.hidden_size // model.config.num_attention_heads
    base = model.config.rope_parameters["rope_theta"] * STRETCHED
    frequencies = base ** -(torch.arange(0, size, 2, dtype=torch.float64) / size) / STRETCHED ** (2 / size)
    rotary.inv_freq = rotary.original_inv_freq = frequencies


def make(name: str, golden: Path, seed: int) -> int:
    """Write one folder; return its size in bytes."""
    kind, folder = KINDS[name], golden / "kinds" / name
    folder.mkdir(parents=True, exist_ok=True)
    origin = golden / "families" / kind.tokenizer
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(origin / file, folder / file)
    model_class = getattr(jina_bert, kind.model, None) or getattr(transformers, kind.model)
    vocabulary = transformers.AutoTokenizer.from_pretrained(origin)
    sizes = {**LAYOUT, "max_position_embeddings": POSITIONS, **kind.config, "vocab_size": len(vocabulary)}
    model = model_class(model_class.config_class(**sizes)).eval()
    generator = torch.Generator().manual_seed(seed)
    scale = 0.0 if name.startswith("gemma3") else 1.0  # what stands in Gemma's file is added to 1
    for parameter_name, parameter in model.named_parameters():
        middle = scale if parameter_name.lower().endswith("norm.weight") else 0.0
        values = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * kind.spread + middle
        parameter.data = values.to(parameter.dtype)
    rounded(model)
    model.half().save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    model = model_class.from_pretrained(folder, dtype=torch.float32).eval().double()  # what counts is in the files
    base = getattr(model, model.base_model_prefix, model)
    if kind.hub == "new":
        stretch(base)
    if kind.hub:
        as_on_the_hub(kind.hub, folder)
    arrays: dict[str, list[np.ndarray]] = {}

    def add(key: str, array: torch.Tensor) -> None:
        arrays.setdefault(key, []).append(array.numpy())

    with torch.inference_mode():
        for ids in kind.ids:
            batch = {"input_ids": torch.tensor([ids])}
            add("input_ids", batch["input_ids"][0].short())
            if kind.types > 1:
                batch["token_type_ids"] = torch.arange(len(ids))[None] * kind.types // len(ids)
                add("token_type_ids", batch["token_type_ids"][0].short())
            add("last_hidden_state", base(**batch).last_hidden_state[0].float())
            if base is not model:
                answer = model(**batch)
                logits = answer.prediction_logits if "prediction_logits" in answer else answer.logits
                add("logits", logits.reshape(-1, logits.shape[-1])[:WORDS_KEPT].float())
                if "seq_relationship_logits" in answer:
                    add("next_sentence_logits", answer.seq_relationship_logits.float())
    whole = {key: np.concatenate(parts) for key, parts in arrays.items() if parts}
    np.savez_compressed(folder / "outputs.npz", lengths=np.array([len(ids) for ids in kind.ids]), **whole)
    for path in folder.iterdir():
        path.chmod(0o644)
    return sum(path.stat().st_size for path in folder.iterdir())


def main() -> None:
    """Write all folders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("golden", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help="by default all")
    arguments = parser.parse_args()
    golden = arguments.golden
    transformers.logging.set_verbosity_error()
    for seed, name in enumerate(KINDS, start=200):
        if arguments.names and name not in arguments.names:
            continue
        print(f"{name}: {make(name, golden, seed):,} bytes")


if __name__ == "__main__":
    main()
