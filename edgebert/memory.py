"""A limit to a process's memory, kept by how many tokens a forward pass takes."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgebert.errors import MemoryWarning, SettingError, shown

if TYPE_CHECKING:
    import resource

__all__ = ["MemoryLimit", "memory_limit", "parse_size", "peak_bytes", "peak_memory", "resident_memory"]

_UNITS = {"": 1, "b": 1, **{f"{unit}b": 1000**i for i, unit in enumerate("kmgt", 1)}}
_UNITS |= {f"{unit}ib": 1024**i for i, unit in enumerate("kmgt", 1)}
_SLACK = 6_000_000
"""For what comes and goes: the texts of a batch, its tokens, its answers, the stacks of threads [bytes]."""


def parse_size(value: str | int, name: str = "max_memory") -> int:
    """Read a number of bytes: ``"200MB"``, ``"1.5 GB"``, ``"512MiB"``, or the number itself.

    Raises
    ------
    SettingError
    """
    text = value.strip().lower() if isinstance(value, str) else str(value) if _is_size(value) else ""
    found = re.fullmatch(r"(\d{1,20}(?:\.\d{1,20})?)\s*([a-z]*)", text)
    if not found or found[2] not in _UNITS or not float(found[1]):
        raise SettingError(
            f"{name} is {shown(value)}, expected a size such as 200MB, 1.5GB or 512MiB, or a number of bytes"
        )
    return int(float(found[1]) * _UNITS[found[2]])


def _is_size(value: object) -> bool:
    return type(value) is int and 0 < value < 1 << 63


def memory_limit(requested: str | int | None, environment: Mapping[str, str] | None = None) -> int | None:
    """Return the limit that was asked for, or else that of ``EDGEBERT_MAX_MEMORY`` [bytes]; None without one.

    Raises
    ------
    SettingError
    """
    if requested is not None:
        return parse_size(requested)
    setting = (os.environ if environment is None else environment).get("EDGEBERT_MAX_MEMORY", "").strip()
    return parse_size(setting, "EDGEBERT_MAX_MEMORY") if setting else None


def resident_memory() -> int:
    """Return what this process has resident now [bytes]; where the system does not say, the most that it had."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return peak_memory()


def peak_memory() -> int:
    """Return the most that this process had resident [bytes]; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return peak_bytes(resource.getrusage(resource.RUSAGE_SELF))


def peak_bytes(usage: resource.struct_rusage) -> int:
    """Return the most that a process had resident [bytes], by what the system says of it."""
    # Linux counts in KiB, macOS in bytes.
    return usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024


class MemoryLimit:
    """Keeps a process with a loaded model under a limit.

    Parameters
    ----------
    limit : int
        Most resident memory of the process [bytes].
    token_bytes, fixed_bytes : int
        What a forward pass takes for each token, and besides [bytes].
    """

    def __init__(self, limit: int, token_bytes: int, fixed_bytes: int) -> None:
        self._limit, self._told = limit, False
        self._token_bytes = token_bytes
        self._before = resident_memory() + fixed_bytes + _SLACK

    def token_budget(self, fewest: int, most: int) -> int:
        """Return the most tokens of a forward pass, of which there have to be `fewest`.

        Raises
        ------
        SettingError
            When the limit is too small, with what would do.
        """
        tokens = (self._limit - self._before) // self._token_bytes
        if tokens < fewest:
            needed = -(-(self._before + fewest * self._token_bytes) // 1_000_000)
            raise SettingError(
                f"max_memory is {self._limit / 1e6:.0f} MB, and this model needs at least {needed} MB here;"
                " give it that, or fewer threads, or take a smaller model"
            )
        return min(tokens, most)

    def check(self) -> None:
        """Warn, once, when the process has more resident than it should."""
        if not self._told and resident_memory() > self._limit:
            self._told = True
            warnings.warn(
                f"this process has {resident_memory() / 1e6:.0f} MB resident, more than its max_memory of"
                f" {self._limit / 1e6:.0f} MB: what it was given, or holds besides the model, takes the rest",
                MemoryWarning,
                stacklevel=2,
            )
