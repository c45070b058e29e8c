"""Sizes of models that people run, and what each takes: of its file, and for one text.

::

    python -m benchmarks.shapes [--shapes bert-base,modernbert-base] [--tokens 128]

The models have random weights, and are written without a conversion (`benchmarks.random_bert`): neither the size of
the file nor the time of a pass depends on what the weights are.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import print_environment
from benchmarks.latency import figure, numbers
from benchmarks.tables import print_table, show_progress, write_json

__all__ = ["SHAPES"]

_MODERNBERT = {
    "model_type": "modernbert",
    "vocab_size": 50368,
    "max_position_embeddings": 8192,
    "local_attention": 128,
    "global_attn_every_n_layers": 3,
    "global_rope_theta": 160000.0,
    "local_rope_theta": 10000.0,
}
_BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
_DEBERTA = {
    "model_type": "deberta-v2",
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
}
_LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}

SHAPES: dict[str, dict[str, Any]] = {
    "minilm-l6": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
    "minilm-l12": {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 1536},
    "distilbert": {**_BASE, "num_hidden_layers": 6},
    "bert-base": _BASE,
    "bert-large": _LARGE,
    "xlm-roberta-base": {**_BASE, "vocab_size": 250002},
    "xlm-roberta-large": {**_LARGE, "vocab_size": 250002},
    "modernbert-base": {
        **_MODERNBERT,
        "hidden_size": 768,
        "num_hidden_layers": 22,
        "num_attention_heads": 12,
        "intermediate_size": 1152,
    },
    "modernbert-large": {
        **_MODERNBERT,
        "hidden_size": 1024,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "intermediate_size": 2624,
    },
    "deberta-v3-small": {**_DEBERTA, **_BASE, "num_hidden_layers": 6},
    "deberta-v3-base": {**_DEBERTA, **_BASE},
    "nomic-embed": {
        **_BASE,
        "model_type": "nomic_bert",
        "vocab_size": 30528,
        "type_vocab_size": 2,
        "max_position_embeddings": 2048,
        "hidden_act": "silu",
        "rope_theta": 1000.0,
    },
    "gte-multilingual": {
        **_BASE,
        "model_type": "new",
        "vocab_size": 250048,
        "type_vocab_size": 1,
        "max_position_embeddings": 8192,
        "position_embedding_type": "rope",
        "rope_theta": 20000.0,
        "rope_scaling": {"type": "ntk", "factor": 8.0},
        "pack_qkv": True,
    },
    "eurobert-210m": {
        **_BASE,
        "model_type": "eurobert",
        "vocab_size": 128256,
        "num_key_value_heads": 12,
        "max_position_embeddings": 8192,
        "rope_theta": 250000.0,
    },
    "embeddinggemma": {
        "model_type": "gemma3_text",
        "hidden_size": 768,
        "num_hidden_layers": 24,
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "head_dim": 256,
        "intermediate_size": 1152,
        "vocab_size": 262144,
        "max_position_embeddings": 2048,
        "sliding_window": 512,
        "layer_types": [*["sliding_attention"] * 5, "full_attention"] * 4,
        "query_pre_attn_scalar": 256,
        "rope_theta": 1000000.0,
        "rope_local_base_freq": 10000.0,
        "use_bidirectional_attention": True,
    },
    "qwen3-0.6b": {
        "model_type": "qwen3",
        "hidden_size": 1024,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 3072,
        "vocab_size": 151669,
        "max_position_embeddings": 32768,
        "rope_theta": 1000000.0,
    },
    "tiny": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64},
}
"""Name -> what makes it, in Hugging Face's names; a BERT, unless it says otherwise."""


def main() -> None:
    """Measure each shape by itself, and print a table."""
    import edgebert
    from benchmarks.random_bert import write_random_artifact

    parser = argparse.ArgumentParser(description="Size and latency of models by their shape.")
    parser.add_argument("--shapes", default=",".join(name for name in SHAPES if name != "tiny"))
    parser.add_argument("--tokens", type=numbers, default=[128], help="of one text; default 128")
    parser.add_argument("--threads", type=numbers, default=[1, 2], help="default 1,2")
    parser.add_argument("--rounds", type=int, default=15, help="default 15")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    environment = print_environment()
    names = args.shapes.split(",")
    if unknown := set(names) - set(SHAPES):
        parser.error(f"there is no shape {', '.join(sorted(unknown))}; there are {', '.join(SHAPES)}")
    columns = [(tokens, threads) for tokens in args.tokens for threads in args.threads]
    rows, results = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = Path(folder, "m.edgebert")
            write_random_artifact(path, SHAPES[name])
            found = []
            for tokens, threads in columns:
                model = edgebert.load(path, threads=threads)
                found.append(_milliseconds(model, tokens, args.rounds))
                parameters = model.info["parameters"]
                del model
                show_progress(f"{name}, {tokens} tokens")
            rows.append(
                [
                    name,
                    f"{parameters / 1e6:.0f}",
                    f"{path.stat().st_size / 1e6:.0f}",
                    *(f"{each:.1f}" for each in found),
                ]
            )
            results.append({"shape": name, "bytes": path.stat().st_size, "milliseconds": found})
    headers = [f"{tokens} tokens, {threads} thread{'s' * (threads > 1)}" for tokens, threads in columns]
    print_table(["shape", "million parameters", "MB in int8", *headers], rows)
    write_json(args.json, environment, shapes=results, columns=columns)


def _milliseconds(model: Any, tokens: int, rounds: int) -> float:
    ids = [np.random.default_rng(tokens).integers(1, 30000, size=tokens).tolist()]
    seconds = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        model.hidden_states(ids)
        seconds.append(time.perf_counter() - begin)
    return 1e3 * figure(seconds[1:])


if __name__ == "__main__":
    main()
