"""What a model is for, in plain words, whatever its heads and labels are."""

from __future__ import annotations

from typing import Any

import pytest

from edgebert.cli.purpose import example, how_good, length, makers, purpose, summary_of


def facts(*heads: str, labels: tuple[str, ...] = (), problem_type: str = "") -> dict[str, Any]:
    return {"heads": heads, "labels": labels, "problem_type": problem_type, "dimensions": 384, "max_length": 512}


MANY = ("multi_label_classification", tuple(f"L{i}" for i in range(28)))
TEXTS = "sequence_classification"


@pytest.mark.parametrize(
    ("model", "told", "command"),
    [
        (facts(TEXTS, labels=("NEGATIVE", "POSITIVE")), "Labels texts as NEGATIVE or POSITIVE.", "classify FILE"),
        (facts(TEXTS, labels=("a", "b", "c")), "Labels texts as a, b or c.", "classify FILE"),
        (
            facts(TEXTS, labels=MANY[1], problem_type=MANY[0]),
            "Labels texts as any of L0, L1, L2, L3, L4 and 23 others: several may hold.",
            "classify FILE",
        ),
        (
            facts(TEXTS, labels=("entailment", "neutral")),
            "Tells of two texts whether one follows from the other (entailment or neutral).",
            "classify FILE",
        ),
        (
            facts(TEXTS, labels=("LABEL_0",)),
            "Scores texts, or pairs of them: how well a document fits a query.",
            'rank FILE --query "..."',
        ),
        (
            facts("token_classification", labels=("O", "B-PER", "I-PER", "B-LOC")),
            "Marks PER and LOC in texts.",
            "tag FILE",
        ),
        (facts("question_answering"), "Finds the answer to a question in a text.", 'answer FILE -q "..."'),
        (
            facts(),
            "Makes vectors of texts (384 numbers each): for search, ranking, and sorting by labels.",
            "embed FILE -o OUT.npy",
        ),
    ],
)
def test_what_a_model_is_for(model: dict[str, Any], told: str, command: str) -> None:
    assert purpose(model) == told
    assert example(model, " -m m.edgebert") == f"edgebert {command} -m m.edgebert"


def test_how_long_texts_may_be() -> None:
    assert length(facts(TEXTS)).startswith(
        "512 tokens at once, some 380 English words; longer ones are read in windows"
    )
    assert length(facts()).endswith("of longer ones the beginning is seen")


def test_how_good_it_is() -> None:
    heads = {"a": {"agreement": 0.9982, "decisions": 500}, "b": {"agreement": 1.0, "decisions": 9}}
    receipt = {"evaluation": {"heads": heads, "pooled_cosine_mean": 0.99963}, "below_min_agreement": False}
    assert how_good(receipt) == "In int8 it decides as in fp32 in 99.8 % of 500 cases."
    receipt["evaluation"]["heads"] = {}  # type: ignore[index]
    assert how_good(receipt) == "Its vectors in int8 have a cosine of 0.9996 to those in fp32."


CARD = """# Title
[![badge](x)](y)

```python
import code
```

A [model](https://host/x) of
two lines.

- **Language(s) (NLP):** English
- **Licence**: Apache-2.0.
"""


def test_what_a_card_says() -> None:
    assert summary_of(CARD) == "A model of two lines."
    untold: dict[str, Any] = {"license": "", "language": []}
    assert makers(untold, CARD) == [("languages", "English"), ("licence", "Apache-2.0")]
    assert (summary_of(""), makers(untold, "")) == ("", [])
    assert summary_of("word " * 200) == "word " * 79 + "word ..."


@pytest.mark.parametrize(
    ("languages", "told"),
    [
        (["de"], "German"),
        (["en", "fr", "zh-Hans"], "English, French and Chinese"),
        (["nb", "nn", "no"], "Norwegian"),
        (["multilingual"], "several languages"),
        (["Klingon", "xx"], "Klingon and xx"),
        (["en", "de", "fr", "es", "it", "nl", "pl"], "English, German, French, Spanish, Italian and 2 others"),
    ],
)
def test_languages_have_names(languages: list[str], told: str) -> None:
    assert makers({"license": "", "language": languages}, CARD)[0] == ("languages", told)


@pytest.mark.parametrize(
    ("licence", "told"),
    [
        ("apache-2.0", "Apache-2.0"),
        ("mit", "MIT"),
        ("mit, gpl-3.0", "MIT, GPL-3.0"),
        ("bsd-3-clause", "BSD-3-Clause"),
        ("cc-by-sa-4.0", "CC BY-SA-4.0"),
        ("cc-by-nc-4.0", "CC BY-NC-4.0, not for commercial use"),
        ("agpl-3.0", "AGPL-3.0"),
        ("openrail", "openrail"),
        ("other", "one of its own: see where it comes from"),
    ],
)
def test_licences_are_written_as_people_write_them(licence: str, told: str) -> None:
    assert makers({"license": licence, "language": []}, CARD)[1] == ("licence", told)
