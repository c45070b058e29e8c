"""The house rules of CONTRIBUTING.md that can be checked, on the syntax trees of the sources."""

from __future__ import annotations

import ast
import functools
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "edgebert").rglob("*.py"))
ALL = sorted([*SOURCES, *(path for name in ("benchmarks", "tests", "tools") for path in (ROOT / name).rglob("*.py"))])
LONGEST_FILE = 400
LONGEST_README = 150
MOST_POSITIONAL = 8
IMPORTS = (ast.Import, ast.ImportFrom)
TOP = {"benchmarks", "edgebert", "tests", "tools", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md"}
TOP |= {"pyproject.toml"}
# Where the rule is not kept yet: this list only gets shorter.
MANY_ARGUMENTS = {
    "edgebert/cli/convert.py:convert": 9,
    "edgebert/cli/evaluate.py:evaluate": 10,
    "edgebert/cuda/attention.py:attend_kernel.attend": 13,
    "edgebert/cuda/heads.py:head_functions.quantize_head": 11,
    "edgebert/cuda/matmul.py:tile_function.copy_stage": 9,
    "edgebert/cuda/matmul.py:tile_function.begin_step": 10,
    "edgebert/cuda/matmul.py:tile_function.add_group": 9,
    "edgebert/cuda/matmul.py:tile_function.compute_tile": 11,
    "edgebert/cuda/matmul.py:project_kernel.project": 12,
    "edgebert/cuda/matmul.py:project_heads_kernel.project_heads": 22,
    "edgebert/cuda/matmul.py:expand_kernel.quantize_group": 11,
    "edgebert/cuda/matmul.py:expand_kernel.expand": 14,
    "edgebert/cuda/rows.py:row_kernels.finish_row": 13,
    "edgebert/cuda/rows.py:embed_kernel.embed": 16,
    "edgebert/cuda/rows.py:add_and_norm_kernel.add_and_norm": 18,
    "edgebert/cuda/rows.py:quantize_rows_kernel.quantize_rows": 11,
    "edgebert/kernels/distances.py:score_distances": 10,
    "edgebert/kernels/product.py:product": 9,
    "edgebert/kernels/project_heads.py:quantize_heads": 11,
    "edgebert/kernels/simd/tile.py:_emit": 9,
    "edgebert/kernels/simd/tile.py:_intrinsic.linear": 21,
    "edgebert/kernels/simd/tile.py:_intrinsic.tile": 12,
}


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(node: ast.AST, prefix: str, *, inner: bool) -> list[tuple[str, ast.FunctionDef]]:
    """Return the functions and methods of a module by their dotted names, with those inside of others if asked for."""
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append((f"{prefix}{child.name}", child))
            found += functions(child, f"{prefix}{child.name}.", inner=inner) if inner else []
        elif isinstance(child, ast.ClassDef):
            found += functions(child, f"{prefix}{child.name}.", inner=inner)
        elif isinstance(child, ast.If | ast.Try | ast.With):
            found += functions(child, prefix, inner=inner)
    return found


def test_files_are_short():
    lines = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in ALL}
    assert {path: count for path, count in lines.items() if count > LONGEST_FILE} == {}


def test_functions_take_few_arguments():
    found = {}
    for path in SOURCES:
        for function, node in functions(tree(path), f"{name(path)}:", inner=True):
            count = len(node.args.posonlyargs) + len(node.args.args)
            count -= bool(node.args.args) and node.args.args[0].arg in ("self", "cls")
            if count > MOST_POSITIONAL:
                found[function] = count
    assert found == MANY_ARGUMENTS


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_what_is_public_is_explained(path):
    assert ast.get_docstring(tree(path)) or not path.read_text(encoding="utf-8").strip()
    silent = [
        function
        for function, node in functions(tree(path), "", inner=False)
        if not any(part.startswith("_") for part in function.split("."))
        and not ast.get_docstring(node)
        and not any(isinstance(each, ast.Name) and each.id == "overload" for each in node.decorator_list)
    ]
    assert silent == []


@pytest.mark.parametrize("path", ALL, ids=name)
def test_all_names_what_is_there(path):
    nodes = list(ast.walk(tree(path)))
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    defined = {node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    imported = {alias.asname or alias.name for node in nodes if isinstance(node, IMPORTS) for alias in node.names}
    for statement in tree(path).body:
        if isinstance(statement, ast.Assign) and any(
            getattr(each, "id", "") == "__all__" for each in statement.targets
        ):
            names = ast.literal_eval(statement.value)
            assert len(names) == len(set(names))
            assert set(names) <= stored | defined | imported


def test_the_readme_is_read():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= LONGEST_README


def test_the_top_has_these_and_nothing_else():
    """Of what git keeps, names that begin with a dot aside; what a user's commands leave there is his own."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {path.partition("/")[0] for path in listed.splitlines()}
    assert {name for name in found if not name.startswith(".")} == TOP
