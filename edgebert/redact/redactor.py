"""From texts to texts without the personal data that was found in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from edgebert.arguments import checked_flag, checked_text, listed_texts
from edgebert.errors import InputError, shown
from edgebert.redact.patterns import PATTERN_LABELS, find_patterns
from edgebert.redact.repeats import PERSON_LABELS, Repeats, whole_pieces
from edgebert.redact.stand_ins import StandIns, label_in_brackets
from edgebert.schemes import kinds_of
from edgebert.watch import in_turn

if TYPE_CHECKING:
    from edgebert.model_spans import SpanModel

__all__ = ["THRESHOLD", "Found", "Redactor", "Settings", "labels_of", "redact"]

THRESHOLD = 0.3
"""How sure the model has to be, by default, that a word is personal data."""

_AT_ONCE = 256
"""Paragraphs that the model is asked about together."""
_LONGEST = 20_000
"""Characters after which a paragraph ends at the next end of a line."""
_LEAST_GROUPED = 2
"""Digits from which on a span is a number whose other groups (QQ 12 34 56 C) belong to it."""
_ADDRESS = frozenset({"BUILDING_NUMBER", "ZIP_CODE", "STREET_NAME", "SECONDARY_ADDRESS"})
"""Labels of numbers beside which others stand that are none of theirs."""
# Letters may stand right before the first group and behind the last one, where no space is between the groups.
_GROUPS_BEFORE = re.compile(r"(?:(?<![^\W_])|(?<=[^\W\d_])(?=\d+[.\-/]))(?:(?:\d{1,12}|[A-Z\d]{1,4})[ \u00a0.\-/])+$")
_GROUPS_BEHIND = re.compile(
    r"(?:[ \u00a0.\-/](?:\d{1,12}|[A-Z\d]{1,4}(?! [a-z]))(?![^\W_]))*(?:[.\-/]\d{1,12}(?=[^\W\d_]))?"
)
_SEPARATORS = " \u00a0.-/"
_LOOK = 30
_POSSESSIVE = re.compile(r"(?<=\w)['\u2019]s$", re.IGNORECASE)


class Settings(NamedTuple):
    """What is replaced, and by what.

    Attributes
    ----------
    keep : iterable of str
        Labels that are left as they are.
    only : iterable of str or None
        The labels that are replaced; None for all.
    threshold : float
        How sure the model has to be that a word is personal data, 0 to 1: less finds more, and more that is none.
    patterns : bool
        Whether rules find what has a form, too.
    stand_ins : bool
        Whether values that look alike take the place of personal data, rather than labels.
    key : str or None
        Of stand-ins: makes them the same in every run with the same key.
    """

    keep: Iterable[str] = ()
    only: Iterable[str] | None = None
    threshold: float = THRESHOLD
    patterns: bool = True
    stand_ins: bool = False
    key: str | None = None


class Found(NamedTuple):
    """Personal data in a text: characters ``start`` to ``end``.

    Attributes
    ----------
    start, end : int
    label : str
    score : float or None
        How sure the model is that it is personal data, 0 to 1; None of what a rule found, or a repetition.
    source : str
        ``"model"``, ``"rule"``, or ``"repeat"``: it was found elsewhere, and stands here again.
    """

    start: int
    end: int
    label: str
    score: float | None
    source: str


class Redactor:
    """Finds personal data in texts, and replaces it, wherever in the texts it stands again.

    Ask `find` about all texts first, then `cover` each.

    Parameters
    ----------
    model : Model
    settings : Settings

    Raises
    ------
    InputError
        When the model finds no spans, a label is none of its or the rules', or a setting has no such value.
    """

    def __init__(self, model: SpanModel, settings: Settings) -> None:
        model.require("redact")
        checked_flag(settings.patterns, "patterns")
        checked_flag(settings.stand_ins, "stand_ins")
        if settings.key is not None:
            checked_text(settings.key, "key")
            if not settings.stand_ins or not settings.key:
                raise InputError("key is for stand-ins, and not empty: give it together with stand_ins=True")
        self.labels = labels_of(model, patterns=settings.patterns)
        self._kept = self._known(settings.keep, "keep")
        if settings.only is not None:
            self._kept |= set(self.labels) - self._known(settings.only, "only")
        if self._kept >= set(self.labels):
            raise InputError(f"keep and only leave no label to replace, of {', '.join(self.labels)}")
        self._model, self._settings = model, settings
        self._repeats = Repeats()
        self._stand_ins = StandIns(settings.key.encode() if settings.key else None)
        self._replacement: Callable[[str, str], str] = self._stand_ins if settings.stand_ins else label_in_brackets

    def _known(self, labels: Iterable[str], name: str) -> set[str]:
        wanted = listed_texts(labels, name, "label")
        for label in wanted:
            if label not in self.labels:
                raise InputError(f"{name} has the label {shown(label)}, expected some of {', '.join(self.labels)}")
        return set(wanted)

    def find(
        self,
        texts: Sequence[str],
        *,
        stride: int | None = None,
    ) -> list[list[Found]]:
        """Find the personal data of texts, kept labels too, and remember it for all texts.

        Parameters
        ----------
        texts : sequence of str
        stride : int, optional
            As `Model.tag` has it.

        Returns
        -------
        list of list of Found
            For each text, in no order.
        """
        found = self._by_model(texts, stride)
        for text, spans in zip(texts, found, strict=True):
            if self._settings.patterns:
                spans += [Found(*match, None, "rule") for match in find_patterns(text)]
            self._repeats.read(text)
            self._stand_ins.avoid(text)
            for span in spans:
                if span.label not in self._kept:
                    self._repeats.add(text[span.start : span.end], span.label)
        return found

    def _by_model(self, texts: Sequence[str], stride: int | None) -> list[list[Found]]:
        """Ask the model about every paragraph by itself: of forty letters it so misses half as much."""
        places = [(i, start, end) for i, text in enumerate(texts) for start, end in _paragraphs(text)]
        found: list[list[Found]] = [[] for _ in texts]
        # No paragraph at all is asked, too: settings are checked.
        for at in in_turn(range(0, max(len(places), 1), _AT_ONCE)):
            some = places[at : at + _AT_ONCE]
            parts = [texts[i][start:end] for i, start, end in some]
            tagged = self._model.tag(parts, "max", threshold=self._settings.threshold, stride=stride)
            for (i, first, _), part, entities in zip(some, parts, tagged, strict=True):
                words = whole_pieces(part, [(each["start"], each["end"]) for each in entities])
                for each, span in zip(entities, words, strict=True):
                    label = each["entity_group"]
                    start, end = _whole(part, *span, label)
                    found[i].append(Found(first + start, first + end, label, each["score"], "model"))
        return found

    def cover(self, text: str, found: Sequence[Found]) -> dict[str, Any]:
        """Replace what was found in a text, and what of all that was found stands in it again.

        Parameters
        ----------
        text : str
        found : sequence of Found
            Of this text, as `find` gave it.

        Returns
        -------
        dict
            ``{"text": str, "entities": list}``; of the text that was given ``entities`` have ``start``, ``end`` and
            ``word``, and besides ``entity_group``, ``score``, ``source`` as `Found` has them, and ``replacement``.
        """
        spans, kept = [], bytearray(len(text))
        for span in found:
            if span.label in self._kept:
                kept[span.start : span.end] = b"\1" * (span.end - span.start)
            else:
                spans.append(span)
        again = (Found(*each, None, "repeat") for each in self._repeats.find(text))
        # A word that is kept here may be somebody's name elsewhere.
        spans += [each for each in again if kept.find(1, each.start, each.end) < 0]
        pieces, entities, at = [], [], 0
        for span in _unbroken(text, spans):
            word = text[span.start : span.end]
            replacement = self._replacement(word, span.label)
            pieces += [text[at : span.start], replacement]
            entities.append(
                {"entity_group": span.label, "score": span.score, "word": word, "start": span.start, "end": span.end}
                | {"source": span.source, "replacement": replacement}
            )
            at = span.end
        return {"text": "".join([*pieces, text[at:]]), "entities": entities}


def _whole(text: str, start: int, end: int, label: str) -> tuple[int, int]:
    """Return a span with all groups of the number that it is a part of; of a name without the ``'s`` behind it."""
    if label in PERSON_LABELS:
        possessive = _POSSESSIVE.search(text[start:end])
        return start, end - len(possessive[0]) if possessive else end
    if label in _ADDRESS or sum(map(str.isdecimal, text[start:end])) < _LEAST_GROUPED:
        return start, end
    first, last = start, end  # what it begins and ends with is between groups, if it is no part of one
    while text[first] in _SEPARATORS:
        first += 1
    while text[last - 1] in _SEPARATORS:
        last -= 1
    before, behind = _GROUPS_BEFORE.search(text[max(0, first - _LOOK) : first]), _GROUPS_BEHIND.match(text, last)
    return min(start, first - len(before[0]) if before else first), max(end, behind.end() if behind else last)


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Yield where lines without a blank one between them begin and end; very many lines are several paragraphs."""
    start = at = 0
    for line in text.splitlines(keepends=True):
        if not line.strip() or at - start > _LONGEST:
            if start < at:
                yield start, at
            start = at if line.strip() else at + len(line)
        at += len(line)
    if start < at:
        yield start, at


def labels_of(model: SpanModel, *, patterns: bool) -> tuple[str, ...]:
    """Return the labels of what a model finds, and with `patterns` of what the rules find."""
    return tuple(dict.fromkeys((*kinds_of(model.labels), *(PATTERN_LABELS if patterns else ()))))


_ORDER = ("rule", "model", "repeat")


def _apart(spans: Iterable[Found]) -> list[Found]:
    """Join spans that overlap, so that nothing of any is left; a rule decides what they are, else the longest."""
    joined: list[Found] = []
    decides: list[Found] = []
    for span in sorted(spans, key=lambda each: (each.start, -each.end)):
        if joined and span.start < joined[-1].end:
            before = decides[-1]
            if (_ORDER.index(span.source), before.end - before.start) < (
                _ORDER.index(before.source),
                span.end - span.start,
            ):
                decides[-1] = span
            joined[-1] = joined[-1]._replace(end=max(joined[-1].end, span.end))
        else:
            joined.append(span)
            decides.append(span)
    return [chosen._replace(start=whole.start, end=whole.end) for whole, chosen in zip(joined, decides, strict=True)]


def _unbroken(text: str, spans: Iterable[Found]) -> list[Found]:
    """Join spans that overlap, with all of the words that they are a part of: half a number tells much of it."""
    apart = _apart(spans)
    whole = whole_pieces(text, [(span.start, span.end) for span in apart])
    return _apart(span._replace(start=start, end=end) for span, (start, end) in zip(apart, whole, strict=True))


def redact(
    model: SpanModel, texts: Iterable[str], settings: Settings, *, stride: int | None = None
) -> list[dict[str, Any]]:
    """Replace the personal data of texts, as `edgebert.Model.redact` says."""
    redactor, listed = Redactor(model, settings), listed_texts(texts)
    found = redactor.find(listed, stride=stride)
    return [redactor.cover(text, spans) for text, spans in zip(listed, found, strict=True)]
