"""What the files beside a vocabulary say: which wins, what contradicts, and what is refused by name."""

from __future__ import annotations

import json
import shutil

import pytest
from tokenizers import Tokenizer

from edgebert.checkpoint import open_checkpoint
from edgebert.checkpoint.tokenizer_settings import read_tokenizer_settings
from edgebert.errors import CheckpointWarning, UnsupportedModelError
from tests.checkpoint.folders import change_json, open_refusal
from tests.golden import GOLDEN

CONFIG = "tokenizer_config.json"


def tokens(folder, *texts):
    """Return the tokens of a text or a pair."""
    return Tokenizer.from_str(open_checkpoint(folder).info.tokenizer).encode(*texts).tokens


def change_parts(folder, **changes):
    """Change parts of the tokenizer.json."""
    change_json(folder / "tokenizer.json", **changes)


@pytest.mark.parametrize(
    ("config", "other", "expected"),
    [
        ({"extra_special_tokens": ["a"]}, {"extra_special_tokens": ["b", "a"]}, ["a", "b"]),
        ({"additional_special_tokens": ["a"]}, {"additional_special_tokens": ["b"]}, ["a"]),
        ({}, {"additional_special_tokens": ["b"]}, ["b"]),
        ({}, {"extra_special_tokens": ["b"]}, ["b"]),
        ({"extra_special_tokens": ["a"]}, {}, ["a"]),
    ],
)
def test_two_lists_of_special_tokens(tmp_path, config, other, expected):
    """By the new name both count; by the old one the second where there is no first."""
    (tmp_path / CONFIG).write_text(json.dumps(config))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(other))
    assert read_tokenizer_settings(tmp_path, {})["extra_special_tokens"] == expected


@pytest.mark.parametrize("name", ["BertJapaneseTokenizer", "PhobertTokenizer", "BertweetTokenizerFast"])
@pytest.mark.parametrize("file", [CONFIG, "config.json"])
def test_a_class_that_needs_code_or_a_dictionary_is_refused_with_a_tokenizer_json_too(encoder, name, file):
    change_json(encoder / CONFIG, tokenizer_class=...)
    change_json(encoder / file, tokenizer_class=name)
    assert f"tokenizer.json is for a {name}, which splits texts by code" in open_refusal(encoder, UnsupportedModelError)


def test_the_class_of_tokenizer_config_wins_over_that_of_config(encoder):
    change_json(encoder / "config.json", tokenizer_class="BertJapaneseTokenizer")
    change_json(encoder / CONFIG, tokenizer_class="BertTokenizerFast")
    assert tokens(encoder, "film") == ["[CLS]", "film", "[SEP]"]


@pytest.mark.parametrize("name", ["XLMRobertaTokenizer", "CamembertTokenizerFast"])
def test_a_sentencepiece_file_alone_is_refused_by_class_and_with_a_remedy(vocabulary_alone, name):
    (vocabulary_alone / "vocab.txt").unlink()
    (vocabulary_alone / "sentencepiece.bpe.model").write_bytes(b"\x0a")
    change_json(vocabulary_alone / CONFIG, tokenizer_class=name)
    message = open_refusal(vocabulary_alone, UnsupportedModelError)
    assert f"the vocabulary of a {name.removesuffix('Fast')} is in a SentencePiece file" in message
    assert "save_pretrained writes its tokenizer.json" in message


def test_the_general_class_needs_a_tokenizer_json(vocabulary_alone):
    change_json(vocabulary_alone / CONFIG, tokenizer_class="PreTrainedTokenizerFast")
    message = open_refusal(vocabulary_alone, UnsupportedModelError)
    assert "the vocabulary of a PreTrainedTokenizerFast is there alone, not in vocab.txt" in message


def test_merges_must_be_there_and_be_pairs(vocabulary_alone):
    change_json(vocabulary_alone / CONFIG, tokenizer_class="RobertaTokenizer")
    (vocabulary_alone / "vocab.json").write_text(json.dumps({"<s>": 0, "</s>": 1, "a": 2, "b": 3, "ab": 4}))
    assert "vocab.json and merges.txt of a RobertaTokenizer; merges.txt is not there" in open_refusal(vocabulary_alone)
    (vocabulary_alone / "merges.txt").write_text("#version: 0.2\na b c\n")
    assert "merges.txt has the line 'a b c', expected two parts" in open_refusal(vocabulary_alone)
    (vocabulary_alone / "merges.txt").write_bytes(b"#version: 0.2\r\na b\r\n\r\n")
    assert tokens(vocabulary_alone, "ab") == ["<s>", "ab", "</s>"]


@pytest.mark.parametrize("i", [164, 170])
def test_an_added_token_whose_id_is_anothers_or_leaves_a_gap(vocabulary_alone, i):
    change_json(vocabulary_alone / "added_tokens.json", **{"<url>": i})
    message = open_refusal(vocabulary_alone)
    assert "added tokens with ids that do not follow on vocab.txt without a gap, or that are another's" in message
    assert f"by its own count '<url>' is {i}, not 165" in message


