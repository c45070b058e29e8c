"""Profile: microseconds of each stage of a forward pass, batch 1.

::

    python -m benchmarks.profile --model M.edgebert

A figure is the median of the passes that took least, half of them all, summed over the layers. Beside the matmuls and
attention stand the multiplications that they do in a second.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.environment import print_environment
from benchmarks.latency import numbers
from benchmarks.tables import print_table, write_json
from edgebert.batch import pack
from edgebert.config import BertConfig
from edgebert.description import Description
from edgebert.engine.encoder import Encoder
from edgebert.engine.library import load_library
from edgebert.engine.processor import choose_family

__all__ = ["macs_of", "stage_seconds"]


def macs_of(config: BertConfig, tokens: int) -> dict[str, int]:
    """Return the multiplications of each stage that has many, of all layers, for one sequence."""
    H, I = config.hidden_size, config.intermediate_size  # noqa: E741 (the field's own name)
    layer = {
        "query_key_value": 3 * H * H,
        "attend": 2 * tokens * H,
        "attention_output": H * H,
        "feed_forward": H * I,
        "output": I * H,
    }
    return {name: config.num_hidden_layers * tokens * macs for name, macs in layer.items()}


def stage_seconds(encoder: Encoder, ids: list[int], passes: int) -> dict[str, float]:
    """Return the seconds of each stage, summed over the layers."""
    batch = pack([ids])
    profiles = []
    for _ in range(passes + 3):
        stages: dict[str, float] = defaultdict(float)
        for name, seconds in encoder.profile(batch):
            stages[name] += seconds
        profiles.append(stages)
    quick = sorted(profiles[3:], key=lambda stages: sum(stages.values()))[: max(1, passes // 2)]
    return {name: float(np.median([stages[name] for stages in quick])) for name in quick[0]}


def main() -> None:
    """Measure and print a table for each number of threads."""
    parser = argparse.ArgumentParser(description="Microseconds of each stage of a forward pass.")
    parser.add_argument("--model", type=Path, required=True, help="the .edgebert file")
    parser.add_argument("--lengths", type=numbers, default=[8, 32, 128, 512], help="tokens; default 8,32,128,512")
    parser.add_argument("--threads", type=numbers, default=[1, 2], help="default 1,2")
    parser.add_argument("--family", help="instruction family to force")
    parser.add_argument("--passes", type=int, default=60, help="forward passes; default 60")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    if args.family:
        os.environ["EDGEBERT_FAMILY"] = args.family
    environment = print_environment()
    description = Description(args.model)
    config, family = description.config, choose_family()
    library = load_library(family)
    results = []
    for threads in args.threads:
        encoder = Encoder(config, description.tensors, library, threads, max(args.lengths))
        columns = {n: stage_seconds(encoder, [1 + i % 900 for i in range(n)], args.passes) for n in args.lengths}
        rows = []
        for name in next(iter(columns.values())):
            cells = []
            for tokens, stages in columns.items():
                seconds, macs = stages[name], macs_of(config, tokens).get(name, 0)
                share = 100 * seconds / sum(stages.values())
                rate = f", {macs / seconds / 1e9:.0f} GMAC/s" if macs else ""
                cells.append(f"{1e6 * seconds:.0f} ({share:.0f} %{rate})")
                results.append({"threads": threads, "tokens": tokens, "stage": name, "s": seconds, "macs": macs})
            rows.append([name, *cells])
        rows.append(["all", *(f"{1e6 * sum(stages.values()):.0f}" for stages in columns.values())])
        print(f"microseconds, threads={threads}, family={family}\n")
        print_table(["stage", *(f"{tokens} tokens" for tokens in columns)], rows)
    write_json(args.json, environment, profile=results)


if __name__ == "__main__":
    main()
