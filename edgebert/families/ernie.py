"""ERNIE (arXiv 1907.12412): BERT, whose tokens may have a type for the task as well."""

from __future__ import annotations

from edgebert.families import bert
from edgebert.families.family import Family
from edgebert.families.rules import refused, without_effect

__all__ = ["FAMILY"]

FAMILY = Family(
    "ernie",
    "Ernie",
    "ernie.",
    bert.FAMILY.renames,
    bert.encoder,
    pooler=True,
    rules={
        **refused("edgebert has no types of tasks", "use_task_id", unless=(False,)),
        **without_effect("of types of tasks, which are not used", "task_type_vocab_size"),
    },
)
