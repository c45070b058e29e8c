"""What a model is for and how good it is, in plain words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from edgebert.schemes import kinds_of

__all__ = ["example", "how_good", "length", "makers", "purpose", "summary_of"]

_MOST_NAMED = 6
_WORDS_PER_TOKEN = 0.75
_NAMES = """\
af Afrikaans, am Amharic, ar Arabic, az Azerbaijani, be Belarusian, bg Bulgarian, bn Bengali, bs Bosnian, ca Catalan,
code program code, cs Czech, cy Welsh, da Danish, de German, el Greek, en English, eo Esperanto, es Spanish,
et Estonian, eu Basque, fa Persian, fi Finnish, fil Filipino, fr French, ga Irish, gl Galician, gu Gujarati, ha Hausa,
he Hebrew, hi Hindi, hr Croatian, hu Hungarian, hy Armenian, id Indonesian, is Icelandic, it Italian, ja Japanese,
jv Javanese, ka Georgian, kk Kazakh, km Khmer, kn Kannada, ko Korean, ku Kurdish, ky Kyrgyz, la Latin, lo Lao,
lt Lithuanian, lv Latvian, mg Malagasy, mk Macedonian, ml Malayalam, mn Mongolian, mr Marathi, ms Malay, mt Maltese,
multilingual several languages, my Burmese, nb Norwegian, ne Nepali, nl Dutch, nn Norwegian, no Norwegian, pa Punjabi,
pl Polish, ps Pashto, pt Portuguese, ro Romanian, ru Russian, sd Sindhi, si Sinhala, sk Slovak, sl Slovenian,
so Somali, sq Albanian, sr Serbian, sv Swedish, sw Swahili, ta Tamil, te Telugu, th Thai, tl Tagalog, tr Turkish,
ug Uyghur, uk Ukrainian, ur Urdu, uz Uzbek, vi Vietnamese, xh Xhosa, yi Yiddish, yo Yoruba, zh Chinese, zu Zulu"""
_LANGUAGES = {code: name for code, _, name in (pair.partition(" ") for pair in re.split(r",\s", _NAMES))}


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
    if facts.get("sparse"):
        return "Makes sparse vectors of texts, words with weights: for search engines with an inverted index."
    if facts.get("late_interaction"):
        return f"Makes a vector of each token ({facts['dimensions']} numbers each): for ranking by late interaction."
    if facts.get("gliner"):
        return "Finds names, and spans of any other kind that you name, in texts."
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
    longer = (
        "of longer ones the beginning is seen"
        if not (facts["heads"] or facts.get("gliner")) or facts.get("sparse")
        else "longer ones are read in windows"
    )
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
    command = "embed FILE --sparse -o OUT.jsonl" if facts.get("sparse") else command
    command = 'rank FILE --query "..."' if facts.get("late_interaction") else command
    command = "tag FILE --labels person,place" if facts.get("gliner") else command
    return f"edgebert {command}{named}"


def makers(facts: dict[str, Any], card: str) -> list[tuple[str, str]]:
    """Return the languages and the licence, as the model's makers told the hub, else as their card names them."""
    languages = dict.fromkeys(language(code) for code in facts["language"])
    told = {
        "languages": _named([*languages], "and") if languages else "",
        "licence": ", ".join(map(licence, facts["license"].split(", "))),
    }
    for name, title in (("languages", r"languages?(?:\(s\))?(?: \(NLP\))?"), ("licence", r"licen[cs]e")):
        found = re.search(rf"\*\*{title}:?\*\*:?[ \t]*(\S.*)", card, re.IGNORECASE)
        told[name] = told[name] or (found[1].strip().rstrip(".") if found else "")
    return [(name, text) for name, text in told.items() if text]


def language(code: str) -> str:
    """Return the name of a language in English, where its code is a known one."""
    return _LANGUAGES.get(re.split("[-_]", code.lower())[0], code)


def licence(name: str) -> str:
    """Return the name of a licence as people write it, and what its name says of trade."""
    if name == "other":
        return "one of its own: see where it comes from"
    if name == "apache-2.0":
        return "Apache-2.0"
    if not re.fullmatch(r"(?:mit|cc|cc0|[al]?gpl|bsd|mpl|wtfpl|unlicense)(?:-.*)?", name):
        return name
    words = name.upper().replace("-CLAUSE", "-Clause").replace("CC-BY", "CC BY").replace("UNLICENSE", "Unlicense")
    return f"{words}, not for commercial use" if "nc" in name.split("-") else words


def summary_of(card: str, most: int = 400) -> str:
    """Return the first paragraph of a model card that is prose, or its beginning."""
    body = re.sub(r"^```.*?^```|^#.*?$", "", card, flags=re.DOTALL | re.MULTILINE)
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", body))
    first = next((part for part in paragraphs if part and part[0] not in "<![|`-*{"), "")
    first = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", first)  # links have addresses that nobody can click on here
    return first if len(first) <= most else first[:most].rsplit(" ", 1)[0] + " ..."
