"""Scaling: cost per token against the size of the work, two threads against one, and cliffs between lengths.

::

    python -m benchmarks.scaling --model M.edgebert [--cliffs 8-128] [--plot scaling.png]

Only edgebert, from token ids to hidden states, whole calls of `Model.hidden_states`. Bursts of all variants are
interleaved; a figure is the 25th percentile of its bursts' medians.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from pathlib import Path

import edgebert
from benchmarks.environment import print_environment
from benchmarks.kernels import burst
from benchmarks.latency import figure, numbers
from benchmarks.tables import print_table, show_progress, write_json

__all__ = ["cliffs", "measure"]


def measure(calls: dict[str, Callable[[], object]], rounds: int, seconds: float) -> dict[str, float]:
    """Return the seconds of each call, measured in turn, `rounds` times, in bursts of so many seconds."""
    bursts: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds):
        for name, call in calls.items():
            show_progress(f"round {turn + 1} of {rounds}: {name}")
            bursts[name].append(burst(call, seconds))
    return {name: figure(each) for name, each in bursts.items()}


def cliffs(seconds: dict[int, float]) -> list[tuple[float, int]]:
    """Return how many times as long each length takes as the one before it, the largest first: (ratio, length)."""
    lengths = sorted(seconds)
    pairs = itertools.pairwise(lengths)
    return sorted(((seconds[after] / seconds[before], after) for before, after in pairs), reverse=True)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="Cost per token against the size of the work.")
    parser.add_argument("--model", type=Path, required=True, help="the .edgebert file")
    parser.add_argument("--lengths", type=numbers, default=[8, 16, 32, 64, 128, 256, 512], help="tokens of one text")
    parser.add_argument("--texts", type=numbers, default=[1, 2, 8, 32, 128, 512], help="texts of 16 tokens in a call")
    parser.add_argument("--threads", type=numbers, default=[1, 2], help="default 1,2")
    parser.add_argument("--cliffs", type=numbers, default=[], help="neighbouring lengths to compare, like 8-128")
    parser.add_argument("--rounds", type=int, default=7, help="bursts of each; default 7")
    parser.add_argument("--seconds", type=float, default=0.05, help="of a burst; default 0.05")
    parser.add_argument("--plot", type=Path, help="draw milliseconds per token (needs matplotlib)")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    environment = print_environment()
    models = {threads: edgebert.load(args.model, threads=threads) for threads in args.threads}
    cases = [(1, tokens) for tokens in args.lengths] + [(count, 16) for count in args.texts if count > 1]

    def caller(threads: int, count: int, tokens: int) -> Callable[[], object]:
        ids = [[1 + i % 900 for i in range(tokens)]] * count
        return lambda: models[threads].hidden_states(ids)

    calls = {f"{t} {c} {n}": caller(t, c, n) for c, n in cases for t in args.threads}
    seconds = measure(calls, args.rounds, args.seconds)
    rows, results = [], []
    for count, tokens in cases:
        own = [seconds[f"{threads} {count} {tokens}"] for threads in args.threads]
        per_token = [1e3 * each / count / tokens for each in own]
        ratios = [f"{own[0] / each:.2f}" for each in own[1:]]
        rows.append([f"{count} x {tokens}", *(f"{each:.4f}" for each in per_token), *ratios])
        results.append({"texts": count, "tokens": tokens, "seconds": dict(zip(args.threads, own, strict=True))})
    header = [f"ms per token, {threads} thread{'s' * (threads > 1)}" for threads in args.threads]
    print_table(["texts x tokens", *header, *(f"{t} over {args.threads[0]}" for t in args.threads[1:])], rows)
    worst: dict[int, list[tuple[float, int]]] = {}
    for threads in args.threads if args.cliffs else []:
        calls = {str(tokens): caller(threads, 1, tokens) for tokens in args.cliffs}
        found = measure(calls, args.rounds, args.seconds / 2)
        worst[threads] = cliffs({int(name): each for name, each in found.items()})
        listed = ", ".join(f"{ratio:.3f} at {length}" for ratio, length in worst[threads][:5])
        print(f"threads={threads}: time over that of one token less, at most: {listed}\n")
    if args.plot:
        _plot(args.plot, results, args.threads)
    write_json(args.json, environment, scaling=results, cliffs=worst)


def _plot(path: Path, results: list[dict], threads: list[int]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure_, axes = pyplot.subplots(1, 2, figsize=(10, 3.8), sharey=True)
    for panel, key, what in ((axes[0], "tokens", "tokens of one text"), (axes[1], "texts", "texts of 16 tokens")):
        own = [r for r in results if (r["texts"] == 1 if key == "tokens" else r["tokens"] == 16)]
        for count in threads:
            values = [1e3 * r["seconds"][count] / r["texts"] / r["tokens"] for r in own]
            panel.plot([r[key] for r in own], values, marker="o", label=f"{count} thread{'s' * (count > 1)}")
        panel.set(xscale="log", xlabel=what)
        panel.grid(alpha=0.3)
    axes[0].set(ylabel="milliseconds per token", ylim=(0, None))
    axes[0].legend()
    figure_.tight_layout()
    figure_.savefig(path, dpi=100)
    pyplot.close(figure_)


if __name__ == "__main__":
    main()
