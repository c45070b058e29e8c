"""Which model an index was made with: vectors of two models cannot be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edgebert.errors import InputError

if TYPE_CHECKING:
    from edgebert.model_vectors import VectorModel

__all__ = ["ModelIdentity"]


class ModelIdentity(NamedTuple):
    """A model, by its contents.

    Attributes
    ----------
    name : str
        What it was made from: ``"sentence-transformers/all-MiniLM-L6-v2"``; for messages alone.
    fingerprint : str
        The SHA-256 of its trained weights and the checksum of its file.
    option : str
        What ``-m`` was given when the index was made: a path, a name; empty for the model that comes with edgebert.
    """

    name: str
    fingerprint: str
    option: str = ""

    @classmethod
    def of(cls, model: VectorModel, option: str = "") -> ModelIdentity:
        """Return that of a loaded model."""
        info = model.info
        return cls(info["source"] or info["file"], f"{info['source_sha256']}-{info['checksum']}", option)

    def check(self, other: ModelIdentity, index: str) -> None:
        """Refuse a model that is not the one of an index.

        Parameters
        ----------
        other : ModelIdentity
            The model that is to be used.
        index : str
            The index, for the message.

        Raises
        ------
        InputError
        """
        if other.fingerprint == self.fingerprint:
            return
        there = f"another {self.name}" if other.name == self.name else self.name
        use = f"with -m {self.option}" if self.option else "without -m"
        raise InputError(
            f"{index} was made with {there}, expected the same model, got {other.name}: vectors of two models cannot be"
            f" compared; call it {use}, or remove {index} and make it again with this model"
        )
