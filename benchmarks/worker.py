"""One engine in a process of its own, answering requests: one line of JSON in, one out.

Started by `benchmarks.workers`, by the interpreter of the engine's own environment. Requests:

``{"op": "time", "ids": [[...]], "seconds": s}`` -> ``{"seconds": [...], "waits": [...]}``
    Repeats one forward pass for `s` seconds; says what each repetition took, and how much of it the engine's threads
    spent waiting for a processor that another process had.
``{"op": "embed", "texts": [...], "batch": n, "source": folder, "max_length": n, "pooling": name}``
    Texts to pooled vectors, tokenization included -> ``{"seconds": s, "shape": [...], "vectors": base64 of float32}``.
    Peers compute in padded batches of n texts sorted by length, with the tokenizer of the folder; edgebert needs the
    texts alone.

An engine that is not installed, or a request that fails, answers ``{"error": "..."}``.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engines import ENGINES, Edgebert, Engine

FEWEST_REPETITIONS = 2
_PR_SET_PDEATHSIG = 1


def waited() -> float:
    """Return how long this process's threads have waited for a processor, ever, in seconds; 0 where it is not known."""
    nanoseconds = 0
    for path in Path("/proc/self/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # a thread may end in between
            nanoseconds += int(path.read_text().split()[1])
    return nanoseconds / 1e9


def time_passes(engine: Engine, ids: list[list[int]], seconds: float) -> dict[str, list[float]]:
    """Time one forward pass again and again, after one that brings its memory into the caches."""
    inputs = engine.inputs(ids)
    engine.run(inputs)
    times: list[float] = []
    waits: list[float] = []
    start = time.perf_counter()
    while len(times) < FEWEST_REPETITIONS or time.perf_counter() - start < seconds:
        before = waited()
        begin = time.perf_counter()
        engine.run(inputs)
        times.append(time.perf_counter() - begin)
        waits.append(waited() - before)
    return {"seconds": times, "waits": waits}


class PeerVectors:
    """The work around a peer that its users write themselves: tokenize, sort, pad, pool."""

    def __init__(self, engine: Engine, source: str, max_length: int, pooling: str) -> None:
        from tokenizers import Tokenizer

        self._engine, self._pooling = engine, pooling
        self._tokenizer = Tokenizer.from_file(str(Path(source, "tokenizer.json")))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)

    def __call__(self, texts: list[str], batch: int) -> np.ndarray:
        """Return a vector for each text, float32 (len(texts), hidden_size)."""
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        vectors: dict[int, np.ndarray] = {}
        for begin in range(0, len(order), batch):
            chosen = order[begin : begin + batch]
            sequences = [ids[index] for index in chosen]
            output = self._engine.run(self._engine.inputs(sequences))
            for index, rows in zip(chosen, self._engine.rows(sequences, output), strict=True):
                vectors[index] = self._pool(rows)
        return np.stack([vectors[index] for index in range(len(ids))])

    def _pool(self, rows: np.ndarray) -> np.ndarray:
        if self._pooling == "cls":
            return rows[0]
        if self._pooling == "max":
            return rows.max(axis=0)
        return rows.mean(axis=0)


def time_embedding(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    """Time texts to vectors, and return these too."""
    texts: list[str] = request["texts"]
    if isinstance(engine, Edgebert):
        start = time.perf_counter()
        vectors = engine.model.embed(texts)
    else:
        peer = PeerVectors(engine, request["source"], request["max_length"], request["pooling"])
        start = time.perf_counter()
        vectors = peer(texts, request["batch"])
    seconds = time.perf_counter() - start
    encoded = base64.b64encode(vectors.astype("<f4").tobytes()).decode()
    return {"seconds": seconds, "shape": vectors.shape, "vectors": encoded}


def answer(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    """Do what one request asks."""
    try:
        if request["op"] == "time":
            return time_passes(engine, request["ids"], request["seconds"])
        return time_embedding(engine, request)
    except Exception as error:  # of any engine; the parent decides what it means
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Load the engine, say hello with its versions, and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    args = parser.parse_args()
    # Engines print what they like: the answers get the real stdout, everything else goes to stderr.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if sys.platform == "linux":
        # A worker is stopped most of the time; without this it would outlive a parent that was killed.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        engine = ENGINES[args.engine][0](args.model, args.threads)
    except Exception as error:  # whatever the engine raises, the parent goes on without it
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=answers, flush=True)
        return
    print(json.dumps({"facts": engine.facts()}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(engine, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
