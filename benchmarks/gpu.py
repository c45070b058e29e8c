"""On an NVIDIA GPU: edgebert's int8 against torch in float16 and ONNX Runtime, in one process, round by round.

::

    pip install '.[cuda]' torch transformers onnxruntime-gpu
    python -m benchmarks.gpu --model M.edgebert --source MODEL_DIR --soak 10000
    compute-sanitizer python -m benchmarks.gpu --model M.edgebert --soak 100

Batches have from 1 to 65,536 tokens, in sequences of mixed lengths (seeded, log-normal, 40 tokens in the middle). A
peer gets them sorted by length, in padded batches of several sizes, and is judged by the fastest; its hidden states
stay on the GPU, ours are copied to the host within the time. Ids are made up: what is computed does not depend on them.
Without ``--source`` no peer is measured.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import print_environment
from benchmarks.tables import print_table, show_progress, write_json
from edgebert.batch import pack
from edgebert.cuda.encoder import CudaEncoder
from edgebert.engine.backend import open_backend
from edgebert.engine.devices import cuda_driver, missing_for_cuda
from edgebert.families import encoder_of
from edgebert.model_file import ModelFile

SIZES = (1, 32, 128, 512, 2048, 8192, 16384, 65536)
PADDED = (32, 128, 512)
"""Texts of a padded batch, of which a peer's best counts."""
_FIRST_IDS = 1000
Engine = Callable[[list[np.ndarray]], Callable[[], object]]
"""From sequences to a function that computes their hidden states, and returns when they are there."""


def sequences(tokens: int, longest: int, vocab: int, seed: int = 0) -> list[np.ndarray]:
    """Draw sequences of so many tokens in all."""
    rng = np.random.default_rng(seed)
    result = []
    while tokens:
        length = min(tokens, longest, max(3, int(rng.lognormal(np.log(40), 0.8))))
        result.append(rng.integers(min(_FIRST_IDS, vocab - 1), vocab, length).astype(np.int32))
        tokens -= length
    return result


