"""Texts to windows: the library's own tokens, their places, nothing lost, however long a text is."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from edgebert import pieces
from edgebert.checkpoint import open_checkpoint
from edgebert.config import BertConfig
from edgebert.errors import ArtifactError, InputError
from edgebert.token_words import continues, word_numbers
from edgebert.tokens import TextTokenizer
from edgebert.windows import fitting_ids
from tests.golden import GOLDEN

KINDS = ("bert-token", "distilbert-token", "roberta-token", "xlm-roberta-token", "camembert-token", "mpnet-token")
DESCRIPTIONS = {name: open_checkpoint(GOLDEN / "families" / name).info.tokenizer for name in KINDS}
TEXT = "Alice and Bob liked the film, but unbelievable acting was not for Carol. "


def tokenizer(name, max_length=96, types=2):
    return TextTokenizer(DESCRIPTIONS[name], max_length, types)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("pair", [False, True])
def test_a_text_that_fits_is_what_the_library_makes_of_it(name, pair):
    library = Tokenizer.from_str(DESCRIPTIONS[name])
    mine = tokenizer(name)
    for first, second in (("Café!", "no story"), ("", ""), ("a", ""), ("中文 film", "Bob")):
        if pair:
            encoding = library.encode(first, second)
            windows = list(mine.windows(mine.content(second), mine.content(first)))
        else:
            encoding = library.encode(first)
            windows = list(mine.windows(mine.content(first)))
        (window,) = windows
        assert window.ids.tolist() == encoding.ids
        assert window.type_ids.tolist() == encoding.type_ids
        assert mine.count(mine.content(second if pair else first), mine.content(first) if pair else None) == len(
            encoding.ids
        )
        own = [i for i, owner in enumerate(encoding.sequence_ids) if owner == (1 if pair else 0)]
        assert list(range(len(window.ids)))[window.rows()] == own


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("length", [8, 9, 15, 96])
def test_one_window_of_a_long_text_is_what_the_library_keeps(name, side, length):
    library = Tokenizer.from_str(DESCRIPTIONS[name])
    library.enable_truncation(length, direction=side)
    mine = TextTokenizer(DESCRIPTIONS[name], length, 2, side)
    for text in (TEXT, TEXT * 3, "Bob", ""):
        encoding, window = library.encode(text), mine.single(text)
        assert window.ids.tolist() == encoding.ids
        content = mine.content(text)
        own = window.ids[window.rows()]
        assert own.tolist() == content.ids[window.first : window.last].tolist()


@pytest.mark.parametrize("length", [9, 20, 40])
@pytest.mark.parametrize(
    ("first", "second"), [("Alice liked", TEXT), (TEXT, TEXT), (TEXT, "Bob"), (TEXT, ""), ("", TEXT)]
)
def test_a_pair_that_is_cut_on_the_left_keeps_both_ends(first, second, length):
    """As many tokens of each as on the right; windows do not know of sides."""
    left, right = (TextTokenizer(DESCRIPTIONS["bert-token"], length, 2, side) for side in ("left", "right"))
    before, text = left.content(first), left.content(second)
    window, other = left.truncated(text, before), right.truncated(text, before)
    assert len(window.ids) == len(other.ids) <= length
    assert (window.begin, window.last) == (other.begin, len(text.ids))
    kept = window.begin - 2
    assert window.ids[1 : 1 + kept].tolist() == before.ids[len(before.ids) - kept :].tolist()
    assert window.ids[window.begin : -1].tolist() == text.ids[window.first :].tolist()
    assert window.type_ids.tolist() == other.type_ids.tolist()
    for one, two in zip(left.windows(text, before), right.windows(text, before), strict=True):
        assert one.ids.tolist() == two.ids.tolist()


def test_a_model_with_one_token_type_gets_zeros():
    mine = tokenizer("distilbert-token", types=1)
    (window,) = mine.windows(mine.content("b"), mine.content("a"))
    assert not window.type_ids.any()
    assert tokenizer("distilbert-token").windows(mine.content("b"), mine.content("a")).__next__().type_ids.any()


@pytest.mark.parametrize("overlap", [None, 0, 1, 5])
@pytest.mark.parametrize("name", KINDS)
def test_windows_hold_every_token_in_order(name, overlap):
    mine = tokenizer(name, 20)
    content = mine.content(TEXT * 5)
    windows = list(mine.windows(content, None, overlap))
    assert len(windows) > 3
    room = 20 - (len(windows[0].ids) - (windows[0].last - windows[0].first))
    for window in windows:
        assert len(window.ids) <= 20
        own = window.ids[window.rows()]
        assert (own == content.ids[window.first : window.last]).all()
        middle = (window.first + window.last) // 2
        assert (window.ids[window.rows(middle)] == content.ids[middle : window.last]).all()
        assert [window.token(row) for row in (window.begin, window.rows(middle).start)] == [window.first, middle]
    assert (windows[0].first, windows[-1].last) == (0, len(content.ids))
    shared = room // 4 if overlap is None else overlap
    for before, after in itertools.pairwise(windows):
        assert before.last - after.first == shared


def test_of_a_pair_the_second_text_is_cut():
    mine = tokenizer("bert-token", 30)
    question, context = mine.content("who liked the film?"), mine.content(TEXT * 3)
    for window in mine.windows(context, question):
        assert window.ids[1 : 1 + len(question.ids)].tolist() == question.ids.tolist()
        assert len(window.ids) <= 30
    long = list(mine.windows(mine.content("a"), context))
    assert len(long) == 1
    assert len(long[0].ids) == 30
    both = list(mine.windows(context, context))
    assert all(len(window.ids) <= 30 for window in both)
    assert both[-1].last == len(context.ids)


@pytest.mark.parametrize("overlap", [-1, 18, 100])
def test_an_overlap_that_leaves_no_room(overlap):
    mine = tokenizer("bert-token", 20)
    with pytest.raises(InputError, match=f"stride is {overlap}, expected 0 to 17 tokens"):
        list(mine.windows(mine.content(TEXT), None, overlap))


def test_an_overlap_of_more_than_a_window_beside_a_first_text_holds():
    """Of what is left of a window, all but one token are common to two; every token is seen."""
    mine = tokenizer("bert-token", 20)
    question, context = mine.content(TEXT), mine.content(TEXT * 2)
    windows = list(itertools.islice(mine.windows(context, question, 16), 1000))
    assert [window.first for window in windows] == list(range(len(windows)))
    assert windows[-1].last == len(context.ids)


def test_a_token_type_of_a_text_alone():
    """Where the template gives it one that is not 0."""
    described = json.loads(DESCRIPTIONS["bert-token"])
    for entry in described["post_processor"]["single"]:
        next(iter(entry.values()))["type_id"] = 1
    library = Tokenizer.from_str(json.dumps(described))
    mine = TextTokenizer(json.dumps(described), 96, 2)
    window = mine.single("Alice liked")
    assert window.type_ids.tolist() == library.encode("Alice liked").type_ids == [1] * len(window.ids)


def test_no_room_at_all():
    mine = tokenizer("bert-token", 3)
    with pytest.raises(InputError, match="no room for a text"):
        list(mine.windows(mine.content("b c"), mine.content("a")))


@pytest.mark.parametrize("name", KINDS)
def test_a_long_text_is_tokenized_piece_by_piece_as_a_whole(name, monkeypatch):
    mine = tokenizer(name)
    text = (TEXT + "Café\nnaïve  story\u00a0at 中文电影很好看。很好看 🙂 x\r\ny\t" + "word" * 20 + " ") * 6
    whole = mine.content(text, offsets=True)
    monkeypatch.setattr(pieces, "LONGEST", 200)
    parts = mine.content(text, offsets=True)
    assert len(list(pieces.cut(text))) > 5
    for part in ("ids", "starts", "ends", "words"):
        assert (getattr(whole, part) == getattr(parts, part)).all(), part


@pytest.mark.parametrize("space", [50, 60, 100, 150, 198])
def test_where_a_long_text_is_cut(monkeypatch, space):
    """At the first space from the middle of a piece on, within two pieces; else where it must."""
    monkeypatch.setattr(pieces, "LONGEST", 100)
    assert list(pieces.cut("w" * space + " " + "w" * 90)) == [(0, space), (space, space + 91)]
    whole = "w" * 20 + " " + "w" * 200
    assert list(pieces.cut(whole)) == [(0, 100), (100, 200), (200, 221)]


def test_words_are_counted_on_behind_a_piece_without_any(monkeypatch):
    mine = tokenizer("bert-token")
    text = "Alice and Bob " * 20 + "\n" * 700 + "Carol was not " * 20
    whole = mine.content(text, offsets=True)
    monkeypatch.setattr(pieces, "LONGEST", 200)
    assert any(not text[begin:end].strip() for begin, end in pieces.cut(text))
    assert mine.content(text, offsets=True).words.tolist() == whole.words.tolist()


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=300))
def test_any_text(name, text):
    """No crash, places inside of the text and in order, and the same when it is cut into pieces at spaces."""
    mine = tokenizer(name)
    content = mine.content(text, offsets=True)
    assert len(content.ids) == len(content.starts) == len(content.ends) == len(content.words)
    assert ((content.starts >= 0) & (content.starts <= content.ends) & (content.ends <= len(text))).all()
    assert (np.diff(content.starts) >= 0).all()
    assert len(continues(text, content, mine.pieces_of_words)) == len(content.ids)


def described(pieces, kind="Unigram"):
    """Return a tokenizer of these pieces: SentencePiece's, or WordPiece's, which marks those within a word."""
    if kind == "Unigram":
        vocab = [("<unk>", -20.0), ("\u2581", -9.0), *((piece, -float(8 - len(piece) / 9)) for piece in pieces)]
        library = Tokenizer(models.Unigram(vocab, 0))
        library.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
        )
    else:
        vocab = {piece: i for i, piece in enumerate(["[UNK]", *pieces])}
        library = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
        library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return TextTokenizer(library.to_str(), 64)


def grouped(text, begins, content):
    """Return the words of a text, given which tokens begin one."""
    bounds = [*np.flatnonzero(begins).tolist(), len(begins)]
    return [text[content.starts[begin] : content.ends[end - 1]] for begin, end in itertools.pairwise(bounds)]


@pytest.mark.parametrize(
    ("text", "pieces", "tagged", "answered"),
    [
        ('"Bob" x', '" Bo b \u2581x', ['"', "Bob", '"', "x"], ['"Bob"', "x"]),
        ("U.S. x", ". U S \u2581x", ["U.S", ".", "x"], ["U.S.", "x"]),
        ("don't x,", "\u2581do n ' t , \u2581x", ["don't", "x", ","], ["don't", "x,"]),
        ("東京に行く。", "東京 に 行く 。", ["東京", "に", "行く", "。"], ["東京", "に", "行く", "。"]),
        ("我在2024,見", "我 在 20 24 , 見", ["我", "在", "2024", ",", "見"], ["我", "在", "2024", ",", "見"]),
        ("ที่นี่ Bob", "ที ่ นี่ \u2581Bob", ["ที่", "นี่", "Bob"], ["ที่", "นี่", "Bob"]),
        ("한국어, x", "한국 어 , \u2581x", ["한국어", ",", "x"], ["한국어,", "x"]),
        ("e\u0301t", "e \u0301 t", ["e\u0301t"], ["e\u0301t"]),
    ],
)
def test_words_by_a_tokenizer_that_does_not_mark_pieces(text, pieces, tagged, answered):
    mine = described(pieces.split())
    content = mine.content(text, offsets=True)
    assert grouped(text, ~continues(text, content, mine.pieces_of_words), content) == tagged
    numbers = word_numbers(text, content)
    assert grouped(text, np.diff(numbers, prepend=numbers[0] - 1) != 0, content) == answered


@pytest.mark.parametrize(
    ("text", "pieces", "tagged"),
    [
        ("unable, don't", "un ##able , don ' t", ["unable", ",", "don", "'", "t"]),
        ("ที่นี่ Bob", "ที่ ##นี่ Bob", ["ที่", "นี่", "Bob"]),
        ("すしabc", "すし ##ab ##c", ["すし", "abc"]),
        ("नमस्ते", "नम ##स् ##ते", ["नमस्ते"]),
        ("€5", "€ ##5", ["€5"]),
    ],
)
def test_words_by_a_tokenizer_that_marks_pieces(text, pieces, tagged):
    mine = described(pieces.split(), "WordPiece")
    content = mine.content(text, offsets=True)
    assert grouped(text, ~continues(text, content, mine.pieces_of_words), content) == tagged
    numbers = word_numbers(text, content)
    assert grouped(text, np.diff(numbers, prepend=numbers[0] - 1) != 0, content) == tagged


def test_asking_for_words_changes_no_places():
    mine = described(["▁do", "n", "'", "t", ",", "▁x"])
    content = mine.content(" don't  x,", offsets=True)
    before = [each.tolist() for each in content]
    continues(" don't  x,", content, mine.pieces_of_words)
    word_numbers(" don't  x,", content)
    assert [each.tolist() for each in content] == before


def test_a_text_without_any_space_is_cut_where_it_must():
    mine = tokenizer("bert-token")
    content = mine.content("看" * 100_000, offsets=True)
    assert len(content.ids) == 100_000
    assert (content.starts == np.arange(100_000)).all()


def test_text_that_is_none():
    with pytest.raises(InputError, match="lone surrogate"):
        tokenizer("bert-token").content("\ud800")


def test_a_tokenizer_that_cannot_be_read():
    with pytest.raises(ArtifactError, match="tokenizer cannot be read"):
        TextTokenizer(json.dumps({"version": "1.0"}), 8)


def changed(name, **parts):
    """Return a tokenizer.json with other parts; a callable makes one of what was there."""
    whole = json.loads(DESCRIPTIONS[name])
    whole |= {key: part(whole[key]) if callable(part) else part for key, part in parts.items()}
    return json.dumps(whole)


@pytest.mark.parametrize(
    "parts",
    [
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},  # Rust panics: a BaseException
        {"model": {"type": "WordPiece"}},
        {"version": "2"},
    ],
)
def test_a_tokenizer_that_cannot_be_read_is_one_error(parts):
    with pytest.raises(ArtifactError, match="the model's tokenizer cannot be read: "):
        TextTokenizer(changed("bert-token", **parts), 96)


@pytest.mark.parametrize(
    "parts",
    [
        {"pre_tokenizer": {"type": "FixedLength", "length": 0}},  # Rust panics
        {
            "model": {"type": "Unigram", "unk_id": None, "vocab": [["zz", 0.0]]},
            "added_tokens": [],
            "post_processor": None,
        },
    ],
)
def test_a_tokenizer_that_fails_on_a_text_is_one_error(parts):
    made = TextTokenizer(changed("bert-token", **parts), 96)
    with pytest.raises(ArtifactError, match="the model's tokenizer makes no tokens of a text: "):
        made.single("a film")


def test_what_is_not_the_librarys_is_not_its_fault(monkeypatch):
    made = tokenizer("bert-token")

    class Interrupted:
        def encode(self, *_, **__):
            raise KeyboardInterrupt

    monkeypatch.setattr(made, "_tokenizer", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        made.content("a film")


def test_padding_and_truncation_left_in_a_tokenizer_change_nothing():
    padding = {"strategy": {"Fixed": 50}, "direction": "Right", "pad_to_multiple_of": None}
    padding |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}
    truncation = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 2}
    plain = tokenizer("bert-token")
    for left in ({"padding": padding}, {"truncation": truncation}, {"padding": padding, "truncation": truncation}):
        made = TextTokenizer(changed("bert-token", **left), 96)
        assert made.single(TEXT).ids.tolist() == plain.single(TEXT).ids.tolist()
        content = made.content(TEXT)
        (window,) = made.windows(content, made.content("Bob"))
        (expected,) = plain.windows(plain.content(TEXT), plain.content("Bob"))
        assert window.ids.tolist() == expected.ids.tolist()


def test_ids_beyond_what_int32_holds_are_refused():
    config = BertConfig(vocab_size=1000, max_position_embeddings=96)
    vocabulary = {"a": 2**32 - 1, "b": 2**31, "c": 1000, "[UNK]": 1}
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"}
    description = changed("bert-token", model=model, added_tokens=[], post_processor=None)
    made = TextTokenizer(description, 96, vocab_size=config.vocab_size)
    for text in "abc":
        with pytest.raises(ArtifactError, match=r"the model's tokenizer is another model's: token_ids\[0\]\[0\] is"):
            fitting_ids([made.single(text)], config)
        with pytest.raises(ArtifactError, match=rf"has the id {vocabulary[text]} for '{text}', expected 0 to 999"):
            made.id_of(text)
    assert made.id_of("[UNK]") == 1
    assert made.id_of("d") is None


def test_a_vocabulary_with_a_large_id_takes_no_memory_for_it():
    """Which ids continue a word stands in a table by their number: of the last, 4 GB."""
    whole = json.loads(DESCRIPTIONS["bert-token"])
    whole["model"]["vocab"]["##zz"] = 2**32 - 1
    made = TextTokenizer(json.dumps(whole), 96, vocab_size=1000)
    with pytest.raises(ArtifactError, match="has the id 4294967295 for '##zz'"):
        continues("a film", made.content("a film", offsets=True), made.pieces_of_words)


@pytest.mark.parametrize("order", [["A", "[SEP]", "A"], ["B", "[SEP]", "A"], ["A", "[SEP]", "B", "A"]])
def test_a_template_that_takes_texts_apart_is_refused(order):
    def template(part):
        pieces = [
            {"SpecialToken": {"id": each, "type_id": 0}}
            if each == "[SEP]"
            else {"Sequence": {"id": each, "type_id": 0}}
            for each in order
        ]
        single = [piece for piece in pieces if piece.get("Sequence", {}).get("id") != "B"]
        return {**part, "single": single, "pair": pieces if "B" in order else [*pieces, *part["pair"]]}

    made = TextTokenizer(changed("bert-token", post_processor=template), 96)
    with pytest.raises(ArtifactError, match="puts a text in pieces, or the second of a pair first"):
        list(made.windows(made.content("a film"), made.content("Bob")))
