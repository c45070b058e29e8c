"""Accuracy: sentence vectors against fp32, edgebert's and its peers'.

::

    python -m benchmarks.accuracy --model M.edgebert --source MODEL_DIR --texts stsb.csv --peers OUT_DIR

Every engine turns the same texts into vectors: edgebert by its own ``embed``, a peer one text at a time (which is its
most accurate form: padding changes its scales) with the folder's tokenizer and pooling. The yardstick is torch in
fp32. Where the texts are pairs with a human score, the correlation with it is printed too.
"""

from __future__ import annotations

import argparse
import base64
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import print_environment
from benchmarks.tables import print_table, show_progress, write_json
from benchmarks.texts import read_texts
from benchmarks.workers import Entry, Worker, add_peer_options, entries, open_workers, print_engines
from edgebert.checkpoint import open_checkpoint
from edgebert.evaluate.compare import cosines

__all__ = ["cosines", "decode_vectors", "embed_request", "pair_correlation", "spearman"]

YARDSTICK = "torch_fp32"


def embed_request(source: Path, texts: list[str], batch: int) -> dict[str, Any]:
    """Return the request that turns texts into vectors as the folder's makers meant it."""
    checkpoint = open_checkpoint(source)
    return {
        "op": "embed",
        "texts": texts,
        "batch": batch,
        "source": str(source.absolute()),
        "max_length": checkpoint.info.max_length,
        "pooling": checkpoint.info.pipeline.pooling,
    }


def decode_vectors(answer: dict[str, Any]) -> np.ndarray:
    """Return the vectors of a worker's answer, float32 (texts, hidden_size)."""
    return np.frombuffer(base64.b64decode(answer["vectors"]), "<f4").reshape(answer["shape"])


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Return the rank correlation of two series; equal values share the mean of their ranks."""

    def ranks(values: np.ndarray) -> np.ndarray:
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        return (np.cumsum(counts) - (counts - 1) / 2)[inverse]

    return float(np.corrcoef(ranks(np.asarray(x)), ranks(np.asarray(y)))[0, 1])


def pair_correlation(vectors: np.ndarray, scores: list[float]) -> float:
    """Correlate the cosine of each pair of neighbouring rows with its human score."""
    return spearman(cosines(vectors[0::2], vectors[1::2]), np.array(scores))


def measure(workers: list[Worker], request: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return every engine's vectors."""
    vectors = {}
    for worker in workers:
        show_progress(worker.entry.name)
        vectors[worker.entry.name] = decode_vectors(worker.ask(**request))
    return vectors


def main() -> None:
    """Compute all vectors and print the table."""
    parser = argparse.ArgumentParser(description="Sentence vectors against fp32, edgebert's and its peers'.")
    add_peer_options(parser)
    parser.add_argument("--source", type=Path, required=True, help="the Hugging Face folder of the same model")
    parser.add_argument("--texts", type=Path, required=True, help="one a line, or a csv of pairs with scores")
    parser.add_argument("--limit", type=int, help="use the first so many texts or pairs")
    parser.add_argument("--threads", type=int, default=2, help="of each engine; default 2")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    environment = print_environment(args.hold)
    texts, scores = read_texts(args.texts)
    if args.limit:
        texts, scores = texts[: args.limit * (2 if scores else 1)], scores[: args.limit]
    chosen = [entry for entry in entries(args) if entry.engine != YARDSTICK]
    chosen.append(Entry(YARDSTICK, YARDSTICK, args.source, args.peer_python, {}))
    with open_workers(chosen, args.threads) as workers:
        if workers[-1].entry.name != YARDSTICK:
            raise SystemExit(f"error: nothing to compare with: {YARDSTICK} runs in --peer-python, which lacks it")
        print_engines(workers)
        vectors = measure(workers, embed_request(args.source, texts, batch=1))
    header = ["engine", "mean cosine", "1st percentile", "worst"] + ["Spearman"] * bool(scores)
    rows, results = [], []
    for name, own in vectors.items():
        cosine = cosines(own, vectors[YARDSTICK])
        row = [cosine.mean(), np.percentile(cosine, 1), cosine.min()]
        if scores:
            row.append(pair_correlation(own, scores))
        rows.append([name, *(f"{value:.5f}" for value in row)])
        results.append({"engine": name, **dict(zip(header[1:], map(float, row), strict=True))})
    print(f"cosine to {YARDSTICK} of {len(texts)} texts of {args.texts.name}\n")
    print_table(header, rows)
    write_json(args.json, environment, accuracy=results)


if __name__ == "__main__":
    main()
