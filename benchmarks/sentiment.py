"""Sentiment: the default model on 3 × 1,000 sentences that it has never seen, and its agreement with fp32.

::

    python -m benchmarks.sentiment

The sentences are fetched by ``tools/fetch_material.py``; the logits in fp32 were computed with transformers from the
same checkpoint and lie in ``tests/data``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import edgebert
from benchmarks.environment import print_environment
from benchmarks.tables import print_table, write_json

__all__ = ["compare"]

_ROOT = Path(__file__).parent.parent
_LOGITS = _ROOT / "tests" / "data" / "sentiment_fp32_logits.npz"


def compare(
    int8: np.ndarray, fp32: np.ndarray, labels: np.ndarray, sources: list[str]
) -> list[tuple[str, int, float, float, float]]:
    """Compare predictions with the truth and with each other.

    Parameters
    ----------
    int8, fp32, labels : ndarray [shape=(n,)]
        Class of each sentence: the two models' and the true one.
    sources : list of str
        Where each sentence comes from.

    Returns
    -------
    list of (str, int, float, float, float)
        For each source, and for all: its name, sentences, accuracy in int8, accuracy in fp32, share of sentences to
        which both give the same class.
    """
    found = []
    for name in [*dict.fromkeys(sources), "all"]:
        chosen = np.array([name in (source, "all") for source in sources])
        right, right_fp32, same = (int8 == labels)[chosen], (fp32 == labels)[chosen], (int8 == fp32)[chosen]
        count = int(chosen.sum())
        found.append((name, count, float(right.mean()), float(right_fp32.mean()), float(same.mean())))
    return found


def main() -> None:
    """Classify the sentences and print the table."""
    sys.path.insert(0, str(_ROOT / "tools"))  # they are scripts, not a package
    from sentiment_texts import sentences, sha256_of

    parser = argparse.ArgumentParser(description="The default model on sentences it has never seen.")
    parser.add_argument("--model", type=Path, help="another .edgebert file; default the model in the package")
    parser.add_argument("--logits", type=Path, default=_LOGITS, help="its logits in fp32")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    environment = print_environment()
    measured = sentences()
    logits = np.load(args.logits)
    if str(logits["sentences_sha256"]) != sha256_of(measured.texts):
        raise SystemExit(
            f"error: {args.logits} belongs to other sentences; make it again with tools/reference_logits.py"
        )
    model = edgebert.load(args.model)
    labels = [model.labels.index(result["label"]) for result in model.classify(measured.texts)]
    rows = compare(np.array(labels), logits["sentences"].argmax(axis=1), measured.labels, measured.sources)
    header = ["sentences", "number", "accuracy int8", "accuracy fp32", "same label"]
    print_table(header, [[name, count, *(f"{share:.4f}" for share in shares)] for name, count, *shares in rows])
    write_json(args.json, environment, sentiment=[dict(zip(header, row, strict=True)) for row in rows])


if __name__ == "__main__":
    main()
