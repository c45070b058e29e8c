"""Many faults in one line."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["listed"]

_WRITTEN_OUT = 20  # more would bury the first


def listed(faults: Sequence[str]) -> str:
    """Return the faults joined, the first twenty written out and the rest counted."""
    more = f"; and {len(faults) - _WRITTEN_OUT} more" if len(faults) > _WRITTEN_OUT else ""
    return "; ".join(faults[:_WRITTEN_OUT]) + more