@pytest.mark.parametrize("value", ["165", -1, None, 1.5, True])
def test_an_added_token_without_an_id(vocabulary_alone, value):
    change_json(vocabulary_alone / "added_tokens.json", **{"<url>": value})
    assert "expected an id, a whole number, for each token" in open_refusal(vocabulary_alone)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("added_tokens_decoder", {"x": {"content": "a"}}, "added_tokens_decoder that is not tokens by id"),
        ("added_tokens_decoder", {"9": {}}, "token 9 of added_tokens_decoder is {}, expected a token"),
        ("additional_special_tokens", "x", "additional_special_tokens 'x', expected a list of tokens"),
        ("extra_special_tokens", [5], "a token of extra_special_tokens is 5, expected a token"),
        ("cls_token", 5, "cls_token is 5, expected a token: text, or an object with its content"),
        ("model_input_names", "ids", "model_input_names 'ids', expected a list of names"),
        ("tokenizer_class", 5, "tokenizer_class 5, expected the name of a class"),
    ],
)
def test_a_field_of_the_wrong_kind(encoder, field, value, message):
    change_json(encoder / CONFIG, **{field: value})
    assert message in open_refusal(encoder)


def test_an_extra_token_beyond_the_embeddings_is_refused(encoder):
    change_json(encoder / CONFIG, additional_special_tokens=["<url>"])
    assert "token ids up to 165, but config.json has a vocab_size of 165" in open_refusal(encoder)


def test_a_vocabulary_of_another_kind_is_taken_as_it_is_with_a_warning(encoder):
    change_parts(
        encoder,
        model={"type": "WordLevel", "vocab": {"[UNK]": 0, "film": 1}, "unk_token": "[UNK]"},
        added_tokens=[],
        normalizer=None,
        post_processor=None,
    )
    change_json(encoder / CONFIG, added_tokens_decoder=...)
    with pytest.warns(CheckpointWarning, match="a WordLevel model, and a BertTokenizer a WordPiece model"):
        assert tokens(encoder, "film plot") == ["film", "[UNK]"]


def test_a_normalizer_of_another_kind_gives_way_to_the_class_with_a_warning(encoder):
    change_parts(encoder, normalizer={"type": "Replace", "pattern": {"String": "film"}, "content": "plot"})
    with pytest.warns(CheckpointWarning, match="a normalizer of type Replace, in whose place a BertTokenizer has its"):
        assert tokens(encoder, "Film") == ["[CLS]", "film", "[SEP]"]
    change_json(encoder / CONFIG, tokenizer_class="PreTrainedTokenizerFast")
    assert tokens(encoder, "film") == ["[CLS]", "plot", "[SEP]"]


ENDS = {"sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
BERT_ENDS = {"type": "BertProcessing", **ENDS}
ROBERTA_ENDS = {"type": "RobertaProcessing", **ENDS, "trim_offsets": True, "add_prefix_space": False}
BYTES = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}


@pytest.mark.parametrize(
    "part",
    [
        None,
        BERT_ENDS,
        ROBERTA_ENDS,
        BYTES,
        {"type": "Sequence", "processors": [BYTES, BERT_ENDS]},
        {"type": "Sequence", "processors": [BYTES]},
    ],
)
def test_types_are_left_out_of_every_kind_of_post_processor(encoder, part):
    change_parts(encoder, post_processor=part)
    change_json(encoder / CONFIG, tokenizer_class="PreTrainedTokenizerFast", model_input_names=["token_type_ids"])
    with_types = Tokenizer.from_str(open_checkpoint(encoder).info.tokenizer).encode("film", "plot")
    change_json(encoder / CONFIG, model_input_names=["input_ids"])
    without = Tokenizer.from_str(open_checkpoint(encoder).info.tokenizer).encode("film", "plot")
    assert without.tokens == with_types.tokens
    assert set(without.type_ids) == {0}


def test_length_and_side_may_stand_elsewhere(encoder):
    change_json(encoder / CONFIG, model_max_length=..., max_len=20, truncation_side=...)
    truncation = {"direction": "Left", "max_length": 9, "strategy": "LongestFirst", "stride": 0}
    change_parts(encoder, truncation=truncation)
    assert open_checkpoint(encoder).info.max_length == 20
    assert read_tokenizer_settings(encoder)["truncation_side"] == "left"
    change_json(encoder / CONFIG, truncation_side="right")
    assert read_tokenizer_settings(encoder)["truncation_side"] == "right"


@pytest.mark.parametrize(("name", "takes"), [("mpnet", True), ("camembert", True), ("roberta", False)])
def test_whether_a_masked_word_takes_the_space_before_it(tmp_path, name, takes):
    """The classes of transformers say so where a file gives the token as text alone."""
    folder = shutil.copytree(GOLDEN / "families" / f"{name}-masked", tmp_path / name)
    given = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    (folder / CONFIG).write_text(json.dumps({key: given[key] for key in ("tokenizer_class", "mask_token")}))
    parts = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    parts["added_tokens"] = [token for token in parts["added_tokens"] if token["content"] != given["mask_token"]]
    (folder / "tokenizer.json").write_text(json.dumps(parts))
    (token,) = (
        token
        for token in json.loads(open_checkpoint(folder).info.tokenizer)["added_tokens"]
        if token["content"] == given["mask_token"]
    )
    assert (token["lstrip"], token["rstrip"]) == (takes, False)
