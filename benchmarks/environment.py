"""Where a figure comes from: what every benchmark prints first."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import edgebert

__all__ = ["describe_environment", "print_environment"]

_PACKAGES = ("numba", "llvmlite", "numpy", "tokenizers")


def describe_environment() -> dict[str, str]:
    """Return facts about the machine and the software, in the order of reading them.

    The load average is there because a machine that others use too gives other figures.
    """
    machine = edgebert.describe_machine()
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": str(machine["processor"]),
        "processors usable": str(machine["threads"]),
        "instruction family": str(machine["family"]),
        "load average": load,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "edgebert": f"{edgebert.__version__} ({_commit()})",
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
    }


def _commit() -> str:
    """Return the commit of the source tree, and whether there are changes on top of it."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return "no git"
    return done.stdout.strip()


def print_environment(hold: str | None = None) -> dict[str, str]:
    """Print the environment and return it; `hold` is what edgebert and the peers are held to."""
    facts = describe_environment()
    if hold:
        facts["all held to"] = hold
    for name, value in facts.items():
        print(f"{name:<20}{value}")
    print(flush=True)
    return facts
