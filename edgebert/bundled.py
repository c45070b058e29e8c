"""The models that come with edgebert: their names, what each is for, and which task asks which."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edgebert.errors import InputError, shown

__all__ = ["BUNDLED", "Bundled", "bundled_model", "default_for", "default_model"]

_FOLDER = Path(__file__).parent / "models"


class Bundled(NamedTuple):
    """A model that comes with edgebert.

    Attributes
    ----------
    name : str
        What ``-m`` and `edgebert.load` take; its file is called so.
    title : str
        What its makers call it.
    hub : str
        Its name on the Hugging Face hub, which stands for it, too; empty for one that is not there.
    purpose : str
        What people use it for.
    licence : str
    """

    name: str
    title: str
    hub: str
    purpose: str
    licence: str

    @property
    def path(self) -> Path:
        """Its file."""
        return _FOLDER / f"{self.name}.edgebert"


BUNDLED: tuple[Bundled, ...] = (
    Bundled("sentiment", "sentiment", "", "positive or negative, in short English texts", "Apache-2.0"),
    Bundled(
        "minilm",
        "all-MiniLM-L6-v2",
        "sentence-transformers/all-MiniLM-L6-v2",
        "vectors, search, ranking and labels of your own, in English",
        "Apache-2.0",
    ),
    Bundled(
        "personal-data",
        "Rampart",
        "nationaldesignstudio/rampart",
        "personal data: names, addresses and numbers, in seven languages",
        "CC-BY-4.0",
    ),
)

_SENTIMENT, _MINILM, _PERSONAL_DATA = BUNDLED
_DEFAULTS = {
    "classify": _SENTIMENT,
    "embed": _MINILM,
    "rank": _MINILM,
    "search": _MINILM,
    "tag": _PERSONAL_DATA,
    "redact": _PERSONAL_DATA,
}


def default_model(task: str) -> Path:
    """Return the file of the model that answers a task where none is named.

    Parameters
    ----------
    task : str
        ``"classify"``, ``"embed"`` (labels that nobody trained, too), ``"rank"``, ``"search"``, ``"tag"`` or
        ``"redact"``.

    Raises
    ------
    InputError
        When no model that comes with edgebert can do it.
    """
    if task not in _DEFAULTS:
        raise InputError(f"task is {shown(task)}, expected one of {', '.join(_DEFAULTS)}")
    return _DEFAULTS[task].path


def default_for(task: str) -> Bundled | None:
    """Return the model that comes with edgebert and answers a task where none is named; None where none can."""
    return _DEFAULTS.get(task)


def bundled_model(name: str) -> Bundled | None:
    """Return the model with a name, or a name of the hub; None where it is none of these."""
    return next((model for model in BUNDLED if name and name in (model.name, model.hub)), None)
