"""Put one-line faults into edgebert, one at a time, and tell which the tests do not notice.

    python tools/mutate.py --count 300 --seed 1                        # an hour on two cores
    python tools/mutate.py --count 60 --module edgebert/tasks
    python tools/mutate.py --count 300 --seed 1 --resume               # what is missing of an earlier run

Every fault (`mutants`) gets into a copy of the repository, and the tests that run its line are run there until one
fails: first those that mirror its module, then those that run most of the module, as long as they take no more than
``--most`` seconds in all. Which test file runs which line is found out once and kept (``--map``), with the coverage
package; the kernels, which are compiled in another process, are tried on the tests of `_KERNEL_TESTS` for one
instruction family, or those that a lowering is for. A fault that makes the tests hang is noticed.

Results stand in ``mutation.json``; it is kept after each fault.
"""

from __future__ import annotations

import argparse
import ast
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
from pathlib import Path
from queue import Queue
from typing import Any

from mutants import Mutant, draw

ROOT = Path(__file__).parents[1]
FAMILY = "EDGEBERT_MUTATE_FAMILY"
"""The family that tests are kept to, in the environment of `one_family`."""
HANG = 60
"""Seconds that a run may take beside four times what its tests take, or else it hangs."""
_SLOWEST = 180
"""Seconds beyond which a test file is left out."""
_LEFT_OUT = ("tests/tools/", "tests/benchmarks/", "tests/emulator/")
_KERNEL_TESTS = (
    "tests/kernels/test_matmul.py",
    "tests/kernels/test_attention.py",
    "tests/kernels/test_quantize_rows.py",
    "tests/kernels/test_layer_norm.py",
    "tests/kernels/test_activation.py",
    "tests/kernels/test_dense.py",
    "tests/engine/test_encoder.py",
    "tests/test_kinds.py",
    "tests/engine/test_team.py",
)
_LOWERINGS = {
    "edgebert/kernels/simd/neon.py": ("neon_dotprod", "neon"),
    "edgebert/kernels/simd/portable.py": ("portable",),
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

    def test(self, files: Iterable[str], seconds: float, kernels: Path | None, **more: str) -> tuple[int, str]:
        """Run test files until one fails; return pytest's exit status and the last that it says, -1 if it hangs."""
        with tempfile.TemporaryDirectory(prefix="mutate") as scratch:
            if kernels is not None:  # a fault may spoil them
                more["EDGEBERT_TEST_CACHE"] = str(shutil.copytree(kernels, f"{scratch}/kernels"))
            environment = self.environment(**more)
            command = [sys.executable, "-m", "pytest", "-x", "-p", "one_family", "-p", "no:cacheprovider"]
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


class Map:
    """Which test file runs which lines, and how long it takes.

    Attributes
    ----------
    lines : dict
        Test file -> module -> lines that it runs.
    seconds : dict
        Test file -> how long it takes with coverage [s].
    imported : dict
        Module -> lines that run whenever it is imported.
    """

    def __init__(self, found: dict[str, Any]) -> None:
        self.seconds: dict[str, float] = found["seconds"]
        self.lines = {test: {path: set(n) for path, n in of.items()} for test, of in found["lines"].items()}
        self.imported = {path: set(numbers) for path, numbers in found["imported"].items()}

    @classmethod
    def read_or_make(cls, path: Path, copies: Queue[Copy], jobs: int, kernels: Path) -> Map:
        """Read the file; run every test file that it does not know, and write it anew after each."""
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"seconds": {}, "lines": {}}
        tests = sorted(str(each.relative_to(ROOT)) for each in (ROOT / "tests").rglob("test_*.py"))
        tests = [test for test in tests if not test.startswith(_LEFT_OUT) and test not in found["seconds"]]
        lock = threading.Lock()

        def add(test: str) -> None:
            seconds, lines = _measure(test, copies, kernels)
            with lock:
                found["seconds"][test], found["lines"][test] = seconds, lines
                path.write_text(json.dumps(found), encoding="utf-8")

        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(add, tests))
        return cls({**found, "imported": _imported_lines()})

    def tests_for(self, mutant: Mutant, most: float) -> list[str]:
        """Return the test files that run the line of a fault, in the order that they are run in."""
        own = {test: len(of.get(mutant.path, set()) - self.imported[mutant.path]) for test, of in self.lines.items()}
        whole = _statement(mutant)
        touching = [test for test, of in self.lines.items() if whole & of.get(mutant.path, set())]
        if _is_compiled(mutant.path):
            touching = [test for test in _KERNEL_TESTS if test in self.seconds]
        else:
            touching.sort(key=lambda test: (-own[test] / (1 + self.seconds[test] / 30), self.seconds[test]))
        mirrors = [test for test in touching if _mirrors(test, mutant.path)]
        chosen, seconds = [], 0.0
        for test in dict.fromkeys([*mirrors, *touching]):
            if not chosen or seconds + self.seconds[test] <= most:
                chosen.append(test)
                seconds += self.seconds[test]
        return chosen


