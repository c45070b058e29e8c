"""The instruction families that kernels are compiled for, best first."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FAMILIES", "LANES", "MATRIX", "InstructionSet", "current", "select"]

LANES = 16
"""Lanes of a float vector, and columns of a weight panel, in every family."""

MATRIX = "tdpbusd"
"""The dot product that works on tile registers rather than vectors."""


class InstructionSet(NamedTuple):
    """One way to multiply int8 matrices, and the processors that can.

    Attributes
    ----------
    name : str
        As in ``EDGEBERT_FAMILY`` and ``edgebert --version``.
    machine : str
        ``platform.machine()`` of its processors; ``""`` for any.
    cpu : str
        LLVM's name of the processor whose scheduling is used.
    needs : tuple of str
        LLVM's names of the features that the code uses and a processor must have.
    dot : str
        The lowering of the int8 dot product, a name in `edgebert.kernels.simd.tile.LOWERINGS`.
    tile_rows, tile_panels : int
        Largest register tile of the int8 matmul: rows by panels of 16 columns.
    fma_rows : int
        Rows of the float32 tile, of one panel.
    deep_tile : tuple of (int, int), optional
        Rows and panels, no more than those, for layers of two int16 steps (`edgebert.quantize.law`); None where
        taking two steps at a time saves nothing.
    signed : bool
        Whether activations are multiplied as int8: they are stored less by 128, and so is their zero point.
    """

    name: str
    machine: str
    cpu: str
    needs: tuple[str, ...]
    dot: str
    tile_rows: int
    tile_panels: int
    fma_rows: int
    deep_tile: tuple[int, int] | None = None
    signed: bool = False

    @property
    def tiles(self) -> dict[int, tuple[int, int]]:
        """Int16 steps -> rows and panels of its largest register tile."""
        return {1: (self.tile_rows, self.tile_panels)} | ({2: self.deep_tile} if self.deep_tile else {})

    @property
    def has_fma(self) -> bool:
        """Whether a float multiply-add is one instruction with one rounding."""
        return bool(self.needs)


_AVX2 = ("sse4.2", "avx", "avx2", "fma", "bmi2", "popcnt")
_AVX512 = (*_AVX2, "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd")
_AMX = (*_AVX512, "avx512vnni", "amx-tile", "amx-int8")
_DOTPROD = ("neon", "lse", "dotprod")

FAMILIES = {
    family.name: family
    for family in (
        InstructionSet("amx", "x86_64", "sapphirerapids", _AMX, MATRIX, 32, 2, 8),
        InstructionSet("avx512_vnni", "x86_64", "cascadelake", (*_AVX512, "avx512vnni"), "vpdpbusd_512", 8, 3, 8),
        InstructionSet("avx512bw", "x86_64", "skylake-avx512", _AVX512, "vpmaddubsw_512", 8, 3, 8, (8, 2)),
        InstructionSet("avx_vnni", "x86_64", "alderlake", (*_AVX2, "avxvnni"), "vpdpbusd_256", 6, 1, 5),
        InstructionSet("avx2", "x86_64", "haswell", _AVX2, "vpmaddubsw_256", 5, 1, 5, (3, 1)),
        InstructionSet("neon_i8mm", "aarch64", "cortex-a76", (*_DOTPROD, "i8mm"), "smmla", 4, 1, 4, signed=True),
        InstructionSet("neon_dotprod", "aarch64", "cortex-a76", _DOTPROD, "sdot", 6, 1, 4, signed=True),
        InstructionSet("neon", "aarch64", "cortex-a72", ("neon",), "smlal", 2, 1, 4, signed=True),
        InstructionSet("portable", "", "", (), "portable", 3, 1, 4),
    )
}
"""Name -> family, in the order of preference."""

_selected: list[InstructionSet] = []


def select(name: str) -> InstructionSet:
    """Choose the family that this process compiles; it cannot be changed afterwards."""
    family = FAMILIES[name]
    if _selected and _selected[0] is not family:
        raise RuntimeError(f"this process compiles {_selected[0].name}; start another for {name}")
    _selected[:] = [family]
    return family


def current() -> InstructionSet:
    """Return the family that this process compiles."""
    return _selected[0]
