"""The functions of `tests.cuda.cases` and `row_cases`, each in a process of its own."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

import edgebert
from edgebert.engine.devices import missing_for_cuda
from tests.golden import GOLDEN

CASES = [
    f"{path.stem}.{name}"
    for path in sorted(Path(__file__).parent.glob("*cases.py"))
    for name in re.findall(r"^def (test_\w+)\(\):", path.read_text(), re.MULTILINE)
]
HAS_NUMBA_CUDA = find_spec("numba_cuda") is not None
PTX = "EDGEBERT_TEST_PTX"
"""What `tests.cuda.cases` takes a capability from, and a product, to interpret what is compiled for it."""

pytestmark = [
    pytest.mark.needs_packages,
    pytest.mark.skipif(not HAS_NUMBA_CUDA and os.environ.get("CI") != "true", reason="no numba-cuda"),
]


@pytest.fixture
def run_case(run_python):
    """Return a function that runs a case: on a GPU if there is one, else simulated; or by its PTX for another GPU."""

    def run(name, *arguments, ptx=""):
        environment = {"NUMBA_ENABLE_CUDASIM": "1"} if missing_for_cuda() else {}
        if ptx:
            environment = {"NUMBA_ENABLE_CUDASIM": "0", PTX: ptx}
        code = f"import sys; from tests.cuda import cases, row_cases; {name}(*sys.argv[1:])"
        return run_python(code, *arguments, environment=environment, timeout=600)

    return run


@pytest.mark.parametrize("name", CASES)
def test_kernel(run_case, name):
    run_case(name)


@pytest.mark.parametrize("name", CASES)
def test_ptx_of_a_kernel(run_case, name):
    run_case(name, ptx="8.0")


@pytest.mark.parametrize("ptx", ["7.5", "7.5 dp4a"])
def test_ptx_of_other_products(run_case, ptx):
    run_case("cases.test_project", ptx=ptx)
    run_case("cases.test_project_with_one_stage", ptx=ptx)
    run_case("cases.test_attend", ptx=ptx)


WINDOW = """
import numpy as np
from edgebert.cuda import attention
from tests.cuda import cases
multiply, calls = attention.mma_s8, []
attention.mma_s8 = lambda *values: calls.append(0) or multiply(*values)
rng = np.random.default_rng(0)
reaches = ((0, False), (0, True), (3, False), (3, True))
with cases.kernels(cases.SHAPE._replace(reaches=reaches)) as (device, _):
    for window, causal in reaches:
        calls.clear()
        attention = cases.wide(1, window=window, causal=causal)
        cases.attended(device, rng.normal(size=(96, 3 * 32)).astype(np.float32), [96], attention)
        print(len(calls) // (32 * 4 * 2))
"""
"""Count blocks of 32 keys: products of 32 lanes, four in a block, which is visited twice."""


def test_attention_costs_what_it_reaches(run_python):
    """The six tiles of 16 queries reach, three keys to either side, 1, 2, 2, 2, 2 and 1 blocks of the three.

    What is before, 1, 1, 2, 2, 3 and 3; three keys of it 1, 1, 2, 1, 2 and 1.
    """
    process = run_python(WINDOW, environment={"NUMBA_ENABLE_CUDASIM": "1"})
    assert process.stdout.split() == ["18", "12", "10", "8"]


def test_a_model_of_new_parts(run_case):
    """Simulated alone: its kernels are interpreted each by itself."""
    run_case("cases.check_new_parts")


def test_decoder(run_case):
    """By its PTX alone: simulated, it takes minutes."""
    run_case("cases.check_decoder", ptx="9.0")


@pytest.mark.parametrize(("name", "embeddings"), [("electra-token", "int4"), ("mpnet-token", "int8")])
def test_whole_model(run_case, tmp_path, name, embeddings):
    """One whose embeddings are projected, in four bits; one with learned distances."""
    path = edgebert.convert(GOLDEN / "families" / name, tmp_path / "m.edgebert", embeddings=embeddings, force=True)
    run_case("cases.test_model", path)
