"""The letters of ``data/letters.txt``: forty, written by hand, of people that do not exist, with their data marked.

``{CITY:Lisbon}`` is a mark. Run as ``python -m tests.redact.letters [MODEL] [THRESHOLD]`` it prints how much is found.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import edgebert
from edgebert.bundled import default_model

__all__ = ["Figures", "Letter", "letters", "measure"]

LETTERS = Path(__file__).parents[1] / "data" / "letters.txt"
MARK = re.compile(r"\{([A-Z_]+):([^}]*)\}")


class Letter(NamedTuple):
    """A text, and what is personal in it: (start, end, label)."""

    text: str
    marks: list[tuple[int, int, str]]


class Figures(NamedTuple):
    """What was found of what is there.

    ``missed`` are marks of which a letter or digit is left, ``half`` those of which not all is; ``wrong`` are found
    where nothing is marked.
    """

    marks: int
    missed: list[str]
    half: list[str]
    found: int
    wrong: list[str]

    @property
    def recall(self) -> float:
        """The share of the marks of which nothing is left."""
        return 1 - len(self.missed) / self.marks

    @property
    def precision(self) -> float:
        """The share of what was found that touches a mark."""
        return 1 - len(self.wrong) / self.found


def letters() -> list[Letter]:
    """Read the letters."""
    return [letter(part.strip("\n") + "\n") for part in LETTERS.read_text(encoding="utf-8").split("====\n")]


def letter(marked: str) -> Letter:
    """Read the marks of a text."""
    text, marks, at = "", [], 0
    for match in MARK.finditer(marked):
        text += marked[at : match.start()]
        marks.append((len(text), len(text) + len(match[2]), match[1]))
        text += match[2]
        at = match.end()
    return Letter(text + marked[at:], marks)


def measure(model: edgebert.Model, threshold: float = 0.3, **options: object) -> Figures:
    """Redact each letter by itself, and compare with its marks."""
    missed, half, wrong = [], [], []
    marks = found = 0
    for text, own in letters():
        (result,) = model.redact([text], threshold=threshold, **options)
        covered = {i for each in result["entities"] for i in range(each["start"], each["end"])}
        for start, end, label in own:
            left = {i for i in range(start, end) if text[i].isalnum()} - covered
            if left:
                missed.append(f"{label}:{text[start:end]}")
                if covered & set(range(start, end)):
                    half.append(f"{label}:{text[start:end]}")
        marks += len(own)
        found += len(result["entities"])
        marked = {i for start, end, _ in own for i in range(start, end)}
        wrong += [
            f"{each['entity_group']}:{each['word']}:{each['source']}:{each['score']}"
            for each in result["entities"]
            if not marked & set(range(each["start"], each["end"]))
        ]
    return Figures(marks, missed, half, found, wrong)


def main() -> None:
    """Print the figures of a model at several thresholds, and what is missed and wrong at the last."""
    model = edgebert.load(sys.argv[1] if len(sys.argv) > 1 else default_model("redact"))
    thresholds = [float(each) for each in sys.argv[2:]] or [0.1, 0.5, 0.7, 0.3]
    for threshold in thresholds:
        figures = measure(model, threshold)
        counts = f"{len(figures.missed)} of {figures.marks} missed, {len(figures.wrong)} of {figures.found} wrong"
        print(f"{threshold}: recall {figures.recall:.3f}, precision {figures.precision:.3f}; {counts}")  # noqa: T201
    print(figures.missed, figures.half, figures.wrong, Counter(each.partition(":")[0] for each in figures.missed))  # noqa: T201


if __name__ == "__main__":
    main()
