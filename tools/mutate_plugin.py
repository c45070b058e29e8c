"""A plugin of pytest for `mutate`: chooses among the tests, and tells which of them runs what.

Of all it leaves those of one instruction family, this processor's best or the one that the environment names, and none
on real models or an emulated Python.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgebert.engine.processor import available_families
from edgebert.kernels.simd.families import FAMILIES

_SLOW = {"arm_python", "material", "prepared", "minilm"}
"""Fixtures of tests that are left out."""
_RUN = {"library", "library_of", "golden_files", "converted", "hidden_states"}
"""Fixtures of tests that compute with a family."""
_ran: list[tuple[str, float]] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of one family; of these those that a file names, if there is one, in its order."""
    family = os.environ.get("MUTATE_FAMILY") or available_families()[0]
    kept, dropped = [], []
    for item in items:
        call = getattr(item, "callspec", None)
        fixtures = set(getattr(item, "fixturenames", ()))
        # A family that is only spoken of costs nothing.
        runs = call is not None and _RUN & fixtures
        named = {value for value in call.params.values() if isinstance(value, str)} if runs else set()
        slow = _SLOW & fixtures
        (dropped if slow or (named & set(FAMILIES)) - {family} else kept).append(item)
    if only := os.environ.get("MUTATE_ONLY"):
        order = {name: i for i, name in enumerate(json.loads(Path(only).read_text(encoding="utf-8")))}
        dropped += [item for item in kept if item.nodeid not in order]
        kept = sorted((item for item in kept if item.nodeid in order), key=lambda item: order[item.nodeid])
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Have coverage count the lines for this test, in processes that it starts too."""
    if "MUTATE_RECORD" in os.environ:
        import coverage

        os.environ["MUTATE_TEST"] = number = str(len(_ran))
        measuring = coverage.Coverage.current()
        if measuring is not None:
            measuring.switch_context(number)
    begin = time.perf_counter()
    yield
    _ran.append((item.nodeid, time.perf_counter() - begin))


def pytest_sessionfinish() -> None:
    """Say which tests ran, and how long each took [s]."""
    if place := os.environ.get("MUTATE_RECORD"):
        Path(place).write_text(json.dumps(_ran), encoding="utf-8")
