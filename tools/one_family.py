"""A plugin of pytest for `mutate`: tests of one instruction family, and none that takes an emulated Python.

The family is this processor's best, or the one that the environment names.
"""

from __future__ import annotations

import os

import pytest

from edgebert.engine.processor import available_families
from edgebert.kernels.simd.families import FAMILIES


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop the tests of other families."""
    family = os.environ.get("EDGEBERT_MUTATE_FAMILY") or available_families()[0]
    kept, dropped = [], []
    for item in items:
        call = getattr(item, "callspec", None)
        others = {value for value in call.params.values() if isinstance(value, str)} if call else set()
        slow = "arm_python" in getattr(item, "fixturenames", ())
        (dropped if slow or (others & set(FAMILIES)) - {family} else kept).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)
