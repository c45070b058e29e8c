"""Which class a tokenizer is of, where its folder does not say."""

from __future__ import annotations

import pytest

from edgebert.checkpoint.tokenizer_classes import class_of


@pytest.mark.parametrize(
    ("model_type", "name"),
    [
        ("bert", "BertTokenizer"),
        ("electra", "BertTokenizer"),
        (None, "BertTokenizer"),
        ("mpnet", "MPNetTokenizer"),
        ("roberta", "RobertaTokenizer"),
        ("xlm-roberta", "XLMRobertaTokenizer"),
        ("camembert", "CamembertTokenizer"),
        ("albert", "AlbertTokenizer"),
    ],
)
def test_the_class_of_a_model(tmp_path, model_type, name):
    assert class_of(tmp_path, {}, {"model_type": model_type}).name == name
    assert (
        class_of(tmp_path, {"tokenizer_class": "MPNetTokenizerFast"}, {"model_type": "bert"}).name == "MPNetTokenizer"
    )
    in_config = {"model_type": model_type, "tokenizer_class": "CamembertTokenizer"}
    assert class_of(tmp_path, {}, in_config).name == "CamembertTokenizer"
    assert class_of(tmp_path, {"tokenizer_class": "BertTokenizer"}, in_config).name == "BertTokenizer"