def _mirrors(test: str, path: str) -> bool:
    """Say whether a test file is a module's own: ``tests/heads/test_tokens.py`` of ``edgebert/heads/tokens.py``."""
    module = Path(path).relative_to("edgebert").with_suffix("")
    place = Path(test).relative_to("tests")
    return place.parent == module.parent and place.stem == f"test_{module.name}"


def _is_compiled(path: str) -> bool:
    """Say whether a module is compiled by Numba, of which nothing is seen."""
    plain = ("reference.py", "plan.py", "polynomials.py", "compile.py", "jit.py", "families.py", "__init__.py")
    return path.startswith("edgebert/kernels/") and not path.endswith(plain)


def _measure(test: str, copies: Queue[Copy], kernels: Path) -> tuple[float, dict[str, list[int]]]:
    """Run a test file under coverage; return its seconds and the lines that it runs, none where it fails."""
    import coverage

    copy = copies.get()
    try:
        with tempfile.TemporaryDirectory() as folder:
            settings = Path(folder, "coveragerc")
            settings.write_text(
                f"[run]\nsource = {copy.folder / 'edgebert'}\nparallel = true\ndata_file = {folder}/data\n"
            )
            begin = time.perf_counter()
            status, said = copy.test([test], _SLOWEST, kernels, COVERAGE_PROCESS_START=str(settings))
            seconds = time.perf_counter() - begin
            if status not in (0, 5):
                print(f"{test} fails without any fault, and is left out: {said}", flush=True)
                return seconds, {}
            data = coverage.CoverageData(f"{folder}/whole")
            for part in Path(folder).glob("data*"):
                each = coverage.CoverageData(str(part))
                each.read()
                data.update(each)
            root = copy.folder
            lines = {
                str(Path(name).relative_to(root)): sorted(data.lines(name) or ()) for name in data.measured_files()
            }
            print(f"{test}: {seconds:.0f} s", flush=True)
            return seconds, lines
    finally:
        copies.put(copy)


def _imported_lines() -> dict[str, list[int]]:
    """Return the lines of every module that stand in no function."""
    result = {}
    for path in python_files():
        source = (ROOT / path).read_text(encoding="utf-8")
        inside: set[int] = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                inside |= set(range(node.body[0].lineno, (node.end_lineno or 0) + 1))
        result[path] = sorted(set(range(1, source.count("\n") + 2)) - inside)
    return result


def _statement(mutant: Mutant) -> set[int]:
    """Return the lines of the innermost statement that a fault is in; of one with a body, those before the body."""
    best = {mutant.line}
    for node in ast.walk(ast.parse((ROOT / mutant.path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.stmt) and node.lineno <= mutant.line <= (node.end_lineno or 0):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or 0
            best = set(range(node.lineno, max(last, node.lineno) + 1))  # inner ones come later
    return best | {mutant.line}


class Run:
    """A run over drawn faults, whose results are kept in a file."""

    def __init__(self, tests: Map, copies: Queue[Copy], kernels: Path, output: Path, most: float) -> None:
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
        files = self._map.tests_for(mutant, self._most)
        if not files:
            return {"outcome": "survived", "said": "no test runs it", "tests": []}
        compiled = _is_compiled(mutant.path)
        for family in _LOWERINGS.get(mutant.path, ("",)):
            # Kernels with a fault are compiled in a folder of their own, which takes its time.
            limit = HANG + 4 * sum(self._map.seconds[test] for test in files) + 120 * compiled
            where = None if mutant.path.startswith("edgebert/kernels/") else self._kernels
            status, said = copy.test(files, limit, where, **({FAMILY: family} if family else {}))
            if status == -1:
                return {"outcome": "hung", "said": said, "tests": files}
            if status not in (0, 5):
                return {"outcome": "noticed", "said": said, "tests": files}
        return {"outcome": "survived", "said": "", "tests": files}


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
    parser.add_argument("--map", type=Path, default=Path("mutation-map.json"), help="which test runs which lines")
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
        tests = Map.read_or_make(options.map, copies, options.jobs, kernels)
        run = Run(tests, copies, kernels, options.output, options.most)
        if options.resume:
            run.resume()
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(run, mutants))
    print(report(mutants, run.results))


if __name__ == "__main__":
    main()
