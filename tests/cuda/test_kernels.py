"""The functions of `tests.cuda.cases`, each in a process of its own."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

import edgebert
from edgebert.engine.devices import missing_for_cuda
from tests.golden import GOLDEN

CASES = re.findall(r"^def (test_\w+)\(\):", (Path(__file__).parent / "cases.py").read_text(), re.MULTILINE)
HAS_NUMBA_CUDA = find_spec("numba_cuda") is not None
MODELS = (("bert-token", "int4"), ("electra-token", "int8"), ("mpnet-token", "int8"))
"""One with word embeddings in four bits, one whose embeddings are projected, one with learned distances."""


pytestmark = pytest.mark.skipif(not HAS_NUMBA_CUDA and os.environ.get("CI") != "true", reason="no numba-cuda")


@pytest.fixture
def run_case(run_python):
    """Return a function that runs a case, in the simulator where there is no GPU."""

    def run(name, *arguments):
        environment = {"NUMBA_ENABLE_CUDASIM": "1"} if missing_for_cuda() else {}
        code = f"import sys; from tests.cuda import cases; cases.{name}(*sys.argv[1:])"
        return run_python(code, *arguments, environment=environment, timeout=400)

    return run


@pytest.mark.parametrize("name", CASES)
def test_kernel(run_case, name):
    run_case(name)


@pytest.mark.parametrize(("name", "embeddings"), MODELS)
def test_whole_model(run_case, tmp_path, name, embeddings):
    path = edgebert.convert(GOLDEN / "families" / name, tmp_path / "m.edgebert", embeddings=embeddings, force=True)
    run_case("test_model", path)
