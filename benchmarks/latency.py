"""Latency, batch 1: token ids to hidden states, edgebert and its peers interleaved in one run.

::

    python -m benchmarks.latency --model M.edgebert --peers OUT_DIR --peer-python peers/bin/python

Every engine sits in its own process and is asked in turn for a short burst of forward passes. Passes that had to wait
for a processor are put aside (on Linux, which counts that); a burst counts by the median of the others, and an
engine's figure is the 25th percentile of its bursts. A figure marked ``~`` had no undisturbed pass at all. Ratios are a
peer's figure divided by edgebert's: above 1 edgebert is faster.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.environment import print_environment
from benchmarks.tables import print_table, show_progress, write_json
from benchmarks.workers import Worker, add_peer_options, entries, open_workers, print_engines
from edgebert.artifact import read_artifact

__all__ = ["Burst", "bursts", "engine_figure", "figure", "judge", "numbers"]

LENGTHS = "8,16,32,64,128,256,512"

ATTEMPTS = 4
"""Times that a burst is asked for until something in it was quiet."""

DISTURBED = 0.01
"""Share of a pass that its threads may wait for a processor together; handing over between own threads takes less."""


def numbers(text: str) -> list[int]:
    """Read ``8,16,32-35`` as [8, 16, 32, 33, 34, 35]."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        try:
            found += range(int(first), int(last or first) + 1)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{part!r} is no number and no range like 8-128") from None
    if not found or min(found) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} names no numbers from 1 on")
    return found


class Burst(NamedTuple):
    """Some forward passes of one engine in a row.

    Attributes
    ----------
    seconds : float
        Median of the passes that hardly waited for a processor; of all when there are none.
    quiet : bool
        Whether there were such passes.
    """

    seconds: float
    quiet: bool


def bursts(workers: list[Worker], ids: list[int], rounds: int, seconds: float) -> list[list[Burst]]:
    """Ask every worker in turn, `rounds` times, for a burst of forward passes; again when nothing in it was quiet.

    Returns
    -------
    list of list of Burst
        For each worker.
    """
    found: list[list[Burst]] = [[] for _ in workers]
    for turn in range(rounds):
        # Another engine begins each round: none has always the same one's caches to clear.
        for i in range(len(workers)):
            at = (turn + i) % len(workers)
            for _ in range(ATTEMPTS):
                answer = workers[at].ask(op="time", ids=[ids], seconds=seconds)
                burst = judge(answer["seconds"], answer["waits"])
                if burst.quiet:
                    break
            found[at].append(burst)
    return found


def judge(seconds: list[float], waits: list[float]) -> Burst:
    """Put aside the passes that waited for a processor."""
    times = np.array(seconds)
    quiet = np.array(waits) <= DISTURBED * times
    return Burst(float(np.median(times[quiet] if quiet.any() else times)), bool(quiet.any()))


def engine_figure(found: list[Burst]) -> Burst:
    """Return what stands for an engine: the figure of its quiet bursts, or of all when it has none."""
    quiet = [burst.seconds for burst in found if burst.quiet]
    return Burst(figure(quiet or [burst.seconds for burst in found]), bool(quiet))


def figure(seconds: list[float]) -> float:
    """Return the figure that stands for repeated measurements on a machine that others use."""
    return float(np.percentile(seconds, 25))


def main() -> None:
    """Measure and print a table for each number of threads."""
    parser = argparse.ArgumentParser(description="Latency of one sequence, edgebert and its peers in one run.")
    add_peer_options(parser)
    parser.add_argument("--lengths", type=numbers, default=numbers(LENGTHS), help=f"tokens; default {LENGTHS}")
    parser.add_argument("--threads", type=numbers, default=[1, 2], help="default 1,2")
    parser.add_argument("--families", default="", help="instruction families of edgebert to force, a column each")
    parser.add_argument("--rounds", type=int, default=15, help="bursts of each engine; default 15")
    parser.add_argument("--seconds", type=float, default=0.1, help="of a burst, at least; default 0.1")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    if args.hold and args.families:
        parser.error("--hold chooses edgebert's family too, it cannot be combined with --families")
    environment = print_environment(args.hold)
    chosen = entries(args, [name for name in args.families.split(",") if name])
    vocab_size = read_artifact(args.model).json("config")["vocab_size"]
    results = []
    for threads in args.threads:
        rows = []
        with open_workers(chosen, threads) as workers:
            print_engines(workers)
            names = [worker.entry.name for worker in workers]
            for length in args.lengths:
                ids = np.random.default_rng(length).integers(vocab_size, size=length).tolist()
                measured = bursts(workers, ids, args.rounds, args.seconds)
                figures = [engine_figure(each) for each in measured]
                results += [
                    {"engine": name, "threads": threads, "tokens": length, **each._asdict()}
                    for name, each in zip(names, figures, strict=True)
                ]
                marks = ["" if each.quiet else "~" for each in figures]
                first = figures[0].seconds
                cells = [
                    f"{mark}{1e3 * each.seconds:.2f} ({each.seconds / first:.2f})"
                    for mark, each in zip(marks[1:], figures[1:], strict=True)
                ]
                rows.append([length, f"{marks[0]}{1e3 * first:.2f}", *cells])
                show_progress(f"{length} tokens, {threads} threads")
        print(f"milliseconds (ratio to edgebert), threads={threads}\n")
        print_table(["tokens", *names], rows)
    write_json(args.json, environment, latency=results)


if __name__ == "__main__":
    main()