def padded(ids: list[np.ndarray], count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return batches of `count` sequences as (input_ids, attention_mask), the longest first."""
    ordered = sorted(ids, key=len, reverse=True)
    batches = []
    for begin in range(0, len(ordered), count):
        part = ordered[begin : begin + count]
        width = len(part[0])
        rows = np.stack([np.pad(row, (0, width - len(row))) for row in part]).astype(np.int64)
        mask = np.stack([np.arange(width) < len(row) for row in part]).astype(np.int64)
        batches.append((rows, mask))
    return batches


def torch_engines(source: Path) -> dict[str, Engine]:
    """Return torch's engines: eager with SDPA, compiled, and one text by a CUDA graph."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(source, attn_implementation="sdpa", torch_dtype=torch.float16).cuda().eval()
    compiled = torch.compile(model, dynamic=True)

    def engine(forward: Any, count: int) -> Engine:
        def prepare(ids: list[np.ndarray]) -> Callable[[], object]:
            batches = padded(ids, count)

            @torch.inference_mode()
            def run() -> object:
                result = [
                    forward(
                        input_ids=torch.from_numpy(rows).cuda(non_blocking=True),
                        attention_mask=torch.from_numpy(mask).cuda(non_blocking=True),
                    ).last_hidden_state
                    for rows, mask in batches
                ]
                torch.cuda.synchronize()
                return result

            return run

        return prepare

    def graph(ids: list[np.ndarray]) -> Callable[[], object]:
        # A user's: fixed shapes, the ids copied in before each replay; a single text needs no mask.
        (own,) = ids
        host = torch.from_numpy(own.astype(np.int64))[None].pin_memory()
        static = host.cuda()
        with torch.inference_mode():
            side = torch.cuda.Stream()
            with torch.cuda.stream(side):
                for _ in range(3):
                    model(input_ids=static)
            torch.cuda.synchronize()
            captured = torch.cuda.CUDAGraph()
            with torch.cuda.graph(captured):
                out = model(input_ids=static).last_hidden_state

        def run() -> object:
            static.copy_(host, non_blocking=True)
            captured.replay()
            torch.cuda.synchronize()
            return out

        return run

    engines = {f"torch fp16 SDPA, {count} texts": engine(model, count) for count in PADDED}
    engines |= {f"torch.compile fp16, {count} texts": engine(compiled, count) for count in PADDED}
    return engines | {"torch fp16, CUDA graph": graph}


def onnx_engines(source: Path) -> dict[str, Engine]:
    """Return ONNX Runtime's CUDA provider, where it and a model for it (``model.onnx``) are present."""
    try:
        import onnxruntime
    except ImportError:
        return {}
    path = next((path for path in (source / "onnx" / "model.onnx", source / "model.onnx") if path.exists()), None)
    if path is None or "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return {}
    session = onnxruntime.InferenceSession(str(path), providers=["CUDAExecutionProvider"])
    names = {value.name for value in session.get_inputs()}

    def engine(count: int) -> Engine:
        def prepare(ids: list[np.ndarray]) -> Callable[[], object]:
            batches = padded(ids, count)

            def run() -> object:
                return [
                    session.run(
                        None,
                        {
                            name: value
                            for name, value in (
                                ("input_ids", rows),
                                ("attention_mask", mask),
                                ("token_type_ids", np.zeros_like(rows)),
                            )
                            if name in names
                        },
                    )
                    for rows, mask in batches
                ]

            return run

        return prepare

    return {f"ONNX Runtime CUDA, {count} texts": engine(count) for count in PADDED}


def timed(run: Callable[[], object], seconds: float) -> float:
    """Return the median time of a call [s], of as many as fit into so many seconds; at least three."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def soak(encoder: CudaEncoder, batches: int) -> dict[str, int]:
    """Run batches of random sizes; return the GPU's free memory before and after [bytes]."""
    rng = np.random.default_rng(1)
    config = encoder.config
    before = encoder.device.free_memory()
    for i in range(batches):
        show_progress(f"batch {i + 1} of {batches}")
        tokens = int(np.exp(rng.uniform(0, np.log(encoder.token_budget))))
        ids = sequences(tokens, config.max_position_embeddings, config.vocab_size, i)
        encoder.encode(pack(ids, padding=config.padding))
    return {"batches": batches, "free_before": before, "free_after": encoder.device.free_memory()}


def main() -> None:
    """Measure what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="an .edgebert file")
    parser.add_argument("--source", type=Path, help="the folder that it was made from, for torch")
    parser.add_argument("--tokens", type=int, nargs="+", default=SIZES, help="sizes of batches")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each engine, size and round")
    parser.add_argument("--soak", type=int, default=0, metavar="N", help="also run N batches of random sizes")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all figures to this file")
    options = parser.parse_args()
    missing = missing_for_cuda()
    if missing:
        parser.exit(1, f"benchmarks.gpu: {missing}\n")
    environment = print_environment()
    file = ModelFile(options.model)
    config, tensors = file.info.config, file.tensors
    encoder = CudaEncoder(encoder_of(config), tensors, max(options.tokens), cuda_driver())
    print(f"GPU: {encoder.device.name}; edgebert has {encoder.device.memory_bytes / 1e6:.0f} MB of its memory")

    def ours(ids: list[np.ndarray]) -> Callable[[], object]:
        batch = pack(ids, padding=config.padding)
        return lambda: encoder.encode(batch)

    engines: dict[str, Engine] = {"edgebert int8": ours}
    if options.source:
        engines |= torch_engines(options.source) | onnx_engines(options.source)
    facts: dict[str, Any] = {"gpu": encoder.device.name, "seconds": {}}
    for tokens in options.tokens:
        ids = sequences(tokens, config.max_position_embeddings, config.vocab_size)
        if tokens <= 64:
            ids = [np.concatenate(ids)]
        runs = {
            name: prepare(ids) for name, prepare in engines.items() if len(ids) == 1 or not name.endswith("CUDA graph")
        }
        for run in runs.values():
            run()
        times: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(options.rounds):
            for name, run in runs.items():
                show_progress(f"{tokens} tokens, round {turn + 1}: {name}")
                times[name].append(timed(run, options.seconds))
        facts["seconds"][tokens] = times
        best = {name: min(own) for name, own in times.items()}
        rows = [
            [name, f"{1e3 * own:.3f}", f"{tokens / own:,.0f}", f"{own / best['edgebert int8']:.2f}"]
            for name, own in sorted(best.items(), key=lambda item: item[1])
        ]
        print_table(["engine", "ms", "tokens/s", "times edgebert's"], rows)
    ids = sequences(2048, config.max_position_embeddings, config.vocab_size)
    # The processor's batches are smaller; what a text answers depends on no other.
    budget = max(2048, config.max_position_embeddings)
    batch = pack(ids, padding=config.padding)
    got, expected = encoder.encode(batch), open_backend(config, tensors, 1, budget).encode(batch)
    norms = np.linalg.norm(got, axis=1) * np.linalg.norm(expected, axis=1)
    facts["cosine"] = float((np.sum(got * expected, axis=1) / norms).min())
    print(f"least cosine of a token to the processor's: {facts['cosine']:.7f}")
    if options.soak:
        facts["soak"] = soak(encoder, options.soak)
        growth = facts["soak"]["free_before"] - facts["soak"]["free_after"]
        print(f"{options.soak} batches of random sizes: {growth} bytes of the GPU's memory more than before")
    encoder.close()
    write_json(options.json, environment, **facts)


if __name__ == "__main__":
    main()
