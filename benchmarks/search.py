"""How long a query takes over an index: in a program that keeps it open, in one that opens it, and as a command.

::

    python -m benchmarks.search --passages 100000

Passages are of random words, as frequent as words are (Zipf's law), and have random vectors: to embed a hundred
thousand would take long, and a search does the same with either. The bar is 100 ms for a query over 100,000 passages.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import edgebert
from benchmarks.environment import print_environment
from benchmarks.startup import start
from benchmarks.tables import print_table, write_json
from edgebert.bundled import default_model
from edgebert.search import Index
from edgebert.search.store import connect, make_tables
from edgebert.search.writer import FileFacts, Writer

__all__ = ["QUERIES", "make_index"]

_WORDS = 60_000
_PER_PASSAGE = 80
_PER_FILE = 100

QUERIES = (
    "w40 w900",
    "w12 w155 w2400 w31000",
    "w1 w2 w3 w4 w5 w6 w7 w8 w70 w71 w72 w73 w500",
    "what does w3 say of w8000 and of w44",
)
"""Words from the most frequent, ``w1``, to rare ones."""


class _Stand:
    """A model that makes vectors at random, and is in all else another."""

    def __init__(self, model: edgebert.Model) -> None:
        self._model, self._random = model, np.random.default_rng(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def embed(self, texts: Sequence[str], **_: Any) -> np.ndarray:
        vectors = self._random.standard_normal((len(texts), self._model.dimensions), np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def passages(self, text: str) -> list[tuple[int, int, int]]:
        return [(0, len(text), 1)]


def make_index(path: Path, model: edgebert.Model, count: int) -> None:
    """Write an index of random passages."""
    random = np.random.default_rng(1)
    connection = connect(path)
    make_tables(connection)
    connection.execute("BEGIN")
    writer = Writer(connection, _Stand(model))  # type: ignore[arg-type]
    for file in range(0, count, _PER_FILE):
        words = np.minimum(random.zipf(1.1, (min(_PER_FILE, count - file), _PER_PASSAGE)), _WORDS)
        texts = (" ".join(f"w{word}" for word in passage) for passage in words.tolist())
        writer.add(FileFacts(f"notes/{file}.txt"), ((text, line) for line, text in enumerate(texts, start=1)))
    writer.finish()
    connection.execute("COMMIT")
    connection.close()


def _milliseconds(seconds: Sequence[float]) -> str:
    return f"{1e3 * statistics.median(seconds):.0f} ({1e3 * max(seconds):.0f})"


def main() -> None:
    """Make an index, ask it in all ways, and print the table."""
    parser = argparse.ArgumentParser(description="How long a query takes over an index.")
    parser.add_argument(
        "--model", type=Path, default=default_model("search"), help="default the one of edgebert search"
    )
    parser.add_argument("--passages", type=int, default=100_000, help="default 100,000")
    parser.add_argument("--rounds", type=int, default=10, help="default 10")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    environment = print_environment()
    model = edgebert.load(args.model)
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, count in (("few", 10), ("many", args.passages)):
            make_index(Path(folder, f"{name}.db"), model, count)
        many = Path(folder, "many.db")
        print(f"{args.passages:,} passages, {many.stat().st_size / 1e6:.0f} MB\n")
        for _ in range(args.rounds):
            for query in QUERIES:
                found.setdefault("the query's vector alone", []).append(_timed(lambda q=query: model.embed([q])))
                begin = time.perf_counter()
                with Index.open(many) as index:
                    index.search(model, query)
                    found.setdefault("index opened, first query", []).append(time.perf_counter() - begin)
                    again = _timed(lambda q=query, i=index: i.search(model, q))
                found.setdefault("index open, further query", []).append(again)
        for _ in range(args.rounds):
            for name, what in (("few", "10"), ("many", f"{args.passages:,}")):
                command = [sys.executable, "-m", "edgebert", "search", str(Path(folder, f"{name}.db"))]
                started = start([*command, "-m", str(args.model.absolute()), "-q", QUERIES[-1]])
                found.setdefault(f"edgebert search, {what} passages", []).append(started.seconds)
    rows = [[name, _milliseconds(seconds)] for name, seconds in found.items()]
    print_table(["a query", "milliseconds, median (worst)"], rows)
    write_json(args.json, environment, search={"passages": args.passages, "seconds": found})


def _timed(ask: Any) -> float:
    begin = time.perf_counter()
    ask()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
