"""Put one-line faults into edgebert, one at a time, and tell which the tests do not notice.

    python tools/mutate.py --count 300 --seed 1                        # an hour on two cores
    python tools/mutate.py --count 60 --module edgebert/tasks
    python tools/mutate.py --count 300 --seed 1 --resume               # what is missing of an earlier run

Every fault (`mutants`) gets into a copy of the repository, and the tests that run its line are run there until one
fails, those of the module's own file first; then whole test files, the module's own and those that run most of it: as
many of either as take ``--most`` seconds. Which test runs which line is found out once and kept (``--map``,
`mutation_map`). The kernels, which are compiled in another process, are tried on `_KERNEL_TESTS` for one instruction
family, or those that a lowering is for. A fault that makes the tests hang is noticed.

Results stand in ``mutation.json``; it is kept after each fault.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import Queue
from typing import Any

from mutants import Mutant, draw
from mutation_map import TestMap, record

ROOT = Path(__file__).parents[1]
HANG = 60
"""Seconds that a run may take beside four times what its tests take, or else it hangs."""
SLOWEST = 420
"""Seconds beyond which a test file is left out."""
LEFT_OUT = ("tests/tools/", "tests/benchmarks/", "tests/emulator/")
_KERNEL_TESTS = (
    "tests/kernels/test_matmul.py",
    "tests/kernels/test_attention.py",
    "tests/kernels/test_quantize_rows.py",
    "tests/kernels/test_layer_norm.py",
    "tests/kernels/test_activation.py",
    "tests/kernels/test_dense.py",
    "tests/kernels/test_code_generation.py",
    "tests/engine/test_encoder.py",
    "tests/test_kinds.py",
    "tests/test_model.py",
    "tests/engine/test_team.py",
)
_CUDA_TESTS = tuple(f"tests/cuda/test_{name}.py" for name in ("shape", "device", "compile", "kernels"))
"""The kernels of a GPU run in Numba's simulator, of whose threads coverage sees little."""
_LOWERINGS = {
    "edgebert/kernels/simd/neon.py": ("neon_dotprod", "neon_i8mm", "neon"),
    "edgebert/kernels/simd/portable.py": ("portable",),
    "edgebert/kernels/simd/multiply_add.py": ("", "portable"),
    "edgebert/kernels/simd/tile.py": ("", "avx2", "neon_i8mm"),
    "edgebert/kernels/simd/dot.py": ("", "avx2", "portable"),
}
"""Module -> the families that its faults are looked for in, one after the other; empty for this processor's best."""
_STARTUP = """import os, sys
if os.environ.get("COVERAGE_PROCESS_START"):
    sys.path.append({!r})
    import coverage
    coverage.process_startup()
"""
_MEMORY = 12 << 30
"""Most memory of a process of the tests [bytes]: a fault may ask for all there is."""


