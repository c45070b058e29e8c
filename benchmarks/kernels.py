"""Kernels: the int8 matmul alone, one thread, against the peak of its instructions measured in the same run.

::

    python -m benchmarks.kernels

A peak is a loop of the family's dot products on registers (`benchmarks.peak`). A matmul includes its epilogue: int32
sums to float32 with scales and bias. Its weights stay where the last repetition left them, in the caches.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.environment import print_environment
from benchmarks.latency import figure, numbers
from benchmarks.peak import Peak
from benchmarks.tables import percent_of_peak, print_table, show_progress, write_json
from edgebert.engine.library import KernelLibrary, load_library
from edgebert.engine.linear import StepRunner, linear_record
from edgebert.engine.memory import SLACK_ROWS, aligned_empty, keeper
from edgebert.engine.processor import available_families
from edgebert.kernels.plan import BRANCH, CODE_PROJECT, STEP, group_size
from edgebert.kernels.simd.families import FAMILIES, LANES

__all__ = ["Matmul", "burst"]

SHAPES = {
    "MiniLM query_key_value": (384, 1152),
    "MiniLM attention_output": (384, 384),
    "MiniLM intermediate": (384, 1536),
    "MiniLM output": (1536, 384),
    "BERT-base query_key_value": (768, 2304),
    "BERT-base attention_output": (768, 768),
    "BERT-base intermediate": (768, 3072),
    "BERT-base output": (3072, 768),
}
"""Name -> (K, N)."""

PEAK_ROUNDS = 200_000


class Matmul:
    """One int8 linear layer with random weights and as many rows of input.

    Parameters
    ----------
    library : KernelLibrary
    M, K, N : int
        K is a multiple of 64, N of 16.
    int16_steps : int
    """

    def __init__(self, library: KernelLibrary, M: int, K: int, N: int, int16_steps: int = 1) -> None:
        rng = np.random.default_rng(0)
        self.macs = M * K * N
        self.x = aligned_empty((M + SLACK_ROWS) * K, np.uint8).reshape(-1, K)
        self.x[:] = rng.integers(0, 256, self.x.shape, np.uint8)
        self.weight = aligned_empty(N * K, np.int8).reshape(N // LANES, K // 4, LANES, 4)
        self.weight[:] = rng.integers(-32, 33, self.weight.shape, np.int8)  # which fit any of INT16_STEPS
        self.out = np.empty((M, N), np.float32)
        self._scratch = aligned_empty(library.scratch_bytes(LANES, 1), np.uint8)
        G = -(-K // group_size(K))
        self._rows = np.ones((M, G), np.float32), np.zeros((M, G), np.float32)
        tensors = {f"linear.{name}": np.ones((G, N), np.float32) for name in ("scale", "column_sums")}
        tensors |= {"linear.weight": self.weight, "linear.bias": np.zeros(N, np.float32)}
        tensors["linear.depth"] = np.array([int16_steps], np.uint8)
        self._keep: list[object] = []
        self._linear = linear_record(tensors, "linear", keeper(self._keep))
        self._step = np.zeros(1, STEP)
        self._step["code"], self._step["target"] = CODE_PROJECT, BRANCH
        self._step["linear"] = self._linear.ctypes.data
        names = ("quantized", "row_scale", "row_zero", "narrow", "scratch")
        arrays = zip(names, (self.x, *self._rows, self.out, self._scratch), strict=True)
        places = {name: array.ctypes.data for name, array in arrays}
        self._run = StepRunner(library, self._step, tokens=M, **places)

    def __call__(self) -> None:
        """Compute `out`."""
        self._run()


def burst(run: Callable[[], object], seconds: float) -> float:
    """Return the median time of one call, in seconds, after one that is not counted."""
    run()
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return float(np.median(times))


def main() -> None:
    """Measure and print a table for each number of rows."""
    parser = argparse.ArgumentParser(description="The int8 matmul alone, one thread, in GMAC/s.")
    own = [family for family in available_families() if family != "portable"]
    parser.add_argument("--families", default=",".join(own), help=f"default {','.join(own)}")
    parser.add_argument("--rows", type=numbers, default=[8, 64, 128], help="tokens; default 8,64,128")
    parser.add_argument("--rounds", type=int, default=10, help="bursts of each; default 10")
    parser.add_argument("--seconds", type=float, default=0.02, help="of a burst; default 0.02")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    environment = print_environment()
    families = args.families.split(",")
    if unknown := [family for family in families if family not in available_families()]:
        parser.error(f"{', '.join(unknown)} cannot run here, expected some of {', '.join(available_families())}")
    libraries = {family: load_library(family) for family in families}
    forms = [(family, int16_steps) for family in families for int16_steps in FAMILIES[family].tiles]
    peaks = {form: Peak(*form) for form in forms}
    results = []
    for M in args.rows:
        rows = []
        for name, (K, N) in SHAPES.items():
            show_progress(f"{M} rows, {name}")
            matmuls = {form: Matmul(libraries[form[0]], M, K, N, form[1]) for form in forms}
            matmul_times: dict[tuple[str, int], list[float]] = {form: [] for form in forms}
            peak_times: dict[tuple[str, int], list[float]] = {form: [] for form in forms}
            for _ in range(args.rounds):
                for form in forms:
                    matmul_times[form].append(burst(matmuls[form], args.seconds))
                    peak_times[form].append(burst(partial(peaks[form], PEAK_ROUNDS), args.seconds / 2))
            cells = []
            for form in forms:
                rate = matmuls[form].macs / figure(matmul_times[form]) / 1e9
                peak = peaks[form].macs(PEAK_ROUNDS) / figure(peak_times[form]) / 1e9
                cells.append(f"{rate:.0f} of {peak:.0f} ({percent_of_peak(rate / peak)})")
                about = {"family": form[0], "int16_steps": form[1], "layer": name, "M": M, "K": K, "N": N}
                results.append({**about, "gmac_per_s": rate, "peak": peak})
            rows.append([f"{name} {K}x{N}", *cells])
        print(f"GMAC/s of its peak, {M} rows, 1 thread\n")
        print_table(["layer KxN", *(f"{family}, int16 steps {int16_steps}" for family, int16_steps in forms)], rows)
    write_json(args.json, environment, kernels=results)


if __name__ == "__main__":
    main()
