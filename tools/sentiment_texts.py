"""The labelled texts behind the default sentiment model, and the rule that keeps their halves apart.

``sentences()`` is for measuring only. ``snippets()`` is for training, after ``unseen`` has removed
whatever occurs in the sentences too.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from fetch_material import MaterialError, fetch

__all__ = ["CLEAR_VALENCE", "Sentences", "Snippets", "sentences", "sha256_of", "snippets", "split", "unseen"]

SENTENCE_SOURCES = ("amazon", "imdb", "yelp")
SNIPPET_SOURCES = ("amazon", "movie", "nyt", "tweets")
SNIPPET_FILES = {
    "amazon": "amazonReviewSnippets_GroundTruth.txt",
    "movie": "movieReviewSnippets_GroundTruth.txt",
    "nyt": "nytEditorialSnippets_GroundTruth.txt",
    "tweets": "tweets_GroundTruth.txt",
}

MIN_SHARED = 20
"""Characters a normalised text must have before finding it inside another one means anything."""


CLEAR_VALENCE = 1.0
"""Mean rating from which on, in size, a snippet has a class."""

HELD_OUT = 0.08
"""Share of the snippets that is kept for choosing between recipes."""


class Sentences(NamedTuple):
    """Texts with two classes: `labels` is (n,) int64, 1 where positive; `sources` names each one's file."""

    texts: list[str]
    labels: np.ndarray
    sources: list[str]


class Snippets(NamedTuple):
    """Texts with `valence` (n,) float64, the mean of some twenty human ratings from -4 to 4."""

    texts: list[str]
    valence: np.ndarray
    sources: list[str]


def sentences(folder: Path | None = None) -> Sentences:
    """Return the 3 × 1,000 sentences of Amazon, IMDB and Yelp, in this order.

    Parameters
    ----------
    folder : Path, optional
        Where the three json files are; fetched when not given.
    """
    folder = folder or fetch("sentiment-sentences")
    texts, labels, sources = [], [], []
    for source in SENTENCE_SOURCES:
        records = json.loads((folder / f"{source}.json").read_text(encoding="utf-8"))
        # The last record of each file is what follows the last newline: no text and no class.
        for record in (record for record in records if record["text"]):
            texts.append(record["text"].strip())
            labels.append(record["class"])
            sources.append(source)
    return Sentences(texts, np.array(labels, dtype=np.int64), sources)


def snippets(folder: Path | None = None) -> Snippets:
    """Return the snippets of VADER's ground truth: products, films, editorials and tweets, in this order.

    Parameters
    ----------
    folder : Path, optional
        Where the four text files are; fetched when not given.

    Raises
    ------
    MaterialError
        When a line is not an identifier, a valence and a text between tabs.
    """
    folder = folder or fetch("vader")
    texts, valence, sources = [], [], []
    for source in SNIPPET_SOURCES:
        path = folder / SNIPPET_FILES[source]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                _, rating, text = line.split("\t")
                valence.append(float(rating))
            except ValueError as error:
                raise MaterialError(
                    f"{path} line {number} is not 'id<TAB>valence<TAB>text'; delete the folder, fetch again"
                ) from error
            texts.append(html.unescape(text).strip())
            sources.append(source)
    return Snippets(texts, np.array(valence, dtype=np.float64), sources)


def normalised(text: str) -> str:
    """Return the letters and digits of a text, casefolded: what stays when punctuation and spacing change."""
    return "".join(character for character in text.casefold() if character.isalnum())


def unseen(texts: Sequence[str], evaluation: Sequence[str]) -> np.ndarray:
    """Tell which texts share nothing with an evaluation set.

    A text has been seen when, normalised, it equals an evaluation text, contains one, or is contained
    in one (the contained one having at least `MIN_SHARED` characters), or has no letters to compare.

    Parameters
    ----------
    texts, evaluation : sequence of str

    Returns
    -------
    ndarray [shape=(len(texts),), dtype=bool]
        True where the text may be trained on.
    """
    plain = [normalised(text) for text in texts]
    known = sorted({normalised(text) for text in evaluation})
    nothing_new = {"", *known}
    keep = np.array([text not in nothing_new for text in plain], dtype=bool)
    keep[[whole for whole, _ in containments(plain, known)]] = False
    keep[[part for _, part in containments(known, plain)]] = False
    return keep


def containments(wholes: Sequence[str], parts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the indices (whole, part) wherever a part of at least `MIN_SHARED` characters is in a whole."""
    by_start = defaultdict(list)
    for index, part in enumerate(parts):
        by_start[part[:MIN_SHARED]].append(index)
    for whole_index, whole in enumerate(wholes):
        for at in range(len(whole) - MIN_SHARED + 1):
            for part_index in by_start.get(whole[at : at + MIN_SHARED], ()):
                if whole.startswith(parts[part_index], at):
                    yield whole_index, part_index


def split(texts: Sequence[str], *, evaluation: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Divide texts into those to train on and those held out.

    None of either occurs in `evaluation`, and none of the first occurs in the second.

    Parameters
    ----------
    texts, evaluation : sequence of str

    Returns
    -------
    training, held_out : ndarray [dtype=int64]
        Indices into `texts`, ascending; the same at every call.
    """
    usable = unseen(texts, evaluation)
    chosen = np.random.default_rng(0).random(len(texts)) < HELD_OUT
    held_out = np.flatnonzero(usable & chosen)
    training = np.flatnonzero(usable & ~chosen)
    apart = unseen([texts[index] for index in training.tolist()], [texts[index] for index in held_out.tolist()])
    return training[apart], held_out


def sha256_of(texts: Sequence[str]) -> str:
    """Return the sha256 of the texts in UTF-8, each followed by a newline, in hexadecimal."""
    return hashlib.sha256("".join(f"{text}\n" for text in texts).encode()).hexdigest()
