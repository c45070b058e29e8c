"""What becomes of a field of a model's files: it is followed, known to change no result, or refused."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Rule", "honoured", "refused", "without_effect"]


class Rule(NamedTuple):
    """What is done about a field or a file.

    Attributes
    ----------
    kind : str
        ``"honoured"``, ``"without effect"`` or ``"refused"``.
    why : str
        What it does; why it is without effect; or, where it is refused, what it asks for and the remedy.
    unless : tuple
        Of a refused field: the values, beside null, that change nothing.
    """

    kind: str
    why: str
    unless: tuple[Any, ...] = ()

    def harmless(self, value: Any) -> bool:
        """Say whether a value of a refused field changes nothing; 0 is not False here."""
        return value is None or any(type(value) is type(each) and value == each for each in self.unless)


def honoured(why: str, *names: str) -> dict[str, Rule]:
    """Return the rules of fields that are followed; a text may hold several names."""
    return _rules(Rule("honoured", why), names)


def without_effect(why: str, *names: str) -> dict[str, Rule]:
    """Return the rules of fields that change no result."""
    return _rules(Rule("without effect", why), names)


def refused(why: str, *names: str, unless: tuple[Any, ...] = ()) -> dict[str, Rule]:
    """Return the rules of fields that are refused, unless they have certain values."""
    return _rules(Rule("refused", why, unless), names)


def _rules(rule: Rule, names: tuple[str, ...]) -> dict[str, Rule]:
    return dict.fromkeys(" ".join(names).split(), rule)
