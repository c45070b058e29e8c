"""One-line faults: drawn the same for a seed, still Python, and counted right."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path
from queue import Queue

import mutate
import mutation_map
import pytest
from mutants import draw, mutants_of

from tests.selection import few

ROOT = Path(__file__).parents[2]
MODULES = ("edgebert/config.py", "edgebert/tokens.py", "edgebert/kernels/attention.py")
SOURCE = '''"""A module."""

__all__ = ["larger"]

_LIMIT: int = 3


def larger(a: int, b: int = 0, *, strictly: bool = False) -> int:
    """Return the larger one."""
    if strictly and a == b:
        raise ValueError("they are 1 and the same")
    return a if a > b else b


def countdown(n):
    while n > 0:
        n -= 1
    return n
'''
TEST = """
from edgebert.larger import countdown, larger


def test_larger():
    assert larger(2, 1) == 2
    assert larger(1, 2) == 2


def test_countdown():
    assert countdown(2) == 0
"""


def lines_of(mutants):
    """Return each line as the faults make it."""
    return {mutant.apply(SOURCE).splitlines()[mutant.line - 1].strip() for mutant in mutants if mutant.changes(SOURCE)}


def test_faults_of_a_module():
    found = lines_of(mutants_of("edgebert/larger.py", SOURCE))
    assert {
        "return a if a >= b else b",
        "return a if a < b else b",
        "return b",
        "return None",
        "if strictly:",
        "if a == b:",
        "if strictly and a != b:",
        "if False:",
        "n += 1",
        "pass",
        "while n >= 0:",
        "while n > 1:",
        "_LIMIT: int = 4",
        "def larger(a: int, b: int = 1, *, strictly: bool = False) -> int:",
        "def larger(a: int, b: int = 0, *, strictly: bool = True) -> int:",
    } <= found
    for left_alone in ("module", "__all__", "they are", "Return the"):
        assert not any(left_alone in line for line in found)


@pytest.mark.parametrize("module", few(MODULES, "edgebert/config.py"))
def test_every_fault_is_of_one_line_and_python(module):
    source = (ROOT / module).read_text(encoding="utf-8")
    drawn = draw(ROOT, [module], 60, 7)
    assert len(drawn) == 60
    for mutant in drawn:
        changed = mutant.apply(source)
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))
        pairs = zip(source.splitlines(), changed.splitlines(), strict=True)
        assert [i for i, (old, new) in enumerate(pairs, 1) if old != new] == [mutant.line]
        assert mutant.diff(source).splitlines()[0][1:] == source.splitlines()[mutant.line - 1]


def test_a_seed_draws_the_same_faults():
    modules = ["edgebert/batch.py", "edgebert/tokens.py", "edgebert/words.py"]
    drawn = draw(ROOT, modules, 40, 1)
    assert drawn == draw(ROOT, modules[::-1], 40, 1)
    assert drawn != draw(ROOT, modules, 40, 2)
    assert drawn[:10] == draw(ROOT, modules, 10, 1)
    assert len({(mutant.path, mutant.line) for mutant in drawn}) == 40
    assert len({mutant.kind for mutant in drawn}) > 5


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a run over a repository of one module and its tests."""
    root = tmp_path / "root"
    files = {"edgebert/__init__.py": "", "edgebert/larger.py": SOURCE, "tests/test_larger.py": TEST}
    for name, text in {**files, "tools/mutate_plugin.py": ""}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "add", "."], cwd=root, check=True)
    monkeypatch.setattr(mutate, "ROOT", root)
    monkeypatch.setattr(mutate, "HANG", 1)
    copies = Queue()
    copies.put(mutate.Copy(tmp_path / "copy"))
    lines = {"edgebert/larger.py": list(range(1, SOURCE.count("\n") + 1))}
    tests = {f"tests/test_larger.py::test_{name}": {"seconds": 1, "lines": lines} for name in ("larger", "countdown")}
    found = mutation_map.TestMap({"tests/test_larger.py": {"seconds": 2, "said": "", "tests": tests}}, root)
    (tmp_path / "kernels").mkdir()
    return mutate.Run(found, copies, tmp_path / "kernels", tmp_path / "mutation.json", 100)


def test_what_runs_at_import_is_tried_on_tests_of_every_file(tmp_path):
    (tmp_path / "edgebert").mkdir()
    (tmp_path / "edgebert" / "larger.py").write_text(SOURCE)

    def tests(file, **lines):
        row = {
            f"tests/{file}::{name}": {"seconds": 1, "lines": {"edgebert/larger.py": own}} for name, own in lines.items()
        }
        return {"seconds": 2, "said": "", "tests": row}

    found = mutation_map.TestMap(
        {
            "tests/test_a.py": tests("test_a.py", x=[5, 8, 10, 12], y=[8, 10, 12]),
            "tests/test_b.py": tests("test_b.py", x=[8], y=[8, 12]),
        },
        tmp_path,
    )
    by_line = {mutant.line: found.tests_for(mutant, 2) for mutant in mutants_of("edgebert/larger.py", SOURCE)}
    # The third line from above runs once, and coverage puts it down to whichever test came first.
    assert sorted(by_line[5]) == ["tests/test_a.py::x", "tests/test_b.py::y"]
    assert sorted(by_line[8]) == sorted(by_line[5])  # a default, too
    assert sorted(by_line[12]) == ["tests/test_a.py::x", "tests/test_a.py::y"]


@pytest.mark.slow
def test_what_the_tests_notice(run, capsys):
    mutants = [mutant for mutant in mutants_of("edgebert/larger.py", SOURCE) if mutant.line == 12 or mutant.line == 17]
    wanted = {
        "return a if a >= b else b": "survived",
        "return a if a < b else b": "noticed",
        "return a": "noticed",
        "n += 1": "hung",
    }
    chosen = {next(iter(lines_of([mutant]))): mutant for mutant in mutants if mutant.changes(SOURCE)}
    for line in wanted:
        run(chosen[line])
    outcomes = {result["diff"].splitlines()[1][1:].strip(): result["outcome"] for result in run.results.values()}
    assert outcomes == wanted
    report = mutate.report([chosen[line] for line in wanted], run.results)
    assert report.endswith("1 of 4 faults passed unnoticed: 25.0 %")
    assert "edgebert/larger.py:12" in report
    assert "edgebert/larger.py:17" not in report
    run.results.clear()
    run.resume()
    assert len(run.results) == 4