def python_files() -> list[str]:
    """Return the modules of edgebert that git knows."""
    listed = subprocess.run(["git", "ls-files", "edgebert"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.split() if path.endswith(".py")]


class Copy:
    """A copy of the repository, with a fault in it at times."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
        for name in filter(None, listed.stdout.decode().split("\0")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
        # Python starts with it, so that processes that tests start are looked at, too.
        coverage = importlib.util.find_spec("coverage")
        place = str(Path(coverage.origin).parents[1]) if coverage and coverage.origin else ""
        (folder / "sitecustomize.py").write_text(_STARTUP.format(place))
        self._writes = 0

    def write(self, path: str, text: str) -> None:
        """Write a module; what was compiled of it is out of date."""
        (self.folder / path).write_text(text, encoding="utf-8")
        # Python tells by time and size whether it has to compile a module anew: two faults are as large at times.
        self._writes += 1
        os.utime(self.folder / path, (time.time() + self._writes, time.time() + self._writes))

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of processes that are to import this copy."""
        places = (str(self.folder), str(self.folder / "tools"), os.environ.get("PYTHONPATH", ""))
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        # Threads of BLAS and of several runs at a time would wait for each other.
        kept |= {"OPENBLAS_NUM_THREADS": "1"}
        return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, places)), **more}

    def compile_kernels(self, folder: Path) -> None:
        """Compile what most tests need, which no fault of other modules changes."""
        code = "from edgebert.engine.library import *; from edgebert.engine.processor import *; "
        code += "[load_library(family) for family in (available_families()[0], 'portable')]"
        environment = self.environment(XDG_CACHE_HOME=str(folder))
        subprocess.run([sys.executable, "-c", code], cwd=self.folder, env=environment, check=True)

    def test(self, tests: Iterable[str], seconds: float, kernels: Path | None, **more: str) -> tuple[int, str]:
        """Run tests, or test files, until one fails; return pytest's exit status, -1 if it hangs, and what it says."""
        files = dict.fromkeys(test.partition("::")[0] for test in tests)
        with tempfile.TemporaryDirectory(prefix="mutate") as scratch:
            if any("::" in test for test in tests):  # more of them than a command line takes
                more["MUTATE_ONLY"] = f"{scratch}/only.json"
                Path(more["MUTATE_ONLY"]).write_text(json.dumps(list(tests)), encoding="utf-8")
            if kernels is not None:  # a fault may spoil them
                more["EDGEBERT_TEST_CACHE"] = str(shutil.copytree(kernels, f"{scratch}/kernels"))
            environment = self.environment(**more)
            command = [sys.executable, "-m", "pytest", "-x", "-m", "", "-p", "mutate_plugin", "-p", "no:cacheprovider"]
            # Which reserve more memory than a process may have here.
            command += ["-k", "not sanitizers"]
            with subprocess.Popen(
                [*command, "--tb=line", f"--basetemp={scratch}/base", *files],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY)),
            ) as process:
                hangs, output = False, ""
                try:
                    output = process.communicate(timeout=seconds)[0].decode("utf-8", "replace")
                except subprocess.TimeoutExpired:
                    hangs = True
                finally:  # what the tests started, too
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
        if hangs:
            return -1, f"more than {seconds:.0f} s"
        failed = re.findall(r"^(?:FAILED|ERROR) (.*)$", output, re.MULTILINE)
        return process.returncode, (failed or output.strip().splitlines() or [""])[-1][:300]


def read_map(folder: Path, copies: Queue[Copy], jobs: int, kernels: Path) -> TestMap:
    """Read what is known of each test file from a folder, a JSON file for each; run those that are not there."""
    folder.mkdir(exist_ok=True)
    tests = sorted(str(each.relative_to(ROOT)) for each in (ROOT / "tests").rglob("test_*.py"))
    tests = [test for test in tests if not test.startswith(LEFT_OUT)]

    def read(test: str) -> dict[str, Any]:
        path = folder / f"{test.replace('/', '.')}.json"
        if not path.exists():
            copy = copies.get()
            try:
                row = record(copy.folder, partial(copy.test, [test], SLOWEST, kernels))
            finally:
                copies.put(copy)
            path.write_text(json.dumps(row), encoding="utf-8")
            print(f"{test}: {row['seconds']:.0f} s{', left out: ' * bool(row['said'])}{row['said']}", flush=True)
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    with ThreadPoolExecutor(jobs) as pool:
        return TestMap(dict(zip(tests, pool.map(read, tests), strict=True)), ROOT)


def _is_compiled(path: str) -> bool:
    """Say whether a module is compiled by Numba, of which nothing is seen."""
    plain = (
        "reference.py",
        "reference_heads.py",
        "plan.py",
        "compile.py",
        "jit.py",
        "families.py",
        "__init__.py",
    )
    return path.startswith("edgebert/kernels/") and not path.endswith(plain)


