"""Profile: microseconds of each stage of a forward pass, batch 1.

::

    python -m benchmarks.profile --model M.edgebert

A figure is the median of the passes that took least, half of them all, summed over the layers. Beside the matmuls,
attention and the whole pass stand the multiplications that they do in a second, and which share that is of the peak:
of a loop of dot products on registers (`benchmarks.peak`), measured between the passes, times the threads. Layers of
two int16 steps have their own peak. Attention counts each product once, though its softmax's numerators take two.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.environment import print_environment
from benchmarks.kernels import PEAK_ROUNDS, burst
from benchmarks.latency import figure, numbers
from benchmarks.peak import Peak
from benchmarks.tables import percent_of_peak, print_table, write_json
from edgebert.architecture import Encoder
from edgebert.batch import pack
from edgebert.engine.encoder import CompiledEncoder
from edgebert.engine.library import load_library
from edgebert.engine.processor import choose_family
from edgebert.families import encoder_of
from edgebert.kernels.simd.families import FAMILIES
from edgebert.model_file import ModelFile
from edgebert.steps import Attend, linear_of, steps

__all__ = ["deep_shares", "least_seconds", "macs_of", "stage_seconds"]

BETWEEN = 10
"""Passes between two measurements of the peak."""


def macs_of(encoder: Encoder, tokens: int) -> dict[str, int]:
    """Return the multiplications of each stage that has many, of all layers, for one sequence."""
    macs: dict[str, int] = defaultdict(int)
    for step in steps(encoder):
        linear = linear_of(step)
        if linear:
            macs[step.name] += tokens * linear.N * linear.K
        elif isinstance(step, Attend):
            macs[step.name] += 2 * tokens * tokens * encoder.hidden_size
    return macs


def deep_shares(encoder: Encoder, tensors: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return which share of each stage's multiplications is done by layers of two int16 steps."""
    deep = defaultdict(list)
    for step in steps(encoder):
        linear = linear_of(step)
        if linear:
            deep[step.name].append(tensors[f"{linear.name}.depth"][0] == 2)
    return {name: float(np.mean(values)) for name, values in deep.items()}


def stage_seconds(
    encoder: CompiledEncoder, ids: list[int], passes: int, between: Callable[[], object]
) -> dict[str, float]:
    """Return the seconds of each stage, summed over the layers; `between` is called from time to time."""
    batch = pack([ids], padding=encoder.config.padding)
    profiles = []
    for i in range(passes + 3):
        if i % BETWEEN == 0:
            between()
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
    file = ModelFile(args.model)
    config, family = file.info.config, choose_family()
    architecture = encoder_of(config)
    library = load_library(family)
    peaks = [Peak(family, int16_steps) for int16_steps in FAMILIES[family].tiles]
    shares = deep_shares(architecture, file.tensors)
    results = []
    for threads in args.threads:
        encoder = CompiledEncoder(config, file.tensors, library, threads, max(args.lengths))
        columns: dict[int, dict[str, float]] = {}
        rates: dict[int, list[float]] = {}
        for n in args.lengths:
            bursts: list[list[float]] = [[] for _ in peaks]
            measure_peaks = partial(_time_peaks, peaks, bursts)
            columns[n] = stage_seconds(encoder, [1 + i % 900 for i in range(n)], args.passes, measure_peaks)
            rates[n] = [
                threads * peak.macs(PEAK_ROUNDS) / figure(own) / 1e9 for peak, own in zip(peaks, bursts, strict=True)
            ]
        rows = []
        for name in next(iter(columns.values())):
            cells = []
            for tokens, stages in columns.items():
                seconds, macs = stages[name], macs_of(architecture, tokens).get(name, 0)
                least = least_seconds(macs, shares.get(name, 0), rates[tokens])
                cells.append(_cell(seconds, macs, least, seconds / sum(stages.values())))
                results.append({"threads": threads, "tokens": tokens, "stage": name, "s": seconds, "macs": macs})
            rows.append([name, *cells])
        whole = []
        for tokens, stages in columns.items():
            macs_by_stage = macs_of(architecture, tokens)
            least = sum(least_seconds(macs, shares.get(name, 0), rates[tokens]) for name, macs in macs_by_stage.items())
            whole.append(_cell(sum(stages.values()), sum(macs_by_stage.values()), least))
        rows.append(["all", *whole])
        for i, peak in enumerate(peaks):
            rows.append(
                [f"peak of int16 steps {peak.int16_steps}, GMAC/s", *(f"{own[i]:.0f}" for own in rates.values())]
            )
        results += [{"threads": threads, "tokens": n, "peaks_gmac_per_s": own} for n, own in rates.items()]
        print(f"microseconds (share of all, GMAC/s, share of peak), threads={threads}, family={family}\n")
        print_table(["stage", *(f"{tokens} tokens" for tokens in columns)], rows)
    write_json(args.json, environment, profile=results)


def _time_peaks(peaks: Sequence[Peak], bursts: Sequence[list[float]]) -> None:
    for peak, own in zip(peaks, bursts, strict=True):
        own.append(burst(partial(peak, PEAK_ROUNDS), 0))


def least_seconds(macs: int, deep: float, rates: Sequence[float]) -> float:
    """Return what multiplications would take at their peaks, a share `deep` of them at that of two int16 steps."""
    return macs * ((1 - deep) / rates[0] + deep / rates[-1]) / 1e9


def _cell(seconds: float, macs: int, least: float, share: float | None = None) -> str:
    """Write the time of a stage, and what is to be known of it."""
    notes = [] if share is None else [f"{100 * share:.0f} %"]
    if macs:
        rate = macs / seconds / 1e9
        notes.append(f"{rate:.0f} GMAC/s, {percent_of_peak(least / seconds)}")
    return f"{1e6 * seconds:.0f} ({', '.join(notes)})"


if __name__ == "__main__":
    main()
