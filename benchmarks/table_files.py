"""Texts a second through ``edgebert classify`` on a CSV and a Parquet file, beside `Model.classify` on a list.

The rows are short texts. Each way runs in a process of its own, in turn, several times; the best of each counts. CPU is
the time of all threads for a text, which other programs disturb less than the speed.
Memory is the most that a process had resident: it must not grow with the rows.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.environment import describe_environment, print_environment
from benchmarks.tables import print_table, show_progress, write_json

__all__ = ["main"]

_WORDS = [
    "film",
    "kettle",
    "service",
    "actor",
    "looks",
    "was",
    "good",
    "bad",
    "slow",
    "never",
    "and",
    "the",
    "not",
    "I",
]
_WAYS = ("list", "csv", "parquet", "jsonl")


def main() -> None:
    """Measure all ways, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--model", help="an .edgebert file with a classifier; by default the one for sentiment")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=_WAYS, default=_WAYS, help="beside the list, which always counts")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--way", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(json.dumps(_run_way(args.way[0], Path(args.way[1]), args.model, args.threads)))
        return
    print_environment()
    results = {rows: _measure(rows, args) for rows in args.rows}
    print_table(
        ["rows, from", "texts/s", "of the list's", "CPU, us/text", "resident, MB"],
        [
            [
                f"{rows:,}, {way}",
                f"{rows / found[way]['seconds']:,.0f}",
                f"{found['list']['seconds'] / found[way]['seconds']:.3f}",
                f"{1e6 * found[way]['cpu_seconds'] / rows:.0f}",
                f"{found[way]['resident_mb']:.0f}",
            ]
            for rows, found in results.items()
            for way in found
        ],
    )
    write_json(args.json, describe_environment(), rows=results)


def _measure(rows: int, args: argparse.Namespace) -> dict[str, dict[str, float]]:
    best: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        _write_files(Path(folder), rows)
        for run in range(args.runs):
            for way in dict.fromkeys(["list", *args.ways]):  # in turn, so that what else the computer does meets all
                show_progress(f"{rows:,} rows, run {run + 1}: {way}")
                options = ["--model", args.model] if args.model else []
                options += ["--threads", str(args.threads)] if args.threads else []
                command = [sys.executable, "-m", "benchmarks.table_files", "--way", way, folder, *options]
                found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
                if way not in best or found["seconds"] < best[way]["seconds"]:
                    best[way] = found
    return best


def _write_files(folder: Path, rows: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = random.Random(5)
    ids, stars = list(range(rows)), [draw.randint(1, 5) for _ in range(rows)]
    texts = [" ".join(draw.choices(_WORDS, k=draw.randint(4, 16))) + "." for _ in range(rows)]
    with (folder / "in.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "stars", "text"])
        writer.writerows(zip(ids, stars, texts, strict=True))
    with (folder / "in.jsonl").open("w", encoding="utf-8") as file:
        for i, star, text in zip(ids, stars, texts, strict=True):
            file.write(json.dumps({"id": i, "stars": star, "text": text}) + "\n")
    pq.write_table(pa.table({"id": ids, "stars": stars, "text": texts}), folder / "in.parquet")


def _run_way(way: str, folder: Path, model: str | None, threads: int | None) -> dict[str, float]:
    """Label all texts in one way; what the process does once, such as loading, is not timed."""
    import edgebert

    loaded = edgebert.load(model, threads=threads)
    loaded.classify(["Warm up."])
    work: Callable[[], object]
    if way == "list":
        with (folder / "in.csv").open(encoding="utf-8", newline="") as file:
            texts = [row["text"] for row in csv.DictReader(file)]

        def work() -> object:
            return loaded.classify(texts)

    else:
        from edgebert.cli.classify import classify

        options = ["-m", model] if model else []
        options += [f"--threads={threads}"] if threads else []
        arguments = [str(folder / f"in.{way}"), "-o", str(folder / f"out.{way}"), *options]

        def work() -> object:
            return classify.main(arguments, standalone_mode=False)

    started, cpu_started = time.perf_counter(), time.process_time()
    work()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "resident_mb": _most_resident() / 1024,
    }


def _most_resident() -> int:
    """Return the most that this process had resident [KiB], by Linux; of a parent, getrusage would tell that one's."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1])


if __name__ == "__main__":
    main()
