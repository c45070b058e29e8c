"""What a model can be asked, one file a task: from texts through the runner and a head to results."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgebert.tasks import (
        answer,
        classify,
        embed,
        fill_mask,
        gliner,
        late_interaction,
        rank,
        similarity,
        sparse,
        tag,
        zero_shot,
    )

__all__ = [
    "answer",
    "classify",
    "embed",
    "fill_mask",
    "gliner",
    "late_interaction",
    "rank",
    "similarity",
    "sparse",
    "tag",
    "zero_shot",
]


def __getattr__(name: str) -> Any:
    # Imported when it is first asked for: who labels texts waits for no other task.
    if name not in __all__:
        raise AttributeError(f"module 'edgebert.tasks' has no attribute {name!r}")
    return importlib.import_module(f"edgebert.tasks.{name}")
