"""What texts and pairs may be, how much of them is seen, and how many tokens a pass takes."""

from __future__ import annotations

import pytest

import edgebert
from edgebert.arguments import listed_pairs, listed_texts
from edgebert.config import BertConfig
from edgebert.coverage import Coverage
from edgebert.errors import InputError
from edgebert.runner import token_budget
from tests.golden import GOLDEN


@pytest.mark.parametrize(("positions", "expected"), [(64, 1024), (1024, 1024), (1025, 1025), (4096, 4096)])
def test_a_pass_takes_the_longest_text(positions, expected):
    assert token_budget(BertConfig(max_position_embeddings=positions)) == expected


def test_pairs_as_transformers_takes_them():
    """A second text that is empty is one all the same."""
    mappings = [{"text": "a", "text_pair": "b"}, {"text": "a", "text_pair": ""}, {"text": "a"}]
    assert listed_pairs([*mappings, {"text": "a", "text_pair": None}]) == [("a", "b"), ("a", ""), "a", "a"]
    assert listed_pairs([["a", "b"], ("a", "")], only=True) == [("a", "b"), ("a", "")]


@pytest.mark.parametrize("check", [listed_texts, listed_pairs])
@pytest.mark.parametrize("one", [{"text": "a"}, {"text": "a", "text_pair": "b"}, "a", b"a", 3, None])
def test_one_text_is_no_list(check, one):
    with pytest.raises(InputError, match=r"texts is (one \w+|3|None), expected a list"):
        check(one)


def test_a_first_text_that_was_cut_is_said(tmp_path):
    """With windows too: they are cut from the second text alone."""
    source = GOLDEN / "families" / "bert-classifier"
    model = edgebert.load(edgebert.convert(source, tmp_path / "m.edgebert", min_agreement=0))
    seen = []
    told = {"on_coverage": lambda index, coverage: seen.append(coverage)}
    model.classify([("a " * 200, "b"), ("a", "b " * 200), ("a", "b")], **told)
    assert seen == [Coverage(204, 1, True), Coverage(204, seen[1].windows, False), Coverage(5, 1, False)]
    assert seen[1].windows > 2
