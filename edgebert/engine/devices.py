"""Where a model computes: on the processor, or on an NVIDIA GPU, whose packages are an extra."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from edgebert.errors import SettingError, shown

__all__ = ["AUTO", "CPU", "CUDA", "DEVICES", "choose_device", "cuda_driver", "missing_for_cuda"]

CPU, CUDA, AUTO = "cpu", "cuda", "auto"
DEVICES = (CPU, CUDA, AUTO)


def choose_device(requested: str | None = None, environment: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Return the device that was asked for, or else that of ``EDGEBERT_DEVICE``, or else the processor.

    Returns
    -------
    device : str
        ``"cpu"`` or ``"cuda"``.
    missing : str
        Why ``"auto"`` is not the GPU; empty otherwise.

    Raises
    ------
    SettingError
        When there is no such device, or it is ``"cuda"`` and something is missing.
    """
    name = "device"
    if requested is None:
        name = "EDGEBERT_DEVICE"
        requested = (os.environ if environment is None else environment).get(name, "").strip() or CPU
    if not isinstance(requested, str) or requested not in DEVICES:
        raise SettingError(f"{name} is {shown(requested)}, expected one of {', '.join(DEVICES)}")
    if requested == CPU:
        return CPU, ""
    missing = missing_for_cuda()
    if missing and requested == CUDA:
        raise SettingError(f"{name} is cuda, and {missing}; 'auto' or 'cpu' computes on the processor")
    return (CPU, missing) if missing else (CUDA, "")


def missing_for_cuda() -> str:
    """Say what is missing to compute on a GPU, and how to get it; empty where nothing is. Numba is not imported."""
    try:
        installed = find_spec("numba_cuda") and find_spec("cuda.bindings")
    except ImportError:
        installed = None
    if not installed:
        return "NVIDIA's compiler packages are not installed: pip install 'numba-cuda[cu13]'"
    driver = cuda_driver()
    try:
        (status,) = driver.cuInit(0)
    except (RuntimeError, OSError):  # no libcuda
        return "no NVIDIA driver is installed: it comes from nvidia.com or the system's packages, for a GPU of theirs"
    if int(status) != 0:
        return f"the NVIDIA driver finds no GPU that can be used ({status.name}): nvidia-smi lists those it has"
    return ""


def cuda_driver() -> Any:
    """Return the module of the driver's functions."""
    from cuda.bindings import driver

    return driver
