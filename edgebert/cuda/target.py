"""What GPUs of a compute capability can do, and which of them kernels are being compiled for."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Target", "current", "select", "target_of"]


class Target(NamedTuple):
    """A generation of GPUs.

    Attributes
    ----------
    capability : (int, int)
        NVIDIA's compute capability.
    product : str
        How 16 rows of 32 bytes are multiplied by 8 columns: ``"m16n8k32"``, one instruction of the tensor cores;
        ``"m8n8k16"``, four smaller ones; ``"dp4a"``, without tensor cores.
    copies_alone : bool
        Whether memory can be copied into shared memory while the threads compute (``cp.async``).
    shared_bytes : int
        Shared memory that one block can have.
    warps : int
        That compute a tile of a product together.
    """

    capability: tuple[int, int]
    product: str
    copies_alone: bool
    shared_bytes: int
    warps: int = 8

    @property
    def architecture(self) -> str:
        """NVIDIA's name of it for compilers, like sm_90."""
        return f"sm_{self.capability[0]}{self.capability[1]}"


_SHARED_KIB = {(7, 5): 64, (8, 0): 163, (8, 7): 163, (9, 0): 227, (10, 0): 227, (10, 3): 227, (11, 0): 227}
"""CUDA C++ programming guide, "technical specifications": most shared memory of a block, where it is not 99 KiB."""


def target_of(capability: tuple[int, int], product: str | None = None) -> Target:
    """Return the target of a compute capability, with the best product that it has unless told which."""
    best = "m16n8k32" if capability >= (8, 0) else "m8n8k16" if capability >= (7, 5) else "dp4a"
    shared = _SHARED_KIB.get(capability, 99 if capability >= (8, 0) else 48)
    return Target(capability, product or best, capability >= (8, 0), 1024 * shared)


_selected: Target | None = None


def select(target: Target) -> None:
    """Choose what operations are lowered to from now on; a process that compiles chooses once."""
    global _selected
    _selected = target


def current() -> Target:
    """Return the chosen target; the best there is where none was chosen."""
    return _selected or target_of((9, 0))
