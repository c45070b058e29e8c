"""Two ranks of the same passages made one, and the words by which the second is made."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Collection, Sequence

__all__ = ["expression", "merged", "plain"]

_K = 60
"""The constant of reciprocal rank fusion, as its authors chose it."""

_MOST_WORDS = 64
"""Words of a query that are looked for: as many as SQLite takes with ease, and more than questions have."""


def merged(ranks: Sequence[Sequence[int]]) -> dict[int, float]:
    """Merge ranks by reciprocal rank fusion (doi 10.1145/1571941.1572114).

    Parameters
    ----------
    ranks : sequence of sequences of int
        What was found, the best first, in each of several ways.

    Returns
    -------
    dict of int to float
        Each that was found and its score, the best first: 1 for one that is the first of every rank. Of equal scores
        the one comes first that the earlier rank has.
    """
    scores: dict[int, float] = {}
    for rank in ranks:
        for place, found in enumerate(rank, start=1):
            scores[found] = scores.get(found, 0.0) + (_K + 1) / (_K + place) / len(ranks)
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def expression(query: str, common: Collection[str]) -> str:
    """Return what FTS5 is asked for: the passages with any word of a query.

    Parameters
    ----------
    query : str
        Whatever a user wrote: quotes, stars and operators in it mean nothing.
    common : collection of str
        Words that are in too many passages to tell them apart, as `plain` makes them; left out, if others are left.

    Returns
    -------
    str
        Empty where there is no word.
    """
    words = [word for word in re.split(r"[\s\0]+", query) if any(map(str.isalnum, word))]
    rare = [word for word in words if plain(word) not in common] or words
    quoted = ('"' + word.replace('"', '""') + '"' for word in dict.fromkeys(rare))
    return " OR ".join(itertools.islice(quoted, _MOST_WORDS))


def plain(word: str) -> str:
    """Return a word in small letters, without accents and the punctuation around it, as the index compares words."""
    letters = [each for each in unicodedata.normalize("NFD", word.lower()) if not unicodedata.combining(each)]
    alnum = [i for i, each in enumerate(letters) if each.isalnum()]
    return unicodedata.normalize("NFC", "".join(letters[alnum[0] : alnum[-1] + 1])) if alnum else ""