class Run:
    """A run over drawn faults, whose results are kept in a file."""

    def __init__(self, tests: TestMap, copies: Queue[Copy], kernels: Path, output: Path, most: float) -> None:
        self._map, self._copies, self._kernels, self._output, self._most = tests, copies, kernels, output, most
        self.results: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def resume(self) -> None:
        """Take over what an earlier run found."""
        if self._output.exists():
            self.results = json.loads(self._output.read_text(encoding="utf-8"))

    def __call__(self, mutant: Mutant) -> None:
        """Try one fault, if it has not been tried."""
        key = ":".join(map(str, mutant))
        if key in self.results:
            return
        source = (ROOT / mutant.path).read_text(encoding="utf-8")
        begin = time.perf_counter()
        copy = self._copies.get()
        try:
            copy.write(mutant.path, mutant.apply(source))
            outcome = self._outcome(copy, mutant)
        finally:
            copy.write(mutant.path, source)
            self._copies.put(copy)
        seconds = round(time.perf_counter() - begin, 1)
        place = f"{mutant.path}:{mutant.line}"
        result = {"place": place, "kind": mutant.kind, "diff": mutant.diff(source), "seconds": seconds, **outcome}
        with self._lock:
            self.results[key] = result
            self._output.write_text(json.dumps(self.results, indent=1), encoding="utf-8")
            print(f"{len(self.results)} {result['outcome']}: {place} ({seconds} s) {result['said']}", flush=True)
            if result["outcome"] == "survived":
                print(result["diff"], flush=True)

    def _outcome(self, copy: Copy, mutant: Mutant) -> dict[str, Any]:
        more = 0  # seconds, of tests that no map tells about
        if _is_compiled(mutant.path):
            rounds, more = [list(_KERNEL_TESTS)], 120
        elif mutant.path.startswith("edgebert/cuda/"):
            rounds, more = [list(_CUDA_TESTS)], 900
        else:
            rounds = [self._map.tests_for(mutant, self._most), self._map.files_for(mutant, self._most)]
        rounds = [tests for tests in rounds if tests]
        if not rounds:
            return {"outcome": "survived", "said": "no test runs it"}
        # Kernels with a fault are compiled in a folder of their own, which takes its time.
        where = None if mutant.path.startswith("edgebert/kernels/") else self._kernels
        for family in _LOWERINGS.get(mutant.path, ("",)):
            for tests in rounds:
                limit = HANG + 4 * self._map.time_of(tests) + more
                status, said = copy.test(tests, limit, where, **({"MUTATE_FAMILY": family} if family else {}))
                if status == -1:
                    return {"outcome": "hung", "said": said}
                if status not in (0, 5):
                    return {"outcome": "noticed", "said": said}
        return {"outcome": "survived", "said": ""}


def report(mutants: Iterable[Mutant], results: dict[str, dict[str, Any]]) -> str:
    """Return which faults survived, and how many."""
    own = [results[key] for key in (":".join(map(str, mutant)) for mutant in mutants) if key in results]
    survived = [result for result in own if result["outcome"] == "survived"]
    texts = [f"{result['place']} ({result['kind']})\n{result['diff']}\n" for result in survived]
    share = 100 * len(survived) / max(len(own), 1)
    return "\n".join([*texts, f"{len(survived)} of {len(own)} faults passed unnoticed: {share:.1f} %"])


def main() -> None:
    """Draw, run, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--module", action="append", help="only modules whose path begins so; may be repeated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--most", type=float, default=120, help="seconds of tests that a fault is tried on")
    parser.add_argument("--map", type=Path, default=Path("mutation-map"), help="which test runs which lines")
    parser.add_argument("--output", type=Path, default=Path("mutation.json"))
    parser.add_argument("--resume", action="store_true", help="keep the results that --output holds")
    options = parser.parse_args()
    paths = [path for path in python_files() if path.startswith(tuple(options.module or [""]))]
    mutants = draw(ROOT, paths, options.count, options.seed)
    with tempfile.TemporaryDirectory(prefix="mutate") as name:
        copies: Queue[Copy] = Queue()
        for job in range(options.jobs):
            copies.put(Copy(Path(name, str(job))))
        kernels = Path(name, "kernels")
        copies.queue[0].compile_kernels(kernels)
        tests = read_map(options.map, copies, options.jobs, kernels)
        run = Run(tests, copies, kernels, options.output, options.most)
        if options.resume:
            run.resume()
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(run, mutants))
    print(report(mutants, run.results))


if __name__ == "__main__":
    main()
