"""Make the golden files of tokenizers: folders in every variant, and what transformers makes of texts with each.

Run with transformers 5.24 installed::

    python tools/make_golden_tokenizers.py tests/data/golden/tokenizers

``folders.json.xz`` has, variant -> file -> text, the tokenizer's files of a model folder and a config.json, as today's
``save_pretrained`` writes them or as versions before 5 did (``vocab.txt``, ``added_tokens.json``,
``special_tokens_map.json``). ``expected.json`` has for each variant the ids of `SINGLES` and the ids and types of
`PAIRS`; ``fields.json`` the names of all fields that these classes take or write, and of the files that they look for.
"""

from __future__ import annotations

import argparse
import inspect
import json
import lzma
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers
from make_golden import write_json
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoTokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

SINGLES = [
    "The Cat sat on the MAT.",
    "Café naïve Ünïcode, ÉLAN vital",
    "Cafe\u0301 nai\u0308ve",  # the same accents as combining marks
    "中文电影 mixed 中cat文",
    "see<url>now <url> @user's and re@user",
    "<URL> @User <Url>",
    "[CLS] the [SEP] cat [MASK] sat [PAD] [UNK] <s> </s> <mask> <pad> <unk>",
    "a [MASK]. the  [mask] <mask>, <ent> [ENT] <ENT>",
    "cat 🙂 mat 👩‍👩‍👧 ☃",
    "  leading and trailing  ",
    "tabs\tand\nlines\r\nand\u00a0other\u2003spaces\u2028end",
    "nul\x00and\x07control\x7f\u200b\ufeff",
    "x" * 120 + " cat",
    "",
    " ",
    "İstanbul ß ﬁne Ⅷ ½",
    "don't stop-it (ever) #1: 100,000.5%",
]
PAIRS = [["The Cat", "sat on the mat"], ["Café?", "<url> [SEP] 中文"], ["", "b"], ["x y", "\x00 z"]]
WORDS = "the cat sat on mat cafe naive elan vital see now and re user a leading trailing tabs lines other spaces end"
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
ROWS = 400
"""Embeddings of every model: more than any of the vocabularies, so that tokens may be added."""

BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
ALBERT = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
MPNET = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]


def wordpiece(special: list[str]) -> str:
    """Return a small cased ``vocab.txt``."""
    words = WORDS.split()
    accents = ["Café", "café", "naïve", "ÉLAN", "é", "##é", "中", "文", "##文", "The", "Cat", "MAT", "C", "T", "É"]
    single = [*LETTERS, *".,'?!@<>[]#%-()", "ß", "İ", "\u0131"]
    return "\n".join(dict.fromkeys([*special, *single, *words, *accents, *(f"##{c}" for c in LETTERS)])) + "\n"


