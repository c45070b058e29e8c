"""A plugin of pytest for `mutate`: tests of one instruction family, and none on real models or an emulated Python.

The family is this processor's best, or the one that the environment names.
"""

from __future__ import annotations

import os

import pytest

from edgebert.engine.processor import available_families
from edgebert.kernels.simd.families import FAMILIES

_SLOW = {"arm_python", "material", "prepared", "minilm"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop the tests of other families."""
    family = os.environ.get("EDGEBERT_MUTATE_FAMILY") or available_families()[0]
    kept, dropped = [], []
    for item in items:
        call = getattr(item, "callspec", None)
        others = {value for value in call.params.values() if isinstance(value, str)} if call else set()
        slow = _SLOW & set(getattr(item, "fixturenames", ()))
        (dropped if slow or (others & set(FAMILIES)) - {family} else kept).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)
