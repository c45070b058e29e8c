"""Which test runs which lines of edgebert, and how long it takes: found out once, with the coverage package."""

from __future__ import annotations

import ast
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mutants import Mutant

__all__ = ["TestMap", "mirrors", "record"]

_SETTINGS = """[run]
source = {folder}/edgebert
parallel = true
data_file = {scratch}/data
context = ${{MUTATE_TEST-}}
"""


def record(folder: Path, run: Callable[..., tuple[int, str]]) -> dict[str, Any]:
    """Run a test file under coverage.

    Parameters
    ----------
    folder : Path
        The copy of the repository that it runs in.
    run : callable
        Runs it, with more of an environment as keywords; returns pytest's exit status and what it says.

    Returns
    -------
    dict
        ``seconds`` of the whole file, ``said`` where it fails, and ``tests``: name -> ``seconds`` and ``lines``, these
        as module -> list of int.
    """
    import coverage

    with tempfile.TemporaryDirectory() as scratch:
        settings, names = Path(scratch, "coveragerc"), Path(scratch, "names.json")
        settings.write_text(_SETTINGS.format(folder=folder, scratch=scratch), encoding="utf-8")
        begin = time.perf_counter()
        status, said = run(COVERAGE_PROCESS_START=str(settings), MUTATE_RECORD=str(names), MUTATE_TEST="")
        row: dict[str, Any] = {"seconds": time.perf_counter() - begin, "said": "", "tests": {}}
        if status not in (0, 5):
            return {**row, "said": said or f"exit {status}"}
        ran = json.loads(names.read_text(encoding="utf-8"))
        tests = [{"seconds": seconds, "lines": {}} for _, seconds in ran]
        for part in Path(scratch).glob("data*"):
            data = coverage.CoverageData(str(part))
            data.read()
            for file in data.measured_files():
                module = str(Path(file).relative_to(folder))
                for line, contexts in data.contexts_by_lineno(file).items():
                    # Of a process that a test started, the number is the static part: "3|".
                    for number in {context.partition("|")[0] for context in contexts} - {""}:
                        tests[int(number)]["lines"].setdefault(module, set()).add(line)
        for (name, _), each in zip(ran, tests, strict=True):
            each["lines"] = {module: sorted(lines) for module, lines in each["lines"].items()}
            row["tests"][name] = each
        return row


def mirrors(test: str, path: str) -> bool:
    """Say whether a test is in a module's own file: ``tests/heads/test_tokens.py`` of ``edgebert/heads/tokens.py``."""
    module = Path(path).relative_to("edgebert").with_suffix("")
    place = Path(test.partition("::")[0]).relative_to("tests")
    return place.parent == module.parent and place.stem == f"test_{module.name}"


class TestMap:
    """What is known of all test files.

    Parameters
    ----------
    rows : dict of str to dict
        Test file -> what `record` returned.
    root : Path
        The repository.
    """

    __test__ = False

    def __init__(self, rows: dict[str, dict[str, Any]], root: Path) -> None:
        self._root = root
        self.seconds = {file: row["seconds"] for file, row in rows.items() if not row["said"]}
        self._tests: dict[str, float] = {}
        self._lines: dict[str, dict[str, set[int]]] = {}
        for row in rows.values():
            for name, each in row["tests"].items():
                self._tests[name] = each["seconds"]
                for module, lines in each["lines"].items():
                    self._lines.setdefault(module, {})[name] = set(lines)

    def tests_for(self, mutant: Mutant, most: float) -> list[str]:
        """Return the tests that run the line of a fault, or else its module, file by file, of `most` seconds in all."""
        whole, once = _statement(self._root / mutant.path, mutant.line)
        of_module = self._lines.get(mutant.path, {})
        touching = [] if once else [name for name, lines in of_module.items() if whole & lines]
        if touching:
            touching.sort(key=lambda name: (not mirrors(name, mutant.path), self._tests[name]))
        else:  # what runs once, when the module is imported, shows anywhere: of each file the test that runs most first
            touching = _in_turn(sorted(of_module, key=lambda name: -len(of_module[name])))
            touching.sort(key=lambda name: not mirrors(name, mutant.path))
        chosen, seconds = [], 0.0
        for name in touching:
            if not chosen or seconds + self._tests[name] <= most:
                chosen.append(name)
                seconds += self._tests[name]
        files = list(dict.fromkeys(name.partition("::")[0] for name in chosen))
        return sorted(chosen, key=lambda name: files.index(name.partition("::")[0]))

    def files_for(self, mutant: Mutant, most: float) -> list[str]:
        """Return whole test files, of `most` seconds in all: the module's own, then those that run most of it."""
        own: dict[str, int] = {}
        for name, lines in self._lines.get(mutant.path, {}).items():
            file = name.partition("::")[0]
            own[file] = max(own.get(file, 0), len(lines))
        files = sorted(own, key=lambda file: (not mirrors(file, mutant.path), -own[file] / (10 + self.seconds[file])))
        chosen, seconds = [], 0.0
        for file in files:
            if seconds + self.seconds[file] <= most:
                chosen.append(file)
                seconds += self.seconds[file]
        return chosen

    def time_of(self, tests: list[str]) -> float:
        """Return how long tests or test files take [s]."""
        return sum(self.seconds.get(test, self._tests.get(test, 0.0)) for test in tests)


def _in_turn(tests: list[str]) -> list[str]:
    """Return tests so that the first of each file come first, then the second of each, and so on."""
    seen: Counter[str] = Counter()
    turns = []
    for test in tests:
        file = test.partition("::")[0]
        turns.append(seen[file])
        seen[file] += 1
    return [test for _, test in sorted(zip(turns, tests, strict=True), key=lambda pair: pair[0])]


def _statement(path: Path, line: int) -> tuple[set[int], bool]:
    """Return the lines of the innermost statement around a line; of one with a body, those before the body.

    And whether it runs once, when the module is imported, which is put down to the one test that imports it first.
    """
    best, once = {line}, True
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0):
            once = once and not (isinstance(node, ast.FunctionDef) and node.body[0].lineno <= line)
            # Inner ones come later. The head of a function, with its defaults, runs once; what it says, in the body.
            body = None if isinstance(node, ast.FunctionDef) else getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or 0
            best = set(range(node.lineno, max(last, node.lineno) + 1))
    return best | {line}, once
