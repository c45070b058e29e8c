"""edgebert: BERT encoders, quantized to int8, on the computers people already have.

>>> import edgebert
>>> model = edgebert.load()
>>> model.classify(["What a lovely little film."])
[{'label': 'POSITIVE', 'score': ...}]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgebert.coverage import Coverage
    from edgebert.engine.processor import describe_machine
    from edgebert.errors import (
        AccuracyError,
        ArtifactError,
        CheckpointError,
        CheckpointWarning,
        DownloadError,
        EdgebertError,
        InputError,
        MemoryWarning,
        OutputError,
        SettingError,
        TruncationWarning,
        UnsupportedModelError,
    )
    from edgebert.frames import table
    from edgebert.heads.late_interaction import maxsim
    from edgebert.loading import load
    from edgebert.model import Model
    from edgebert.quantize.convert import convert

__all__ = [
    "AccuracyError",
    "ArtifactError",
    "CheckpointError",
    "CheckpointWarning",
    "Coverage",
    "DownloadError",
    "EdgebertError",
    "InputError",
    "MemoryWarning",
    "Model",
    "OutputError",
    "SettingError",
    "TruncationWarning",
    "UnsupportedModelError",
    "convert",
    "describe_machine",
    "load",
    "maxsim",
    "table",
]

__version__ = "0.1.0"

_HOMES = {
    "Coverage": "edgebert.coverage",
    "Model": "edgebert.model",
    "convert": "edgebert.quantize.convert",
    "describe_machine": "edgebert.engine.processor",
    "load": "edgebert.loading",
    "maxsim": "edgebert.heads.late_interaction",
    "table": "edgebert.frames",
}


def __getattr__(name: str) -> Any:
    # Imported when first used: `edgebert --help` needs neither NumPy nor a kernel.
    if name not in __all__:
        raise AttributeError(f"module 'edgebert' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "edgebert.errors")), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
