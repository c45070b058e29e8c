"""What this machine is: its processor's instruction family, and how many threads to use."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from edgebert.engine.kernel_file import KernelFile, can_compile, find_kernels, given_kernels, this_platform
from edgebert.engine.threads import default_threads
from edgebert.errors import SettingError
from edgebert.kernels.simd.families import FAMILIES

__all__ = ["REFERENCE", "available_families", "choose_family", "describe_machine", "features", "processor_name"]

REFERENCE = "reference"
"""The name of the NumPy oracle where a family's is asked for: slow, and it compiles nothing."""

_FEATURES = {
    **{name: name for name in ("avx", "avx2", "fma", "bmi2", "popcnt")},
    **{name: name for name in ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd")},
    "sse4_2": "sse4.2",
    "avx512_vnni": "avx512vnni",
    "avx_vnni": "avxvnni",
    "amx_tile": "amx-tile",
    "amx_int8": "amx-int8",
}
"""Linux's name of a feature of x86-64, in /proc/cpuinfo -> LLVM's."""
_HWCAP, _HWCAP2 = 16, 26
_CAPABILITIES = {"neon": (_HWCAP, 1), "lse": (_HWCAP, 8), "dotprod": (_HWCAP, 20), "i8mm": (_HWCAP2, 13)}
"""LLVM's name of a feature of AArch64 -> which of Linux's hardware capabilities it is: the word, and the bit in it."""


@functools.cache
def features() -> frozenset[str]:
    """Return LLVM's names of the features that families ask for and this processor has.

    Of systems other than Linux llvmlite knows; without it, none.
    """
    if this_platform() == "linux-aarch64":
        return frozenset(name for name, (word, bit) in _CAPABILITIES.items() if _hardware_capabilities(word) >> bit & 1)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        try:
            import llvmlite.binding as llvm
        except ImportError:
            return frozenset()
        return frozenset(name for name, present in llvm.get_host_cpu_features().items() if present)
    flags = next((line for line in lines if line.partition(":")[0].strip() == "flags"), "")
    return frozenset(_FEATURES[flag] for flag in flags.partition(":")[2].split() if flag in _FEATURES)


def _hardware_capabilities(word: int) -> int:
    """Ask Linux what an Arm processor can do; of one with cores of two kinds it tells what all can."""
    getauxval = ctypes.CDLL(None).getauxval
    getauxval.argtypes, getauxval.restype = [ctypes.c_ulong], ctypes.c_ulong
    return int(getauxval(word))


@functools.cache
def available_families() -> tuple[str, ...]:
    """Return the names of the families that this processor can run, best first."""
    machine = this_platform().partition("-")[2]
    names = [
        family.name
        for family in FAMILIES.values()
        if family.machine in ("", machine) and features().issuperset(family.needs)
    ]
    if "amx" in names and not _may_use_tiles():
        names.remove("amx")
    return tuple(names)


def _may_use_tiles() -> bool:
    """Ask Linux for the tile registers, which it gives to a process only on request."""
    if not sys.platform.startswith("linux"):
        return False
    arch_prctl, request_permission, tile_data = 158, 0x1023, 18
    return ctypes.CDLL(None).syscall(arch_prctl, request_permission, tile_data) == 0


def choose_family(environment: Mapping[str, str] | None = None) -> str:
    """Return the name of the family to use: ``EDGEBERT_FAMILY``, else the best that the processor has.

    Of those, ``EDGEBERT_KERNELS`` leaves the families that it has kernels for, and a computer without Numba those whose
    kernels are there. With ``NUMBA_DISABLE_JIT`` set nothing is to be compiled, and the NumPy reference serves.

    Raises
    ------
    SettingError
        When the one asked for is unknown, or needs instructions that the processor lacks; when ``EDGEBERT_KERNELS`` has
        nothing for this processor.
    """
    environment = os.environ if environment is None else environment
    requested = environment.get("EDGEBERT_FAMILY", "").strip()
    if not requested:
        given = given_kernels(environment)
        if given is not None:
            return _best_of(given)
        if environment.get("NUMBA_DISABLE_JIT", "0").strip() not in ("", "0"):
            return REFERENCE
        best = available_families()[0]
        if find_kernels(best, features()) or can_compile():
            return best
        # The best is what an error will speak of, where there are none at all.
        return next((name for name in available_families() if find_kernels(name, features())), best)
    if requested == REFERENCE or requested in available_families():
        return requested
    if requested in FAMILIES:
        raise SettingError(
            f"EDGEBERT_FAMILY is {requested}, which this processor cannot run; it can run"
            f" {', '.join(available_families())}"
        )
    raise SettingError(
        f"EDGEBERT_FAMILY is {requested!r}, expected one of {', '.join([*available_families(), REFERENCE])}"
    )


def _best_of(given: list[KernelFile]) -> str:
    """Return the best family among given kernels; raise SettingError where this processor can use none of them."""
    names = {file.family for file in given if not file.incompatibility(features())}
    for name in available_families():
        if name in names:
            return name
    reasons = "; ".join(
        f"{file.path}: {file.incompatibility(features()) or 'the system does not allow them'}" for file in given
    )
    raise SettingError(
        f"EDGEBERT_KERNELS has no kernels that can be used here: {reasons}; this processor can run"
        f" {', '.join(available_families())}"
    )


def describe_machine() -> dict[str, str | int]:
    """Return the processor's name, the instruction family that kernels use on it, and the number of threads.

    Raises
    ------
    SettingError
        When a setting of the environment cannot be used.
    """
    return {"processor": processor_name(), "family": choose_family(), "threads": default_threads()}


def processor_name() -> str:
    """Return the processor's name as the operating system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.partition(":")[0].strip() in ("model name", "Model"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    import platform

    return platform.processor() or platform.machine() or "unknown processor"
