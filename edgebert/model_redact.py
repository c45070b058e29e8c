"""What a model that finds personal data does with texts: it replaces it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from edgebert.model import Model

__all__ = ["RedactingModel"]


class RedactingModel:
    """The part of `edgebert.Model` that replaces personal data, by what `Model.tag` and rules find."""

    def redact(
        self,
        texts: Iterable[str],
        *,
        keep: Iterable[str] = (),
        only: Iterable[str] | None = None,
        threshold: float = 0.3,
        patterns: bool = True,
        stand_ins: bool = False,
        key: str | None = None,
        stride: int | None = None,
    ) -> list[dict[str, Any]]:
        """Replace personal data in texts; what is found in one of them is replaced in all. No tool finds everything.

        Parameters
        ----------
        texts : iterable of str
        keep : iterable of str
            Labels to leave as they are: ``["CITY", "STATE"]``.
        only : iterable of str, optional
            The labels to replace; all by default.
        threshold : float
            How sure the model has to be, 0 to 1, that a word is personal data: less finds more, and more that is none.
        patterns : bool
            Whether rules find what has a form, too: addresses of e-mail and computers, URLs of persons, numbers of
            phones, bank accounts (IBAN), cards and social security.
        stand_ins : bool
            Put a value that looks alike and is nobody's in the place of personal data, the same one for the same
            value; by default its label stands there: ``[GIVEN_NAME]``.
        key : str, optional
            A secret that makes stand-ins the same in every call with it; without it they count in the order of texts.
        stride
            As the class says. Every paragraph is read by itself, a long one in windows: all of a text is seen.

        Returns
        -------
        list of dict
            ``{"text": str, "entities": list}``, the text with everything else as it was. Entities are those of `tag`,
            with ``source``, which is ``"model"``, ``"rule"`` or ``"repeat"``, and ``replacement``; ``score`` is None
            unless the model found it; ``start`` and ``end`` are places in the text that was given.

        Raises
        ------
        InputError
            When the model finds no spans, or an option has no such value.
        """
        from edgebert import redact as redaction  # here, for a model that is asked for labels needs none of it

        settings = redaction.Settings(keep, only, threshold, patterns, stand_ins, key)
        return redaction.redact(cast("Model", self), texts, settings, stride=stride)
