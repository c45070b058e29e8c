"""The driver's errors, and the programs that are kept."""

from __future__ import annotations

import os
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from edgebert.cuda import program
from edgebert.cuda.device import Device
from edgebert.cuda.shape import Shape
from edgebert.errors import EdgebertError
from tests.cuda.plain import PLAIN

needs_numba_cuda = pytest.mark.skipif(
    find_spec("numba_cuda") is None and os.environ.get("CI") != "true", reason="no numba-cuda"
)
SHAPE = Shape(64, 64, 16, False, False, 64, "erf", (64,), (64,), **PLAIN)


class Status(int):
    """A status of the driver."""

    name = "CUDA_ERROR_OUT_OF_MEMORY"


def test_what_the_driver_reports_is_said():
    with pytest.raises(EdgebertError, match="the GPU's driver reported CUDA_ERROR_OUT_OF_MEMORY; device='cpu'"):
        Device(SimpleNamespace(cuInit=lambda flags: (Status(2),)))


@pytest.mark.needs_packages
@needs_numba_cuda
def test_a_program_is_compiled_once(monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code = program.load_program(SHAPE, (8, 0))
    assert code[:4] == b"\x7fELF"
    assert "compiling its kernels for this GPU and model, once" in capfd.readouterr().err
    monkeypatch.setattr(program, "run_compiler", lambda *_: pytest.fail("it compiled again"))
    assert program.load_program(SHAPE, (8, 0)) == code
    monkeypatch.setattr(program, "run_compiler", lambda *_: b"another")
    assert (
        program.load_program(SHAPE, (9, 0)) == program.load_program(SHAPE._replace(form="tanh"), (8, 0)) == b"another"
    )


@pytest.mark.needs_packages
@needs_numba_cuda
def test_a_program_that_cannot_be_kept_is_used(monkeypatch, tmp_path, capfd):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(program, "run_compiler", lambda *_: b"code")
    assert program.load_program(SHAPE, (8, 0)) == b"code"
    assert "the kernels could not be kept" in capfd.readouterr().err


@pytest.mark.needs_packages
@needs_numba_cuda
def test_a_gpu_that_the_compiler_does_not_know(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(EdgebertError, match=r"for a GPU of compute capability 6\.0 could not be compiled: .*cu12"):
        program.load_program(SHAPE, (6, 0))
    assert not list(tmp_path.rglob("*.cubin"))
