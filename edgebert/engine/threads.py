"""How many threads to use: what was asked for, or what this process may have."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

from edgebert.errors import SettingError, shown

__all__ = ["default_threads", "explain_threads"]

_MOST_THREADS = 1024
_MOST_DIGITS = 9


def default_threads(requested: int | None = None, environment: Mapping[str, str] | None = None) -> int:
    """Return the number of threads to use.

    `requested` if given, else ``EDGEBERT_NUM_THREADS``, else the processors that this process may use: those of its
    affinity mask, and no more than its control groups' quota, rounded up.

    Raises
    ------
    SettingError
        When a number is not a whole one between 1 and 1024.
    """
    return explain_threads(requested, environment)[0]


def explain_threads(requested: int | None = None, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Return the number of threads, as `default_threads` does, and why it is that."""
    environment = os.environ if environment is None else environment
    if requested is not None:
        return _checked("threads", requested), "as asked for"
    setting = environment.get("EDGEBERT_NUM_THREADS", "").strip()
    if setting:
        return _checked("EDGEBERT_NUM_THREADS", setting), "as EDGEBERT_NUM_THREADS says"
    installed = os.cpu_count() or 1
    usable = max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else installed)
    quota = min(_quotas(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")), default=usable)
    if quota < usable:
        return max(1, min(quota, _MOST_THREADS)), f"the quota of a control group, on {usable} processors"
    if usable < installed:
        return min(usable, _MOST_THREADS), f"the processors that this process may use, of {installed}"
    return min(usable, _MOST_THREADS), "all processors"


def _checked(name: str, value: object) -> int:
    number = 0
    if type(value) is int:
        number = value
    elif isinstance(value, str) and value.isdecimal() and len(value) <= _MOST_DIGITS:
        number = int(value)
    if not 1 <= number <= _MOST_THREADS:
        raise SettingError(f"{name} is {shown(value)}, expected a whole number from 1 to {_MOST_THREADS}")
    return number


def _quotas(membership: Path, root: Path) -> list[int]:
    """Return the processors granted by each control group that this process is in, versions 1 and 2."""
    quotas = []
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base = root
        elif "cpu" in controllers.split(","):
            base = root / "cpu"
        else:
            continue
        group = base / path.lstrip("/")
        # A quota of any group above counts too; in a container the path may lie outside of what is mounted.
        for folder in [group, *group.parents]:
            quotas += _quota(folder)
            if folder == base:
                break
    return quotas


def _quota(folder: Path) -> list[int]:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        if quota in ("max", "-1"):
            return []
        return [max(1, math.ceil(int(quota) / int(period)))]
    except (OSError, ValueError, ZeroDivisionError):
        return []
