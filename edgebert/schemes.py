"""What the labels of a tagger say: a name, and where in a span a token stands (BIO, BIOES, BILOU, BMES, IO)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

__all__ = ["Tag", "kinds_of", "tags_of"]

_FORMS = tuple(
    re.compile(form)
    for form in (
        r"(?P<place>[BIMELSUW])-(?P<name>.+)",
        r"(?P<place>[BIMELSUW])_(?P<name>.+)",
        r"(?P<name>.+)-(?P<place>[BIMELSUW])",
        r"(?P<name>.+)_(?P<place>[BIMELSUW])",
    )
)
"""B-PER, B_PER, PER-B, PER_B."""
_OF_NONE = re.compile(r"O|X|PAD|OUTSIDE|\W.*\W")
"""Labels of tokens that are in no span, ``[PAD]`` and the like: no evidence against tags."""
_INSIDE = frozenset("IM")
_BEGIN = frozenset("BSUW")
_END = frozenset("ELSUW")
_LONGER = frozenset("BIM")
"""A name with an end, or with a single token, has one of these as well."""


class Tag(NamedTuple):
    """What a label says.

    Attributes
    ----------
    name : str
        What a span is called.
    begins, ends : bool
        Whether a span begins at this token, and whether it ends there.
    """

    name: str
    begins: bool = False
    ends: bool = False


def tags_of(labels: Iterable[str]) -> dict[str, Tag]:
    """Read the labels of a model.

    ``E-MAIL`` may be the end of a MAIL, or the whole name of a label: the others decide. A form of tags is a model's
    when one name has a label for its inside and another for its begin or end, or when every label but ``O`` (and
    ``[PAD]`` and the like) is one for a begin or an inside. A label for an end counts only where its name has one for
    a begin or inside too; so does one for a single token, unless the model has ends.

    Parameters
    ----------
    labels : iterable of str

    Returns
    -------
    dict
        A tag for each label; one that has no such form is its own name.
    """
    return _tags_of(tuple(labels))


def kinds_of(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds of entities that a model's labels name, ``B-PER`` and ``I-PER`` being one."""
    return tuple(dict.fromkeys(tag.name for label, tag in tags_of(labels).items() if label != "O"))


@lru_cache(maxsize=32)
def _tags_of(labels: Sequence[str]) -> dict[str, Tag]:
    named = [label for label in dict.fromkeys(labels) if not _OF_NONE.fullmatch(label)]
    readings = [_reading(form, named) for form in _FORMS]
    best = max(readings, key=len)  # the first of those that read the same number of labels
    return {label: best.get(label, Tag(label)) for label in labels}


def _reading(form: re.Pattern[str], labels: Sequence[str]) -> dict[str, Tag]:
    """Return what labels say in one form; nothing where they do not have it."""
    places: dict[str, set[str]] = defaultdict(set)
    parts = {label: (match["name"], match["place"]) for label in labels if (match := form.fullmatch(label))}
    for name, place in parts.values():
        places[name].add(place)
    shown = any(len(of_name) > 1 and of_name & _INSIDE for of_name in places.values())
    if not shown and (len(parts) < len(labels) or not all(of_name <= _LONGER for of_name in places.values())):
        return {}
    has_ends = any(of_name & {"E", "L"} and of_name & _LONGER for of_name in places.values())
    return {
        label: Tag(name, place in _BEGIN, place in _END)
        for label, (name, place) in parts.items()
        if places[name] & _LONGER or (has_ends and place in _BEGIN)
    }
