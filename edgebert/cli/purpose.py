"""What a model is for and how good it is, in plain words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from edgebert.schemes import kinds_of

__all__ = ["example", "from_card", "how_good", "length", "purpose", "summary_of"]

_MOST_NAMED = 6
_WORDS_PER_TOKEN = 0.75


def purpose(facts: dict[str, Any]) -> str:
    """Return what a model can be asked, in sentences."""
    labels = facts["labels"]
    told: dict[str, Callable[[], str]] = {
        "sequence_classification": lambda: _of_texts(labels, facts["problem_type"]),
        "token_classification": lambda: f"Marks {_named(kinds_of(labels), 'and')} in texts.",
        "masked_lm": lambda: "Fills in masked words, and tells how natural a text is.",
        "next_sentence": lambda: "Tells whether one text follows another.",
        "question_answering": lambda: "Finds the answer to a question in a text.",
    }
    vectors = (
        f"Makes vectors of texts ({facts['dimensions']} numbers each): for search, ranking, and sorting by labels."
    )
    return " ".join(told[head]() for head in facts["heads"]) or vectors


def _of_texts(labels: Sequence[str], problem_type: str) -> str:
    if len(labels) == 1:
        return "Scores texts, or pairs of them: how well a document fits a query."
    if any(label.lower().startswith("entail") for label in labels):
        return f"Tells of two texts whether one follows from the other ({_named(labels, 'or')})."
    if problem_type == "multi_label_classification":
        return f"Labels texts as any of {_named(labels, 'and')}: several may hold."
    return f"Labels texts as {_named(labels, 'or')}."


def _named(names: Sequence[str], conjunction: str) -> str:
    """Return names as a sentence has them; of many the first, and how many more there are."""
    if len(names) > _MOST_NAMED:
        return f"{', '.join(names[: _MOST_NAMED - 1])} {conjunction} {len(names) - _MOST_NAMED + 1} others"
    return f" {conjunction} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def how_good(receipt: dict[str, Any]) -> str:
    """Return how near the model in int8 is to the one that it was made from."""
    figures = receipt["evaluation"]
    heads = figures["heads"].values()
    if heads:
        least = min(heads, key=lambda found: found["agreement"])
        text = f"In int8 it decides as in fp32 in {100 * least['agreement']:.1f} % of {least['decisions']} cases"
    else:
        text = f"Its vectors in int8 have a cosine of {figures['pooled_cosine_mean']:.4f} to those in fp32"
    if receipt["below_min_agreement"]:
        return f"{text}, which is less than was asked for: it was written by --force."
    return f"{text}."


def length(facts: dict[str, Any]) -> str:
    """Return how long a text may be."""
    tokens = facts["max_length"]
    longer = "of longer ones the beginning is seen" if not facts["heads"] else "longer ones are read in windows"
    return f"{tokens} tokens at once, some {round(tokens * _WORDS_PER_TOKEN, -1):.0f} English words; {longer}"


def example(facts: dict[str, Any], named: str) -> str:
    """Return a command to try."""
    commands = {
        "sequence_classification": "classify FILE" if len(facts["labels"]) > 1 else 'rank FILE --query "..."',
        "token_classification": "tag FILE",
        "masked_lm": 'fill-mask --text "Paris is the [MASK] of France."',
        "next_sentence": "next-sentence PAIRS",
        "question_answering": 'answer FILE -q "..."',
    }
    command = next((commands[head] for head in facts["heads"]), "embed FILE -o OUT.npy")
    return f"edgebert {command}{named}"


def from_card(card: str) -> dict[str, str]:
    """Return the languages and the licence, where a model card names them as Hugging Face's template does."""
    found = {}
    for name, title in (("languages", r"languages?(?:\(s\))?(?: \(NLP\))?"), ("licence", r"licen[cs]e")):
        told = re.search(rf"\*\*{title}:?\*\*:?[ \t]*(\S.*)", card, re.IGNORECASE)
        if told:
            found[name] = told[1].strip().rstrip(".")
    return found


def summary_of(card: str, most: int = 400) -> str:
    """Return the first paragraph of a model card that is prose, or its beginning."""
    body = re.sub(r"^```.*?^```|^#.*?$", "", card, flags=re.DOTALL | re.MULTILINE)
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", body))
    first = next((part for part in paragraphs if part and part[0] not in "<![|`-*{"), "")
    first = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", first)  # links have addresses that nobody can click on here
    return first if len(first) <= most else first[:most].rsplit(" ", 1)[0] + " ..."
