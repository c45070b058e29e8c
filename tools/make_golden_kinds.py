"""Make tiny models that have something unusual, and what transformers computes with them.

Run with torch and transformers 5.24 installed::

    python tools/make_golden_kinds.py tests/data/golden

Every folder of ``kinds`` is an ordinary Hugging Face folder, its weights random and float16, its tokenizer that of
another golden model, and one file more: ``outputs.npz`` (the last hidden states for some ids, each sequence alone, and
of a model with a head its logits, computed in float64).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers

LAYOUT = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40}
POSITIONS = 40
WORDS_KEPT = 2
"""Tokens of each sequence whose logits are kept."""
SPREAD = 0.25
"""Standard deviation of the weights: an activation then reaches well beyond the bend at 0."""


class Kind(NamedTuple):
    """A model to make: its class, where its tokenizer comes from, its config, the ids that it is asked."""

    model: str
    tokenizer: str
    config: dict[str, Any]
    ids: list[list[int]]


PADDED = [[0, 20, 1, 30, 1, 1, 40, 2], [1, 1, 1], [0, 50, 60, 2, 2, 7, 5, 1], [0, 1, 21, 22, 5, 2]]
PLAIN = [[2, 20, 30, 40, 50, 3], [2, 3], [2, *range(5, 35), 3]]
KINDS = {
    # The padding in places where no padding is.
    "roberta-padding": Kind("RobertaModel", "roberta-token", {"pad_token_id": 1}, PADDED),
    # Every text begins with the token that the config takes for padding.
    "xlm-roberta-padding": Kind("XLMRobertaModel", "xlm-roberta-token", {"pad_token_id": 0}, PADDED),
    # MPNet's padding is 1, whatever the config says.
    "mpnet-padding": Kind("MPNetModel", "mpnet-token", {"pad_token_id": 5}, PADDED),
    "bert-relu": Kind("BertForMaskedLM", "bert-masked", {"hidden_act": "relu"}, PLAIN),
    "bert-silu": Kind("BertForMaskedLM", "bert-masked", {"hidden_act": "silu"}, PLAIN),
}


def make(name: str, golden: Path, seed: int) -> int:
    """Write one folder; return its size in bytes."""
    kind, folder = KINDS[name], golden / "kinds" / name
    folder.mkdir(parents=True, exist_ok=True)
    origin = golden / "families" / kind.tokenizer
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(origin / file, folder / file)
    model_class = getattr(transformers, kind.model)
    vocabulary = transformers.AutoTokenizer.from_pretrained(origin)
    sizes = LAYOUT | kind.config | {"vocab_size": len(vocabulary), "max_position_embeddings": POSITIONS}
    model = model_class(model_class.config_class(**sizes)).eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter_name, parameter in model.named_parameters():
        middle = 1.0 if parameter_name.endswith("LayerNorm.weight") else 0.0
        values = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * SPREAD + middle
        parameter.data = values.to(parameter.dtype)
    model = model.half().double()
    base = getattr(model, model.base_model_prefix, model)
    arrays: dict[str, list[np.ndarray]] = {"input_ids": [], "last_hidden_state": [], "logits": []}
    with torch.inference_mode():
        for ids in kind.ids:
            batch = torch.tensor([ids])
            arrays["input_ids"].append(np.array(ids, np.int16))
            arrays["last_hidden_state"].append(base(batch).last_hidden_state[0].float().numpy())
            if base is not model:
                arrays["logits"].append(model(batch).logits[0, :WORDS_KEPT].float().numpy())
    whole = {key: np.concatenate(parts) for key, parts in arrays.items() if parts}
    np.savez_compressed(folder / "outputs.npz", lengths=np.array([len(ids) for ids in kind.ids]), **whole)
    model.half().save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    for path in folder.iterdir():
        path.chmod(0o644)
    return sum(path.stat().st_size for path in folder.iterdir())


def main() -> None:
    """Write all folders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("golden", type=Path)
    golden = parser.parse_args().golden
    transformers.logging.set_verbosity_error()
    for seed, name in enumerate(KINDS, start=200):
        print(f"{name}: {make(name, golden, seed):,} bytes")


if __name__ == "__main__":
    main()
