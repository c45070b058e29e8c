"""Letters, written by hand, of people that do not exist, with their data marked: ``{CITY:Lisbon}``.

The forty of ``data/letters.txt`` were looked at while the rules and the threshold were made. The ten of
``data/letters_unseen.txt`` were written later, and nothing was changed after that.

``python -m tests.redact.letters [MODEL] [THRESHOLD ...]`` prints how much is found.
"""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import edgebert
from edgebert.bundled import default_model

__all__ = ["Figures", "Letter", "letters", "measure"]

FOLDER = Path(__file__).parents[1] / "data"
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


def letters(name: str = "letters") -> list[Letter]:
    """Read the letters of a file."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    return [letter(part.strip("\n") + "\n") for part in text.split("====\n")]


def letter(marked: str) -> Letter:
    """Read the marks of a text."""
    text, marks, at = "", [], 0
    for match in MARK.finditer(marked):
        text += marked[at : match.start()]
        marks.append((len(text), len(text) + len(match[2]), match[1]))
        text += match[2]
        at = match.end()
    return Letter(text + marked[at:], marks)


def measure(model: edgebert.Model, name: str = "letters", threshold: float = 0.3, **options: Any) -> Figures:
    """Redact each letter of a file by itself, and compare with its marks."""
    missed, half, wrong = [], [], []
    marks = found = 0
    for text, own in letters(name):
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
    """Print the figures of a model at several thresholds, and what is missed and wrong."""
    model = edgebert.load(sys.argv[1] if len(sys.argv) > 1 else default_model("redact"))
    thresholds = [float(each) for each in sys.argv[2:]] or [0.1, 0.3, 0.5, 0.7]
    for name, threshold in itertools.product(("letters", "letters_unseen"), thresholds):
        figures = measure(model, name, threshold)
        counts = f"{len(figures.missed)} of {figures.marks} missed, {len(figures.wrong)} of {figures.found} wrong"
        print(f"{name} {threshold}: recall {figures.recall:.3f}, precision {figures.precision:.3f}; {counts}")  # noqa: T201
        print("  missed", *figures.missed, "\n  wrong", *figures.wrong)  # noqa: T201


if __name__ == "__main__":
    main()
