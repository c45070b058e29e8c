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


@pytest.mark.parametrize(
    ("settings", "own"),
    [
        ({}, ["NFKD", "StripAccents", "Lowercase"]),
        ({"do_lower_case": False}, ["NFKD", "StripAccents"]),
        ({"keep_accents": True}, ["Lowercase"]),
    ],
)
def test_the_settings_of_albert_decide_and_what_else_its_vocabulary_has_comes_behind(tmp_path, settings, own):
    albert = class_of(tmp_path, {}, {"model_type": "albert"})
    quotes = [{"type": "Replace", "pattern": {"String": mark}, "content": '"'} for mark in ("``", "''")]
    parts = {"type": "Sequence", "normalizers": [*quotes, {"type": "Lowercase"}, {"type": "Nmt"}, {"type": "NFC"}]}
    found = albert.build(albert, settings, {"normalizer": parts}, {"vocab": []})["normalizer"]["normalizers"]
    assert [step["type"] for step in found] == ["Replace", "Replace", *own, "Nmt", "NFC"]
    found = albert.build(albert, settings, {"normalizer": {"type": "Nmt"}}, {"vocab": []})["normalizer"]["normalizers"]
    assert [step["type"] for step in found] == ["Replace", "Replace", *own, "Nmt"]
