"""How well documents are found: by the words of sparse vectors, by dense vectors, and by both, on Cranfield.

::

    python -m benchmarks.retrieval CRANFIELD --sparse SPLADE.edgebert [--dense MINILM.edgebert]

CRANFIELD is a folder with ``cran.all.1400``, ``cran.qry`` and ``cranqrel``: 1,400 abstracts on aerodynamics, 225
queries, and people's judgements. Long abstracts are read whole.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import edgebert
from benchmarks.environment import print_environment
from benchmarks.tables import print_table, write_json
from edgebert.bundled import default_model

__all__ = ["Collection", "fused", "ndcg", "read_cranfield", "recall"]

_FUSION = 60
"""The constant of reciprocal rank fusion (doi 10.1145/1571941.1572114)."""


class Collection(NamedTuple):
    """Documents and queries, and for each query the gain of each document that fits it: index -> above 0."""

    documents: list[str]
    queries: list[str]
    gains: list[dict[int, int]]


def read_cranfield(folder: Path) -> Collection:
    """Read the collection; a judgement from 1, a complete answer, to 4, of least interest, is a gain from 4 to 1."""

    def records(name: str) -> list[dict[str, str]]:
        text = (folder / name).read_text(encoding="latin-1")
        parts = [re.split(r"^\.([A-Z])\s", part, flags=re.M) for part in re.split(r"^\.I ", text, flags=re.M)[1:]]
        return [dict(zip(part[1::2], part[2::2], strict=True)) for part in parts]

    documents = [" ".join(record.get("W", "").split()) for record in records("cran.all.1400")]
    queries = [" ".join(record["W"].split()) for record in records("cran.qry")]
    gains: list[dict[int, int]] = [{} for _ in queries]
    for line in (folder / "cranqrel").read_text(encoding="latin-1").splitlines():
        if line.strip():
            query, document, judgement = map(int, line.split())
            if 1 <= judgement <= 4:
                gains[query - 1][document - 1] = 5 - judgement
    return Collection(documents, queries, gains)


def ndcg(order: Sequence[int], gains: Mapping[int, int], count: int = 10) -> float:
    """Return the normalised discounted cumulative gain of an order's first documents (doi 10.1145/582415.582418)."""
    discounts = 1 / np.log2(np.arange(2, count + 2))
    found = [gains.get(document, 0) for document in order[:count]]
    best = sorted(gains.values(), reverse=True)[:count]
    return float(found @ discounts[: len(found)] / (best @ discounts[: len(best)]))


def recall(order: Sequence[int], gains: Mapping[int, int], count: int = 100) -> float:
    """Return the share of the documents that fit that are among the first of an order."""
    return len(gains.keys() & {*order[:count]}) / len(gains)


def fused(*scores: np.ndarray) -> np.ndarray:
    """Return what several rankings say together, by reciprocal rank fusion; each (queries, documents)."""
    ranks = [(-each).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable") for each in scores]
    return np.sum([1 / (_FUSION + 1 + each) for each in ranks], axis=0)


def by_words(model: edgebert.Model, collection: Collection) -> np.ndarray:
    """Score by the dot products of sparse vectors."""
    queries = model.embed_sparse(collection.queries, query=True)
    documents = model.embed_sparse(collection.documents, whole=True)
    return np.array([[query.dot(document) for document in documents] for query in queries])


def by_vectors(model: edgebert.Model, collection: Collection) -> np.ndarray:
    """Score by cosines."""
    return model.similarity(collection.queries, collection.documents)


def main() -> None:
    """Rank with each model and print the table."""
    parser = argparse.ArgumentParser(description="How well documents are found, on Cranfield.")
    parser.add_argument("cranfield", type=Path, metavar="CRANFIELD", help="the folder of the collection")
    parser.add_argument("--sparse", type=Path, required=True, help="a model for sparse vectors")
    parser.add_argument(
        "--dense", type=Path, default=default_model("search"), help="default the one of edgebert search"
    )
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    environment = print_environment()
    collection = read_cranfield(args.cranfield)
    scores: dict[str, np.ndarray] = {}
    seconds: dict[str, float] = {}
    ways: dict[str, tuple[Path, Callable[[edgebert.Model, Collection], np.ndarray]]] = {
        "sparse": (args.sparse, by_words),
        "dense": (args.dense, by_vectors),
    }
    for name, (path, score) in ways.items():
        model, begin = edgebert.load(path), time.perf_counter()
        scores[f"{name}, {path.stem}"], seconds[f"{name}, {path.stem}"] = score(model, collection), time.perf_counter()
        seconds[f"{name}, {path.stem}"] -= begin
    scores["both, fused"] = fused(*scores.values())
    rows = []
    for name, values in scores.items():
        orders = (-values).argsort(axis=1, kind="stable").tolist()
        figures = [
            float(np.mean([measure(order, gains) for order, gains in zip(orders, collection.gains, strict=True)]))
            for measure in (ndcg, recall)
        ]
        rows.append([name, *(f"{figure:.4f}" for figure in figures), f"{seconds[name]:.0f}" if name in seconds else ""])
    header = ["ranked by", "nDCG@10", "recall@100", "seconds"]
    print_table(header, rows)
    write_json(args.json, environment, retrieval=[dict(zip(header, row, strict=True)) for row in rows])


if __name__ == "__main__":
    main()
