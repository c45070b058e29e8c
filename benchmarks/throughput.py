"""Throughput: texts to sentence vectors, tokenization included, on a corpus of real texts of mixed lengths.

::

    python -m benchmarks.throughput --model M.edgebert --source MODEL_DIR --texts stsb.csv --peers OUT_DIR

edgebert is given all texts at once and packs them without padding. A peer gets them sorted by length in padded
batches, as its users would write it, and is judged by its best batch size; its tokenizer is the same library,
which may use as many threads as the engine. Whole passes over the corpus are interleaved.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.accuracy import embed_request
from benchmarks.environment import print_environment
from benchmarks.latency import figure, numbers
from benchmarks.tables import print_table, show_progress, write_json
from benchmarks.texts import read_texts
from benchmarks.workers import Worker, add_peer_options, entries, open_workers, print_engines

__all__ = ["passes"]


def passes(
    workers: list[Worker], source: Path, texts: list[str], batches: list[int], rounds: int
) -> dict[tuple[str, int], list[float]]:
    """Time passes over the corpus, each engine and batch size in turn, `rounds` times.

    Returns
    -------
    dict of (str, int) to list of float
        (engine, batch size) -> seconds of each pass; edgebert's batch size is 0, it chooses its own.
    """
    seconds: dict[tuple[str, int], list[float]] = {}
    variants = [
        (worker, batch) for worker in workers for batch in ([0] if worker.entry.engine == "edgebert" else batches)
    ]
    warm = texts[:: max(1, len(texts) // 50)]
    for worker, batch in variants:
        worker.ask(**embed_request(source, warm, batch))
    for turn in range(rounds):
        for worker, batch in variants:
            show_progress(f"round {turn + 1} of {rounds}: {worker.entry.name}, batches of {batch or 'its own'}")
            answer = worker.ask(**embed_request(source, texts, batch))
            seconds.setdefault((worker.entry.name, batch), []).append(answer["seconds"])
    return seconds


def positive(text: str) -> int:
    """Read a whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 on")
    return number


def main() -> None:
    """Measure and print a table for each number of threads."""
    parser = argparse.ArgumentParser(description="Texts to vectors per second, tokenization included.")
    add_peer_options(parser)
    parser.set_defaults(engines="ort_int8,ort_int8_full")
    parser.add_argument("--source", type=Path, required=True, help="the Hugging Face folder of the same model")
    parser.add_argument("--texts", type=Path, required=True, help="one a line, a csv of pairs with scores, or a tab")
    parser.add_argument("--limit", type=positive, help="take so many texts, the first ones; default all")
    parser.add_argument("--batches", type=numbers, default=[1, 8, 32], help="of the peers; default 1,8,32")
    parser.add_argument("--threads", type=numbers, default=[1, 2], help="default 1,2")
    parser.add_argument("--rounds", type=int, default=3, help="passes over the corpus; default 3")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    environment = print_environment(args.hold)
    texts = read_texts(args.texts).texts[: args.limit]
    results = []
    for threads in args.threads:
        with open_workers(entries(args), threads) as workers:
            print_engines(workers)
            seconds = passes(workers, args.source, texts, args.batches, args.rounds)
        rates = {variant: len(texts) / figure(each) for variant, each in seconds.items()}
        own = rates["edgebert", 0]
        rows = []
        for name in dict.fromkeys(name for name, _ in rates):
            best = max((batch for engine, batch in rates if engine == name), key=lambda batch: rates[name, batch])
            rate = rates[name, best]
            others = ", ".join(f"{b}: {r:.0f}" for (e, b), r in rates.items() if e == name and b != best)
            rows.append([name, best or "its own", f"{rate:.0f}", f"{own / rate:.2f}", others])
        results += [
            {"engine": name, "batch": batch, "threads": threads, "texts_per_second": rate}
            for (name, batch), rate in rates.items()
        ]
        print(f"{len(texts)} texts of {args.texts.name}, threads={threads}\n")
        print_table(["engine", "batch", "texts/s", "edgebert's ratio", "texts/s at other batch sizes"], rows)
    write_json(args.json, environment, throughput=results)


if __name__ == "__main__":
    main()
