"""The tokenizer of a folder: the ids are those of transformers, whichever files it has."""

from __future__ import annotations

import json

import pytest
from tokenizers import Tokenizer

from edgebert.checkpoint import open_checkpoint
from edgebert.errors import UnsupportedModelError
from tests.checkpoint.folders import change_json, copy_model, open_refusal
from tests.golden import GOLDEN, NAMES, load_tokenized


def tokenizer_of(folder):
    """Return the tokenizer that an opened folder describes."""
    return Tokenizer.from_str(open_checkpoint(folder).info.tokenizer)


def ids(folder, text):
    """Return the ids of one text."""
    return tokenizer_of(folder).encode(text).ids


@pytest.mark.parametrize("name", NAMES)
def test_a_tokenizer_json_gives_the_ids_of_transformers(name):
    tokenizer = tokenizer_of(GOLDEN / name)
    cases = load_tokenized(name)
    assert len(cases) > 10
    for text, expected in cases:
        assert tokenizer.encode(text).ids == expected, text


@pytest.mark.parametrize("name", NAMES)
def test_a_vocabulary_gives_the_ids_of_transformers(tmp_path, name):
    folder = copy_model(name, tmp_path)
    (folder / "tokenizer.json").unlink()
    tokenizer = tokenizer_of(folder)
    for text, expected in load_tokenized(name):
        assert tokenizer.encode(text).ids == expected, text


def test_a_vocabulary_alone_is_enough(vocabulary_alone):
    tokenizer = tokenizer_of(vocabulary_alone)
    for text, expected in load_tokenized("encoder"):
        assert tokenizer.encode(text).ids == expected, text


@pytest.mark.parametrize("name", NAMES)
def test_a_built_tokenizer_is_the_one_that_transformers_saves(tmp_path, name):
    folder = copy_model(name, tmp_path)
    saved = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    (folder / "tokenizer.json").unlink()
    built = json.loads(open_checkpoint(folder).info.tokenizer)
    assert built == saved


def test_pairs_have_two_types(vocabulary_alone):
    encoding = tokenizer_of(vocabulary_alone).encode("good film", "bad book")
    assert encoding.type_ids == [0, 0, 0, 0, 1, 1, 1]
    assert encoding.tokens == ["[CLS]", "good", "film", "[SEP]", "bad", "book", "[SEP]"]


def test_decoding_joins_the_pieces(vocabulary_alone):
    tokenizer = tokenizer_of(vocabulary_alone)
    assert tokenizer.decode(tokenizer.encode("unbelievable acting").ids) == "unbelievable acting"


def test_truncation_and_padding_are_removed(encoder):
    tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
    tokenizer.enable_truncation(max_length=4)
    tokenizer.enable_padding(length=20)
    tokenizer.save(str(encoder / "tokenizer.json"))
    assert len(tokenizer.encode("a").ids) == 20
    got = tokenizer_of(encoder)
    assert got.truncation is None
    assert got.padding is None
    for text, expected in load_tokenized("encoder"):
        assert got.encode(text).ids == expected


def test_case_and_accents_follow_the_config(vocabulary_alone):
    config = vocabulary_alone / "tokenizer_config.json"
    word = tokenizer_of(vocabulary_alone).token_to_id
    unknown = word("[UNK]")
    assert ids(vocabulary_alone, "Café")[1:-1] == [word("cafe")]
    change_json(config, do_lower_case=False)
    assert ids(vocabulary_alone, "Café cafe")[1:-1] == [unknown, word("cafe")]
    change_json(config, do_lower_case=False, strip_accents=True)
    assert ids(vocabulary_alone, "café")[1:-1] == [word("cafe")]
    change_json(config, do_lower_case=True, strip_accents=False)
    assert ids(vocabulary_alone, "Café Plot")[1:-1] == [unknown, word("plot")]


def test_chinese_characters_follow_the_config(vocabulary_alone):
    assert len(ids(vocabulary_alone, "中文")) == 4
    change_json(vocabulary_alone / "tokenizer_config.json", tokenize_chinese_chars=False)
    assert len(ids(vocabulary_alone, "中文")) == 3


@pytest.mark.parametrize("as_object", [False, True])
@pytest.mark.parametrize("file", ["tokenizer_config.json", "special_tokens_map.json"])
def test_special_tokens_may_have_other_names(vocabulary_alone, as_object, file):
    path = vocabulary_alone / "vocab.txt"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("[CLS]", "<s>").replace("[SEP]", "</s>").replace("[UNK]", "<unk>"), encoding="utf-8")
    names = {"cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>"}
    if as_object:
        names = {key: {"content": value, "lstrip": False} for key, value in names.items()}
    change_json(vocabulary_alone / file, **names)
    encoding = tokenizer_of(vocabulary_alone).encode("<s> film ☃")
    assert encoding.tokens == ["<s>", "<s>", "film", "<unk>", "</s>"]


@pytest.mark.parametrize(
    ("said", "there", "expected"), [("<m>", "<m>", "<m>"), (..., "[MASK]", "[MASK]"), (..., "<mask>", "<mask>")]
)
def test_the_token_of_a_masked_word(vocabulary_alone, said, there, expected):
    """What the settings call it, or else what others do."""
    path = vocabulary_alone / "vocab.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("[MASK]", there), encoding="utf-8")
    change_json(vocabulary_alone / "tokenizer_config.json", mask_token=said)
    assert open_checkpoint(vocabulary_alone).info.mask_token == expected


