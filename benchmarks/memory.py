"""Memory: what a loaded model keeps resident, and the peak of ``edgebert classify`` on files of growing length.

::

    python -m benchmarks.memory

A model is loaded with two threads and used on one text as long as it takes. The lines are generated: words of a fixed
list in lengths from 3 to 40, as sentences have them.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.environment import print_environment
from benchmarks.latency import numbers
from benchmarks.tables import print_table, show_progress, write_json
from edgebert.loading import DEFAULT_MODEL

__all__ = ["peak_memory", "resident_memory", "write_lines"]

WORDS = (
    "the a this that it was is and but with for of in on at we they film phone meal story service room battery price"
    " actor screen soup waiter good bad great awful slow quick warm cold never always quite very hardly works broke"
    " arrived tasted looked sounded again today yesterday because although unfortunately wonderfully"
)
FEWEST_WORDS, MOST_WORDS = 3, 40

# A process's peak counts what its parent had when it was started, so something small has to start it.
_LAUNCHER = """
import os, subprocess, sys
with open(sys.argv[1], "wb") as complaints:
    process = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=complaints)
    _, status, usage = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""

# Pages of the mapped file count as the process's own once they were read.
_LOADED = """
import re, sys, time
import click, llvmlite.binding, numpy, safetensors, tokenizers
import edgebert, edgebert.loading
def resident():
    time.sleep(0.1)
    with open("/proc/self/status") as file:
        return int(re.search(r"VmRSS:\\s+(\\d+) kB", file.read())[1]) * 1024
imports = resident()
model = edgebert.load(sys.argv[1], threads=2)
loaded = resident()
model.hidden_states([[5] * model.max_length])
print(imports, loaded, resident())
"""


def resident_memory(model: Path) -> tuple[int, int, int]:
    """Return the resident bytes of a process: with the imports alone, the model loaded, and the model used."""
    command = [sys.executable, "-c", _LOADED, str(model)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    imports, loaded, used = map(int, done.stdout.split())
    return imports, loaded, used


def write_lines(path: Path, count: int) -> None:
    """Write `count` lines, the same at every call."""
    rng, words = random.Random(0), WORDS.split()
    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            file.write(" ".join(rng.choices(words, k=rng.randint(FEWEST_WORDS, MOST_WORDS))) + "\n")


def peak_memory(command: list[str]) -> int:
    """Run a command and return the most memory that it had resident, in bytes.

    Raises
    ------
    RuntimeError
        When the command fails.
    """
    with tempfile.NamedTemporaryFile() as complaints:
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, complaints.name, *command]
        done = subprocess.run(launcher, stdout=subprocess.PIPE, text=True, check=True)
        status, peak = map(int, done.stdout.split())
        if status:
            said = Path(complaints.name).read_text("utf-8", "replace").strip()
            raise RuntimeError(f"{' '.join(command)} exited with {status}: {said}")
    # Linux counts in KiB, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    """Classify the files and print the table."""
    parser = argparse.ArgumentParser(description="Peak resident memory of edgebert classify.")
    parser.add_argument("--model", type=Path, help="an .edgebert file; default the model in the package")
    parser.add_argument("--lines", type=numbers, default=[1000, 10_000, 100_000], help="default 1000,10000,100000")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    environment = print_environment()
    resident: dict[str, int] = {}
    if sys.platform == "linux":
        model = args.model or DEFAULT_MODEL
        imports, loaded, used = resident_memory(model)
        resident = {"file": model.stat().st_size, "imports": imports, "loaded": loaded, "used": used}
        print_table(["resident MB", *resident], [["", *(f"{each / 1e6:.1f}" for each in resident.values())]])
    rows, results = [], []
    with tempfile.TemporaryDirectory() as folder:
        for count in args.lines:
            show_progress(f"{count} lines")
            path = Path(folder, "lines.txt")
            write_lines(path, count)
            command = [sys.executable, "-m", "edgebert", "classify", str(path), "--format", "tsv"]
            if args.model:
                command += ["--model", str(args.model)]
            start = time.perf_counter()
            peak = peak_memory(command)
            seconds = time.perf_counter() - start
            rows.append([count, f"{path.stat().st_size / 2**20:.1f}", f"{peak / 2**20:.0f}", f"{seconds:.1f}"])
            results.append({"lines": count, "peak_bytes": peak, "seconds": seconds})
    print_table(["lines", "file MiB", "peak MiB", "seconds"], rows)
    write_json(args.json, environment, resident=resident, memory=results)


if __name__ == "__main__":
    main()
