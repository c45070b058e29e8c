"""Which device is chosen, and what is said where there is none."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

import edgebert
from edgebert.engine import devices
from edgebert.engine.devices import choose_device, missing_for_cuda
from edgebert.errors import SettingError
from tests.cli.command import run


def test_the_processor_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr(devices, "missing_for_cuda", lambda: pytest.fail("it looked for a GPU"))
    assert choose_device(environment={}) == choose_device("cpu", {"EDGEBERT_DEVICE": "cuda"}) == ("cpu", "")


def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(devices, "missing_for_cuda", lambda: "a screw is loose: turn it")
    assert choose_device("auto") == ("cpu", "a screw is loose: turn it")
    assert choose_device(environment={"EDGEBERT_DEVICE": "auto"})[0] == "cpu"
    with pytest.raises(SettingError, match="device is cuda, and a screw is loose: turn it; 'auto' or 'cpu' computes"):
        choose_device("cuda")
    with pytest.raises(SettingError, match="EDGEBERT_DEVICE is cuda, and a screw"):
        choose_device(environment={"EDGEBERT_DEVICE": "cuda"})


def test_a_gpu_is_taken(monkeypatch):
    monkeypatch.setattr(devices, "missing_for_cuda", lambda: "")
    assert choose_device("auto") == choose_device("cuda") == ("cuda", "")


@pytest.mark.parametrize("name", ["gpu", "CUDA", "cuda:1"])
def test_no_such_device(name):
    with pytest.raises(SettingError, match=f"device is '{name}', expected one of cpu, cuda, auto"):
        edgebert.load(device=name)


def test_without_the_packages(monkeypatch):
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    assert missing_for_cuda().endswith("not installed: pip install 'numba-cuda[cu13]'")


@pytest.mark.parametrize("status", [0, 100])
def test_without_a_gpu(monkeypatch, status):
    class Status(int):
        name = "CUDA_ERROR_NO_DEVICE"

    monkeypatch.setattr(devices, "find_spec", lambda name: name)
    monkeypatch.setattr(devices, "cuda_driver", lambda: SimpleNamespace(cuInit=lambda flags: (Status(status),)))
    assert missing_for_cuda() == (
        "the NVIDIA driver finds no GPU that can be used (CUDA_ERROR_NO_DEVICE): nvidia-smi lists those it has"
        if status
        else ""
    )


def test_without_a_driver(monkeypatch):
    def fail(flags):
        raise RuntimeError("no libcuda")

    monkeypatch.setattr(devices, "find_spec", lambda name: name)
    monkeypatch.setattr(devices, "cuda_driver", lambda: SimpleNamespace(cuInit=fail))
    assert missing_for_cuda().startswith("no NVIDIA driver is installed: ")


def test_nothing_of_it_is_imported_unless_asked_for(run_python):
    code = "import sys, edgebert; edgebert.load(); print([m for m in sys.modules if m.startswith(('cuda', 'numba'))])"
    assert run_python(code).stdout == "[]\n"


@pytest.mark.skipif(not missing_for_cuda(), reason="there is a GPU")
class TestWithoutGpu:
    """The command line, where no GPU can be used."""

    def test_cuda_is_one_line(self):
        result = run("classify", "--device", "cuda", "--text", "x")
        assert (result.returncode, result.stdout) == (1, b"")
        assert result.stderr.startswith(b"edgebert: error: device is cuda, and ")
        assert result.stderr.count(b"\n") == 1

    def test_auto_computes_on_the_processor(self):
        assert run("classify", "--device", "auto", "--text", "x").stdout == run("classify", "--text", "x").stdout

    def test_version_and_doctor_say_so(self):
        version = run("--version", EDGEBERT_DEVICE="auto").stdout.decode()
        assert version.rstrip("\n").endswith(f"; on the processor alone: {missing_for_cuda()}")
        doctor = run("doctor", EDGEBERT_DEVICE="auto").stdout.decode()
        assert f"cpu, though EDGEBERT_DEVICE is auto: {missing_for_cuda()}" in doctor


@pytest.mark.needs_packages
def test_modules_have_the_names_that_are_looked_for():
    """Only where they are installed."""
    pytest.importorskip("numba_cuda")
    from cuda.bindings import driver

    assert isinstance(driver, ModuleType)
    names = "cuInit cuDeviceGet cuDeviceGetName cuDeviceGetAttribute cuDevicePrimaryCtxRetain cuCtxSetCurrent"
    names += " cuDevicePrimaryCtxRelease cuStreamCreate cuStreamDestroy cuStreamSynchronize cuStreamBeginCapture"
    names += " cuStreamEndCapture cuGraphInstantiate cuGraphDestroy cuGraphLaunch cuModuleLoadData cuModuleUnload"
    names += " cuModuleGetFunction cuFuncSetAttribute cuOccupancyMaxActiveBlocksPerMultiprocessor cuLaunchKernel"
    names += " cuMemAlloc cuMemFree cuMemAllocHost cuMemFreeHost cuMemsetD8 cuMemcpyHtoD cuMemcpyHtoDAsync"
    names += " cuMemcpyDtoHAsync cuMemGetInfo cuCtxSynchronize"
    missing = [name for name in names.split() if not hasattr(driver, name)]
    assert (missing, driver.CUstream_flags.CU_STREAM_NON_BLOCKING.value) == ([], 1)
    assert driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL is not None
    assert driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES is not None
    assert "cuda.bindings.driver" in sys.modules
