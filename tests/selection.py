"""Which tests run: by default those that are quick and need only the extra ``test``; and what is said of the others.

The markers stand in ``pyproject.toml``, with the expression that leaves their tests out; ``pytest -m ""`` runs all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from edgebert.engine.processor import available_families
from tests.emulator import EMULATED

__all__ = ["AVAILABLE", "few", "of_families"]

AVAILABLE = available_families()
"""Instruction families of this processor, the best first."""

LEFT_OUT = {
    "slow": "slow tests",
    "needs_models": "that need downloaded models (tools/fetch_material.py, tools/prepare_models.py)",
    "needs_emulator": "that need a cross compiler and an emulator (Debian: qemu-user gcc-aarch64-linux-gnu)",
    "needs_packages": "that need more packages (pip install -e '.[dev]')",
}
"""Marker -> how the line at the end calls its tests. A test with several counts for the last of them."""

_FETCHING = {"material", "prepared", "arm_python"}
"""Fixtures that download."""
_counted = pytest.StashKey[Counter]()


def few(values: Iterable, *quick: object) -> list:
    """Return parameters for ``parametrize``: all values, of which those that are not named as quick are slow."""
    return [value if value in quick else pytest.param(value, marks=pytest.mark.slow) for value in values]


def of_families(names: Iterable[str] = (*AVAILABLE, *EMULATED)) -> list:
    """Return parameters for ``parametrize``: this processor's best instruction family and ``portable`` are quick."""
    native = few((name for name in names if name not in EMULATED), AVAILABLE[0], "portable")
    emulated = (name for name in names if name in EMULATED)
    return native + [pytest.param(name, marks=pytest.mark.needs_emulator) for name in emulated]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that download something: their fixtures say so."""
    for item in items:
        if _FETCHING & set(getattr(item, "fixturenames", ())):
            item.add_marker("needs_models")


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Count what is left out."""
    for item in items:
        names = [name for name in LEFT_OUT if item.get_closest_marker(name)]
        if names:
            item.config.stash.setdefault(_counted, Counter())[names[-1]] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the counts of one of several processes (pytest-xdist) to the one that reports: all of them are the same."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = dict(session.config.stash.get(_counted, {}))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    """Take the counts that another process tells."""
    if "left_out" in getattr(node, "workeroutput", {}):
        node.config.stash[_counted] = Counter(node.workeroutput["left_out"])


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    """Say in one line what was left out, and how to run it."""
    if counted := config.stash.get(_counted, None):
        parts = [f"{counted[name]:,} {text}" for name, text in LEFT_OUT.items() if counted[name]]
        terminalreporter.write_line(f"left out: {', '.join(parts)}; all of them: pytest -n auto -m ''")
