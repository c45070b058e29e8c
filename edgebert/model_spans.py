"""A loaded model's spans of texts: names, and personal data that is to be replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from edgebert import tasks
from edgebert.arguments import checked_flag, described_labels, listed_texts
from edgebert.coverage import OnCoverage, checked_cut
from edgebert.errors import InputError
from edgebert.model_vectors import VectorModel

__all__ = ["SpanModel"]


class SpanModel(VectorModel):
    """What `edgebert.Model` does with spans; its attributes are told there."""

    def tag(
        self,
        texts: Iterable[str],
        aggregation_strategy: str = "first",
        *,
        labels: Iterable[str] | Mapping[str, str] | None = None,
        nested: bool = False,
        multi_label: bool = False,
        ignore_labels: Iterable[str] = ("O",),
        threshold: float | None = None,
        stride: int | None = None,
        truncate: bool = False,
        on_coverage: OnCoverage | None = None,
    ) -> list[list[dict[str, Any]]]:
        """Find names, and whatever else the model tags, in each text.

        Parameters
        ----------
        texts : iterable of str
        aggregation_strategy : str
            Words are tagged as their ``"first"`` token is, by the ``"average"`` of their tokens or by the surest
            (``"max"``), and never cut; ``"simple"`` joins neighbouring tokens of one kind, ``"none"`` gives each.
            Punctuation is no part of a word. Where a script has no spaces, every token is one.
        labels : iterable of str, or mapping of str to str, optional
            For a model that finds spans of any labels (GLiNER), which needs them: what to find, or label -> what
            describes it. Such a model takes no ``aggregation_strategy`` and no ``ignore_labels``; words are joined
            letters and digits, and any other sign is one, as in the gliner package.
        nested : bool
            With `labels`: whether a span may lie within another.
        multi_label : bool
            With `labels`: whether a span may have several.
        ignore_labels : iterable of str
        threshold : float, optional
            With `labels`, how likely a span has to be, 0.5 by default. Otherwise a word or token is tagged where the
            probabilities of all labels but the ignored ones sum to this, 0 to 1, and that sum is its score: with less
            than 0.5 more is found, and more that is none. By default the most probable label counts, an ignored one
            too.
        stride, truncate, on_coverage
            As the class says. A token that two windows have is tagged in the one that has more around it; spans cross
            from window to window.

        Returns
        -------
        list of list of dict
            ``{"entity_group", "score", "word", "start", "end"}``; with ``"none"`` ``{"entity", "score", "index",
            "word", "start", "end"}``. ``word`` is ``text[start:end]``. Labels may be tagged in BIO, BIOES, BILOU, BMES
            or IO: ``B-PER``, ``B_PER``, ``PER-B`` or ``PER_B`` is the begin of a ``PER``.

        Raises
        ------
        InputError
        """
        cut = checked_cut(truncate, stride, on_coverage)
        for name, value in (("nested", nested), ("multi_label", multi_label)):
            checked_flag(value, name)
        if self._runner.info.gliner:
            if aggregation_strategy != "first" or listed_texts(ignore_labels, "ignore_labels", "label") != ["O"]:
                raise InputError(
                    "aggregation_strategy and ignore_labels go with a model's own labels, and this one finds spans of"
                    " any; leave them out"
                )
            if labels is None:
                raise InputError(
                    "this model finds spans of any labels, expected some, such as person and place: give labels"
                )
            wanted = described_labels(labels)
            return self._answered(
                listed_texts(texts),
                lambda items: tasks.gliner.tag(
                    self._runner, items, wanted, cut, threshold=threshold, nested=nested, multi_label=multi_label
                ),
                lambda _: [],
                on_coverage,
            )
        head = self._runner.require("tag")
        if labels is not None or nested or multi_label:
            raise InputError(
                "labels, nested and multi_label go with a model that finds spans of any labels (a GLiNER), and"
                f" {self._runner.source.path.name} has labels of its own: leave them out"
            )
        return self._answered(
            listed_texts(texts),
            lambda items: tasks.tag.tag(self._runner, head, items, aggregation_strategy, ignore_labels, cut, threshold),
            lambda _: [],
            on_coverage,
        )

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
            A secret that makes stand-ins the same in every call with it, so that two values may have one; without it
            they count in the order of texts, and different values have different ones.
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
        return redaction.redact(self, texts, settings, stride=stride)