def byte_level() -> tuple[dict[str, int], list[str]]:
    """Return a small ``vocab.json`` and the lines of its ``merges.txt``."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=ROBERTA, initial_alphabet=alphabet)
    tokenizer.train_from_iterator([WORDS, *SINGLES[:4]] * 4, trainer)
    parts = json.loads(tokenizer.to_str())["model"]
    return parts["vocab"], [" ".join(pair) for pair in parts["merges"]]


def unigram(extra: list[str]) -> list[tuple[str, float]]:
    """Return a small Unigram vocabulary with scores."""
    special = extra or ["<s>", "<pad>", "</s>", "<unk>"]
    words = [f"\u2581{word}" for word in WORDS.split()]
    single = ["\u2581", *LETTERS, *"TCMAÉé.,'中文<>@[]", "Caf"]
    pieces = [(piece, -3.0 - i / 10) for i, piece in enumerate(dict.fromkeys([*words, *single]))]
    return [*((token, 0.0) for token in special), *pieces, ("<mask>", 0.0)]


def saved(name: str, **settings: Any) -> Callable[[Path], None]:
    """Return what writes a folder as save_pretrained does."""

    def make(folder: Path) -> None:
        own = getattr(transformers, f"{name}Tokenizer")
        with tempfile.TemporaryDirectory() as place:
            source = Path(place)
            if name == "Roberta":
                vocabulary, merges = byte_level()
                tokenizer = own(vocab=vocabulary, merges=[tuple(pair.split(" ")) for pair in merges], **settings)
            elif name in ("XLMRoberta", "Camembert"):
                extra = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"] if name == "Camembert" else []
                tokenizer = own(vocab=unigram(extra), **settings)
            elif name == "Albert":
                tokenizer = own(vocab=unigram(ALBERT), **settings)
            else:
                special = MPNET if name == "MPNet" else BERT
                (source / "vocab.txt").write_text(wordpiece(special), encoding="utf-8")
                tokenizer = own.from_pretrained(source, **settings)
            tokenizer.save_pretrained(folder)

    return make


def added(make: Callable[[Path], None], *tokens: Any, special: bool = False) -> Callable[[Path], None]:
    """Return what writes a folder with more tokens, by today's classes."""

    def more(folder: Path) -> None:
        make(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        if special:
            tokenizer.add_special_tokens({"extra_special_tokens": list(tokens)})
        else:
            tokenizer.add_tokens(list(tokens))
        tokenizer.save_pretrained(folder)

    return more


def edited(make: Callable[[Path], None], file: str, **changes: Any) -> Callable[[Path], None]:
    """Return what writes a folder and then changes fields of a JSON file; ``...`` removes one."""

    def change(folder: Path) -> None:
        make(folder)
        path = folder / file
        values = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        write_json(path, {key: value for key, value in {**values, **changes}.items() if value is not ...})

    return change


def without(make: Callable[[Path], None], *files: str) -> Callable[[Path], None]:
    """Return what writes a folder and then removes files."""

    def remove(folder: Path) -> None:
        make(folder)
        for file in files:
            (folder / file).unlink()

    return remove


def old(vocabulary: str, **files: Any) -> Callable[[Path], None]:
    """Return what writes a folder as versions before 5 did, without tokenizer.json."""

    def write(folder: Path) -> None:
        (folder / "vocab.txt").write_text(vocabulary, encoding="utf-8")
        for name, value in files.items():
            write_json(folder / f"{name}.json", value)

    return write


def old_roberta(folder: Path, **config: Any) -> None:
    """Write ``vocab.json`` and ``merges.txt``."""
    vocabulary, merges = byte_level()
    write_json(folder / "vocab.json", vocabulary)
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    write_json(folder / "tokenizer_config.json", config)


def token(text: str, **flags: bool) -> dict[str, Any]:
    """Return a token as tokenizer_config.json has it."""
    return {
        "content": text,
        **dict.fromkeys(("lstrip", "rstrip", "single_word", "normalized", "special"), False),
        **flags,
    }


def variants() -> dict[str, tuple[str, Callable[[Path], None]]]:
    """Return name -> (model_type of the config.json, what writes the tokenizer's files)."""
    bert, vocabulary = saved("Bert"), wordpiece(BERT)
    end = len(vocabulary.splitlines())
    roles = {f"{role}_token": f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep", "mask")}
    config, parts = "tokenizer_config.json", "tokenizer.json"
    base = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    decoder = {str(i): token(text, special=True) for i, text in enumerate(BERT)}
    general = edited(bert, config, tokenizer_class="PreTrainedTokenizerFast")
    # Without this, transformers 5 gives both texts of a pair the first type; versions before did not.
    types = ["input_ids", "token_type_ids", "attention_mask"]
    albert = edited(saved("Albert"), config, model_input_names=types)
    albert_cased = edited(saved("Albert", do_lower_case=False), config, model_input_names=types)
    return {
        "bert": ("bert", bert),
        "bert-cased": ("bert", saved("Bert", do_lower_case=False)),
        "bert-accents": ("bert", saved("Bert", do_lower_case=False, strip_accents=True)),
        "bert-keep-accents": ("bert", saved("Bert", strip_accents=False)),
        "bert-chinese-words": ("bert", saved("Bert", tokenize_chinese_chars=False)),
        "bert-added": ("bert", added(bert, "<url>", "@user", AddedToken("<ent>", single_word=True, normalized=False))),
        "bert-extra-special": ("bert", added(bert, "<url>", "<ent>", special=True)),
        "bert-lower-conflict": ("bert", edited(bert, config, do_lower_case=False)),
        "bert-cased-conflict": ("bert", edited(saved("Bert", do_lower_case=False), config, do_lower_case=True)),
        "bert-accents-conflict": ("bert", edited(bert, config, strip_accents=False)),
        "bert-chinese-conflict": ("bert", edited(bert, config, tokenize_chinese_chars=False)),
        "bert-case-unsaid": ("bert", edited(saved("Bert", do_lower_case=False), config, do_lower_case=...)),
        "bert-no-post-processor": ("bert", edited(bert, parts, post_processor=None)),
        "bert-no-normalizer": ("bert", edited(bert, parts, normalizer=None, pre_tokenizer=None)),
        "bert-no-config": ("bert", without(edited(bert, parts, post_processor=None), config)),
        "bert-one-type": ("bert", edited(bert, config, model_input_names=["input_ids", "attention_mask"])),
        "bert-class-in-config": ("bert", edited(bert, config, tokenizer_class=...)),
        "bert-roles": ("bert", edited(bert, config, cls_token="<ent>", extra_special_tokens=["<url>"])),
        "bert-image-token": ("bert", edited(bert, config, image_token="<url>")),
        "general": ("bert", general),
        "general-types": ("bert", edited(general, config, model_input_names=["input_ids", "token_type_ids"])),
        "general-no-post-processor": ("bert", edited(general, parts, post_processor=None)),
        "general-lower-case": ("bert", edited(general, config, do_lower_case=False)),
        "general-added": ("bert", edited(general, config, extra_special_tokens=["<url>"], mask_token="<ent>")),
        "unknown-class": ("bert", edited(bert, config, tokenizer_class="NobodyKnowsTokenizer")),
        "bert-of-roberta": ("roberta", bert),
        "xlm-roberta-of-bert": ("bert", saved("XLMRoberta")),
        "distilbert": ("distilbert", saved("DistilBert")),
        "distilbert-class-of-bert": ("bert", saved("DistilBert")),
        "distilbert-no-post-processor": ("distilbert", edited(saved("DistilBert"), parts, post_processor=None)),
        "electra-no-post-processor": (
            "electra",
            edited(edited(bert, config, tokenizer_class="ElectraTokenizerFast"), parts, post_processor=None),
        ),
        "mpnet": ("mpnet", saved("MPNet")),
        "mpnet-no-post-processor": ("mpnet", edited(saved("MPNet"), parts, post_processor=None)),
        "mpnet-vocabulary": ("mpnet", old(wordpiece(MPNET))),
        "roberta": ("roberta", saved("Roberta")),
        "roberta-prefix-space": ("roberta", saved("Roberta", add_prefix_space=True)),
        "roberta-prefix-conflict": ("roberta", edited(saved("Roberta"), config, add_prefix_space=True)),
        "roberta-no-post-processor": ("roberta", edited(saved("Roberta"), parts, post_processor=None)),
        "roberta-added": ("roberta", added(saved("Roberta"), "<url>", "@user")),
        "roberta-vocabulary": ("roberta", lambda folder: old_roberta(folder, tokenizer_class="RobertaTokenizer")),
        "roberta-vocabulary-spaces": ("roberta", lambda folder: old_roberta(folder, add_prefix_space=True)),
        "xlm-roberta": ("xlm-roberta", saved("XLMRoberta")),
        "xlm-roberta-no-prefix": ("xlm-roberta", edited(saved("XLMRoberta"), config, add_prefix_space=False)),
        "xlm-roberta-no-post-processor": ("xlm-roberta", edited(saved("XLMRoberta"), parts, post_processor=None)),
        "camembert": ("camembert", saved("Camembert")),
        "camembert-no-post-processor": ("camembert", edited(saved("Camembert"), parts, post_processor=None)),
        "albert": ("albert", albert),
        "albert-cased": ("albert", albert_cased),
        "albert-case-unsaid": ("albert", edited(albert_cased, config, do_lower_case=...)),
        "albert-cased-conflict": ("albert", edited(albert, config, do_lower_case=False)),
        "albert-accents-conflict": ("albert", edited(albert, config, keep_accents=True)),
        "albert-no-prefix": ("albert", edited(albert, config, add_prefix_space=False)),
        "albert-no-normalizer": ("albert", edited(albert, parts, normalizer=None, pre_tokenizer=None)),
        "albert-no-post-processor": ("albert", edited(albert, parts, post_processor=None)),
        "old": ("bert", old(vocabulary, tokenizer_config=base, special_tokens_map=roles)),
        "old-alone": ("bert", old(vocabulary)),
        "old-added": (
            "bert",
            old(vocabulary, tokenizer_config=base, added_tokens={"<url>": end, "@user": end + 1, "<Ent>": end + 2}),
        ),
        "old-added-special": (
            "bert",
            old(
                vocabulary,
                tokenizer_config=base,
                added_tokens={"<url>": end, "@User": end + 1},
                special_tokens_map={**roles, "additional_special_tokens": ["<url>", "@User"]},
            ),
        ),
        "old-additional": ("bert", old(vocabulary, tokenizer_config={**base, "additional_special_tokens": ["<url>"]})),
        "old-map-wins": (
            "bert",
            old(
                vocabulary,
                tokenizer_config={**base, **roles},
                special_tokens_map={"cls_token": "the", "sep_token": "a"},
            ),
        ),
        "old-map-ignored": (
            "bert",
            old(
                vocabulary,
                tokenizer_config={**base, **roles, "added_tokens_decoder": decoder},
                special_tokens_map={"cls_token": "the"},
                added_tokens={"<url>": end},
            ),
        ),
        "old-decoder": (
            "bert",
            old(
                vocabulary,
                tokenizer_config={
                    **base,
                    **roles,
                    "added_tokens_decoder": {
                        **decoder,
                        str(end): token("<url>", normalized=True),
                        str(end + 1): token("@user", lstrip=True, rstrip=True),
                        str(end + 2): token("<ent>", single_word=True),
                    },
                },
            ),
        ),
        "old-cased": ("bert", old(vocabulary, tokenizer_config={"do_lower_case": False})),
        "old-empty-line": (
            "bert",
            old(vocabulary + "\n", tokenizer_config={**base, "additional_special_tokens": ["<url>"]}),
        ),
        "old-spaces": ("bert", old(vocabulary.replace("\ncat\n", "\ncat \n"), tokenizer_config=base)),
    }


def fields() -> dict[str, list[str]]:
    """Return the names of fields and files that the tokenizer classes of today know."""
    names, files = set(), set()
    for name in ("Bert", "DistilBert", "MPNet", "Roberta", "XLMRoberta", "Camembert", "Albert", "BertJapanese"):
        own = getattr(transformers, f"{name}Tokenizer")
        names |= {key for key in inspect.signature(own.__init__).parameters if key not in ("self", "args", "kwargs")}
        files |= set(own.vocab_files_names.values())
    # What the base class takes out of its arguments, by its own code.
    for own in (PreTrainedTokenizerBase, transformers.PreTrainedTokenizerFast):
        code = inspect.getsource(own.__init__)
        names |= {part.split('"')[1] for part in code.split("kwargs.pop(")[1:] if part.startswith('"')}
        names |= {part.split('"')[1] for part in code.split("kwargs.get(")[1:] if part.startswith('"')}
    names |= set(PreTrainedTokenizerBase.SPECIAL_TOKENS_ATTRIBUTES)
    files |= {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}
    return {"fields": sorted(names), "files": sorted(files)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    expected: dict[str, Any] = {}
    written = set()
    folders: dict[str, dict[str, str]] = {}
    for name, (model_type, make) in variants().items():
        place = Path(tempfile.mkdtemp())
        make(place)
        write_json(place / "config.json", {"model_type": model_type, "vocab_size": ROWS})
        if (place / "tokenizer_config.json").exists():
            written |= set(json.loads((place / "tokenizer_config.json").read_text(encoding="utf-8")))
        folders[name] = {path.name: path.read_text(encoding="utf-8") for path in sorted(place.iterdir())}
        tokenizer = AutoTokenizer.from_pretrained(place)
        shutil.rmtree(place)
        pairs = [tokenizer(*pair) for pair in PAIRS]
        expected[name] = {
            "class": type(tokenizer).__name__,
            "singles": [tokenizer(text)["input_ids"] for text in SINGLES],
            "pairs": [
                [each["input_ids"], each.get("token_type_ids") or [0] * len(each["input_ids"])] for each in pairs
            ],
        }
    with lzma.open(folder / "folders.json.xz", "wt", encoding="utf-8") as file:
        json.dump(folders, file)
    texts = {"transformers": transformers.__version__, "singles": SINGLES, "pairs": PAIRS, "variants": expected}
    (folder / "expected.json").write_text(json.dumps(texts, separators=(",", ":")) + "\n", encoding="utf-8")
    known = fields()
    known["fields"] = sorted(set(known["fields"]) | written - {"image_token"})
    write_json(folder / "fields.json", known)


if __name__ == "__main__":
    main()
