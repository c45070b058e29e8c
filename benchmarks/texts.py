"""Texts to measure on: one a line, pairs with a human score, or a table of Orange's with a class and a text."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

__all__ = ["Texts", "read_texts"]

_ORANGE_HEADER = 3


class Texts(NamedTuple):
    """Texts in the order of the file.

    Attributes
    ----------
    texts : list of str
        All of them; of pairs first and second alternate.
    scores : list of float
        The human similarity of each pair; empty where the file has no pairs.
    """

    texts: list[str]
    scores: list[float]


def read_texts(path: Path) -> Texts:
    """Read a file of texts.

    Parameters
    ----------
    path : Path
        A ``.csv`` of ``sentence1,sentence2,score`` without a header, a ``.tab`` of ``class<TAB>text`` behind the three
        lines of Orange's header, or any other file with one text a line, of which blank lines are dropped.

    Raises
    ------
    ValueError
        When a row of a csv is not two sentences and a number.
    """
    if path.suffix == ".tab":
        rows = path.read_text("utf-8").splitlines()[_ORANGE_HEADER:]
        return Texts(_not_blank(row.partition("\t")[2] for row in rows), [])
    if path.suffix != ".csv":
        return Texts(_not_blank(path.read_text("utf-8").splitlines()), [])
    texts, scores = [], []
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            try:
                first, second, score = row
                scores.append(float(score))
            except ValueError as error:
                raise ValueError(f"{path} row {number} is not 'sentence1,sentence2,score': {row}") from error
            texts += [first, second]
    return Texts(texts, scores)


def _not_blank(lines: Iterable[str]) -> list[str]:
    return [line.strip() for line in lines if line.strip()]