@pytest.mark.parametrize(("name", "takes"), [("MPNetTokenizer", True), ("BertTokenizer", False)])
def test_whether_the_space_before_a_masked_word_is_part_of_it(vocabulary_alone, name, takes):
    """As transformers' classes have it, where no tokenizer.json says so."""
    path = vocabulary_alone / "vocab.txt"
    text = path.read_text(encoding="utf-8")
    if takes:
        names = {"[PAD]": "<pad>", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}
        text = "\n".join(names.get(line, line) for line in text.split("\n"))
    path.write_text(text, encoding="utf-8")
    (vocabulary_alone / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}))
    mask = "<mask>" if takes else "[MASK]"
    assert tokenizer_of(vocabulary_alone).encode(f"the {mask} film").tokens[2] == " " * takes + mask


def test_the_longest_word_that_is_no_unknown_one(vocabulary_alone):
    tokenizer = tokenizer_of(vocabulary_alone)
    assert "[UNK]" not in tokenizer.encode("a" * 100).tokens
    assert tokenizer.encode("a" * 101).tokens[1:-1] == ["[UNK]"]


def test_special_tokens_missing_from_the_vocabulary_are_all_named(vocabulary_alone):
    path = vocabulary_alone / "vocab.txt"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("[SEP]", "[sep]").replace("[UNK]", "[unk]"), encoding="utf-8")
    assert "vocab.txt lacks special tokens that the model needs: [UNK]; [SEP]" in open_refusal(vocabulary_alone)


def test_a_vocabulary_without_mask_gets_no_new_id_for_it(vocabulary_alone):
    path = vocabulary_alone / "vocab.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("[MASK]", "[unused]"), encoding="utf-8")
    tokenizer = tokenizer_of(vocabulary_alone)
    assert tokenizer.token_to_id("[MASK]") is None
    assert tokenizer.get_vocab_size(with_added_tokens=True) == 165


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_of_a_vocabulary_end_in_any_way(vocabulary_alone, end, last):
    path = vocabulary_alone / "vocab.txt"
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    assert len(lines) == 165
    # Line 8 becomes a character that splitlines() would take for the end of a line.
    lines[8] = "\u2028"
    path.write_bytes((end.join(lines) + end * last).encode())
    vocabulary = tokenizer_of(vocabulary_alone).get_vocab()
    assert vocabulary == {line: i for i, line in enumerate(lines)}


def test_more_tokens_than_embeddings(encoder):
    change_json(encoder / "config.json", vocab_size=100)
    message = open_refusal(encoder)
    assert "tokenizer.json has token ids up to 164, but config.json has a vocab_size of 100" in message
    (encoder / "tokenizer.json").unlink()
    message = open_refusal(encoder)
    assert "vocab.txt has token ids up to 164, but config.json has a vocab_size of 100" in message


def test_an_added_token_counts_too(encoder):
    tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
    tokenizer.add_tokens(["zyzzyva"])
    tokenizer.save(str(encoder / "tokenizer.json"))
    assert "token ids up to 165, but config.json has a vocab_size of 165" in open_refusal(encoder)


def test_no_tokenizer(encoder):
    for name in ("tokenizer.json", "vocab.txt"):
        (encoder / name).unlink()
    assert "encoder has no tokenizer, expected tokenizer.json or vocab.txt" in open_refusal(encoder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "tokenizer.json is not JSON"),
        ("[]", "tokenizer.json holds a JSON list"),
        ("{}", "tokenizer.json cannot be read by the tokenizers library"),
        ('{"version": "1.0", "model": {"type": "Nonsense"}}', "cannot be read by the tokenizers library"),
    ],
)
def test_a_damaged_tokenizer_json(encoder, text, message):
    (encoder / "tokenizer.json").write_text(text)
    assert message in open_refusal(encoder)


def test_a_vocabulary_that_is_not_text(vocabulary_alone):
    (vocabulary_alone / "vocab.txt").write_bytes(b"[PAD]\n\xff\n")
    assert "vocab.txt is not UTF-8 text: byte 6" in open_refusal(vocabulary_alone)


def test_a_vocabulary_of_another_tokenizer_is_not_guessed_at(vocabulary_alone):
    change_json(vocabulary_alone / "tokenizer_config.json", tokenizer_class="BertJapaneseTokenizer")
    assert "vocab.txt is for a BertJapaneseTokenizer" in open_refusal(vocabulary_alone, UnsupportedModelError)


def test_a_vocabulary_for_words_already_split(vocabulary_alone):
    change_json(vocabulary_alone / "tokenizer_config.json", do_basic_tokenize=False)
    assert "do_basic_tokenize is false" in open_refusal(vocabulary_alone, UnsupportedModelError)


def test_a_setting_of_the_wrong_kind(vocabulary_alone):
    change_json(vocabulary_alone / "tokenizer_config.json", strip_accents="yes")
    assert "vocab.txt cannot be read by the tokenizers library" in open_refusal(vocabulary_alone)
