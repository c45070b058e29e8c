"""Folders in every variant: the ids and types are those of transformers (tools/make_golden_tokenizers.py)."""

from __future__ import annotations

import json
import lzma

import pytest

from edgebert.checkpoint.tokenizer import read_tokenizer
from edgebert.checkpoint.tokenizer_settings import read_tokenizer_settings
from edgebert.families import family_of
from edgebert.tokens import TextTokenizer
from tests.golden import GOLDEN

EXPECTED = json.loads((GOLDEN / "tokenizers" / "expected.json").read_text(encoding="utf-8"))
with lzma.open(GOLDEN / "tokenizers" / "folders.json.xz", "rt", encoding="utf-8") as file:
    FOLDERS = json.load(file)


def tokenizer_of(folder):
    """Return the tokenizer of a folder that has no weights."""
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config = family_of(values, source="variant").read_config(values)
    settings = read_tokenizer_settings(folder)
    description, _ = read_tokenizer(folder, settings, values, config, lowercase=False)
    return TextTokenizer(description, 512, config.type_vocab_size)


def write(files, folder):
    """Write a variant's files."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", FOLDERS)
def test_a_variant_gives_the_ids_and_types_of_transformers(tmp_path, name):
    tokenizer = tokenizer_of(write(FOLDERS[name], tmp_path))
    expected = EXPECTED["variants"][name]
    for text, ids in zip(EXPECTED["singles"], expected["singles"], strict=True):
        assert tokenizer.single(text).ids.tolist() == ids, text
    for (first, second), (ids, types) in zip(EXPECTED["pairs"], expected["pairs"], strict=True):
        (window,) = tokenizer.windows(tokenizer.content(second), tokenizer.content(first))
        assert window.ids.tolist() == ids, (first, second)
        assert window.type_ids.tolist() == types, (first, second)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("bert-lower-conflict", "bert"),
        ("bert-accents-conflict", "bert"),
        ("bert-chinese-conflict", "bert"),
        ("bert-cased", "bert"),
        ("bert-added", "bert"),
        ("bert-one-type", "bert"),
        ("bert-roles", "bert"),
        ("bert-image-token", "bert"),
        ("general", "bert"),
        ("general-added", "general"),
        ("general-no-post-processor", "general"),
        ("distilbert-class-of-bert", "bert"),
        ("roberta-prefix-conflict", "roberta"),
        ("roberta-added", "roberta"),
        ("xlm-roberta-no-prefix", "xlm-roberta"),
        ("albert-cased", "albert"),
        ("albert-case-unsaid", "albert-cased"),
        ("albert-cased-conflict", "albert"),
        ("albert-accents-conflict", "albert"),
        ("albert-no-prefix", "albert"),
        ("old-added", "old"),
        ("old-added-special", "old-added"),
        ("old-map-wins", "old"),
        ("old-spaces", "old-alone"),
    ],
)
def test_what_a_variant_changes_is_seen_in_its_ids_or_types(name, base):
    """Else the test above could not fail."""
    variants = EXPECTED["variants"]
    same = name == "old-spaces"  # a space behind a word of vocab.txt is no part of it
    assert (variants[name] == variants[base]) is same
