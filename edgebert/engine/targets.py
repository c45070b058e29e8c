"""What kernels can be compiled for, by the names that people know."""

from __future__ import annotations

from typing import NamedTuple

from edgebert.engine.kernel_file import this_platform
from edgebert.engine.processor import available_families
from edgebert.errors import SettingError
from edgebert.kernels.simd.families import FAMILIES

__all__ = ["NAMES", "Target", "find_target"]

NAMES = {
    "raspberrypi3": "neon",
    "raspberrypi4": "neon",
    "raspberrypi5": "neon_dotprod",
    "x86-64-v3": "avx2",
    "x86-64-v4": "avx512bw",
    # LLVM's names of processors
    **dict.fromkeys(("cortex-a53", "cortex-a57", "cortex-a72", "cortex-a73"), "neon"),
    **dict.fromkeys(
        ("cortex-a55", "cortex-a75", "cortex-a76", "cortex-a77", "cortex-a78", "neoverse-n1"), "neon_dotprod"
    ),
    **dict.fromkeys(("cortex-a510", "cortex-a710", "cortex-x2", "neoverse-n2", "neoverse-v1"), "neon_i8mm"),
    **dict.fromkeys(("haswell", "broadwell", "skylake", "znver1", "znver2", "znver3"), "avx2"),
    **dict.fromkeys(("alderlake", "raptorlake", "arrowlake", "lunarlake", "gracemont"), "avx_vnni"),
    "skylake-avx512": "avx512bw",
    **dict.fromkeys(("cascadelake", "icelake-client", "icelake-server", "tigerlake", "rocketlake"), "avx512_vnni"),
    **dict.fromkeys(("znver4", "znver5"), "avx512_vnni"),
    **dict.fromkeys(("sapphirerapids", "emeraldrapids", "graniterapids"), "amx"),
}
"""Name of a computer or a processor -> the best family that it can run. The families' own names serve as well."""


class Target(NamedTuple):
    """What kernels are compiled for.

    Attributes
    ----------
    family : str
    platform : str
        As `edgebert.engine.kernel_file.this_platform` has it.
    """

    family: str
    platform: str


def find_target(name: str) -> Target:
    """Return the target of a name: ``native``, one of `NAMES`, or a family.

    Kernels for another kind of processor than this are for Linux.

    Raises
    ------
    SettingError
        When the name is not known.
    """
    if name == "native":
        return Target(available_families()[0], this_platform())
    family = NAMES.get(name, name)
    if family not in FAMILIES:
        raise SettingError(
            f"there is no target {name!r}, expected native, a family ({', '.join(FAMILIES)}), or one of"
            f" {', '.join(NAMES)}"
        )
    machine = FAMILIES[family].machine
    own = this_platform()
    return Target(family, own if machine in ("", own.partition("-")[2]) else f"linux-{machine}")
