"""The tokenizer classes of transformers that encoders have: what each makes of a vocabulary.

Such a class takes the vocabulary alone from a tokenizer.json, and makes the rest of the tokenizer itself, by the
settings of tokenizer_config.json. So does transformers 5; versions before changed what was there, which comes to the
same wherever the tokenizer.json is of the class's own kind. A folder whose class is the general one
(``PreTrainedTokenizerFast``, ``TokenizersBackend``) has its tokenizer.json taken as it is.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgebert.checkpoint.tokenizer_settings import token_text
from edgebert.errors import CheckpointError, UnsupportedModelError
from edgebert.families import family_of

__all__ = ["TokenizerClass", "class_of"]

Settings = Mapping[str, Any]
Parts = dict[str, Any]

_LONGEST_WORD = 100  # characters; BERT's tokenizer takes a longer word for unknown
_SPACE = "\u2581"  # what Unigram writes for one


@dataclasses.dataclass(frozen=True)
class TokenizerClass:
    """What a class makes.

    Attributes
    ----------
    name : str
        Without ``Fast``.
    model : str
        Of the tokenizers library: ``"WordPiece"``, ``"BPE"`` or ``"Unigram"``; empty for the general class.
    tokens : mapping
        The special tokens by role, where no file names others.
    ends : tuple of str
        The roles of the tokens before and behind a text.
    types : bool
        Whether the second text of a pair has a type of its own.
    flags : mapping
        Of a special token that a file gives as text alone.
    mask_takes_space : bool
        Whether the space before a masked word is part of its token, where a file gives the token as text alone.
    extra : tuple of str
        More special tokens, where no file names others.
    build : callable
        From the settings, the tokenizer.json's parts (empty without one) and the model's vocabulary, its part
        ``model``, to what the class makes: all parts but ``added_tokens`` and ``post_processor``.
    finish : callable
        From the settings and the (token, id) of both `ends` to the ``post_processor``.
    """

    name: str
    model: str = ""
    tokens: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ends: tuple[str, str] = ("cls", "sep")
    types: bool = False
    flags: Mapping[str, bool] = dataclasses.field(default_factory=dict)
    mask_takes_space: bool = False
    extra: tuple[str, ...] = ()
    build: Callable[[TokenizerClass, Settings, Parts, Parts], Parts] = lambda own, settings, parts, model: parts
    finish: Callable[[Settings, Any, Any], Parts | None] = lambda settings, first, last: None

    def token(self, role: str, settings: Settings) -> str:
        """Return the text of a special token; empty where there is none for the role."""
        return token_text(settings.get(f"{role}_token")) or self.tokens.get(role, "")


def _flag(settings: Settings, name: str, default: bool | None) -> Any:
    """Return a yes or no of the settings, the default where it is missing or null; the library checks its kind."""
    value = settings.get(name)
    return default if value is None else value


def _wordpiece(own: TokenizerClass, settings: Settings, parts: Parts, model: Parts) -> Parts:
    """BERT's own: the settings decide about case, accents and Chinese characters."""
    return {
        "version": "1.0",
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": _flag(settings, "tokenize_chinese_chars", True),
            "strip_accents": _flag(settings, "strip_accents", None),  # null: where the text is put into lower case
            "lowercase": _flag(settings, "do_lower_case", True),
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": own.token("unk", settings),
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": _LONGEST_WORD,
            "vocab": model.get("vocab"),
        },
    }


def _byte_level(own: TokenizerClass, settings: Settings, parts: Parts, model: Parts) -> Parts:
    """RoBERTa's own: pairs of bytes, merged."""
    spaces = {"trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "normalizer": None,
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": _flag(settings, "add_prefix_space", False),
            **spaces,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, **spaces},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": model.get("vocab"),
            "merges": model.get("merges"),
        },
    }


def _unigram(own: TokenizerClass, settings: Settings, parts: Parts, model: Parts) -> Parts:
    """XLM-RoBERTa's and CamemBERT's own: the normalizer is the vocabulary's, which tokenizer.json alone has."""
    scheme = "always" if _flag(settings, "add_prefix_space", True) else "never"
    spaces = {"type": "Metaspace", "replacement": _SPACE, "prepend_scheme": scheme, "split": True}
    vocabulary = model.get("vocab")
    if model.get("unk_id") is None and isinstance(vocabulary, list):
        unknown = own.token("unk", settings)
        model = {**model, "unk_id": next((i for i, entry in enumerate(vocabulary) if entry[:1] == [unknown]), None)}
    return {
        "version": "1.0",
        "normalizer": parts.get("normalizer"),
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, spaces]},
        "decoder": spaces,
        "model": model,
    }


def _albert(own: TokenizerClass, settings: Settings, parts: Parts, model: Parts) -> Parts:
    """ALBERT's own: the settings decide about case and accents; the vocabulary's normalizer has what comes behind."""
    steps: list[Parts] = [{"type": "Replace", "pattern": {"String": mark}, "content": '"'} for mark in ("``", "''")]
    if not _flag(settings, "keep_accents", False):
        steps += [{"type": "NFKD"}, {"type": "StripAccents"}]
    if _flag(settings, "do_lower_case", True):
        steps.append({"type": "Lowercase"})
    given = parts.get("normalizer") or {"type": "Sequence", "normalizers": []}
    given = given["normalizers"] if given["type"] == "Sequence" else [given]
    decided = ("NFKD", "StripAccents", "Lowercase")
    steps += [step for step in given if step["type"] not in decided and step not in steps]
    return {**_unigram(own, settings, parts, model), "normalizer": {"type": "Sequence", "normalizers": steps}}


def _esm(own: TokenizerClass, settings: Settings, parts: Parts, model: Parts) -> Parts:
    """ESM's own: every token of the vocabulary stands by itself, wherever; what is between them is unknown."""
    vocabulary = model.get("vocab")
    known = sorted(filter(None, vocabulary), key=len, reverse=True) if isinstance(vocabulary, dict) else []
    pattern = {"Regex": "|".join(map(re.escape, known))}
    split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0",
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, {"type": "WhitespaceSplit"}]},
        "decoder": None,
        "model": {"type": "WordLevel", "unk_token": own.token("unk", settings), "vocab": vocabulary},
    }


def _piece(token: str, type_id: int) -> Parts:
    return {"SpecialToken": {"id": token, "type_id": type_id}}


def _text(name: str, type_id: int) -> Parts:
    return {"Sequence": {"id": name, "type_id": type_id}}


def _template(first: Any, last: Any, pair: list[Parts]) -> Parts:
    """Return a template: `first` and `last` round a text, and behind it those of `pair`."""
    alone = [_piece(first[0], 0), _text("A", 0), _piece(last[0], 0)]
    special = {token: {"id": token, "ids": [i], "tokens": [token]} for token, i in (first, last)}
    return {"type": "TemplateProcessing", "single": alone, "pair": alone + pair, "special_tokens": special}


def _bert_ends(settings: Settings, first: Any, last: Any) -> Parts:
    return _template(first, last, [_text("B", 1), _piece(last[0], 1)])


def _esm_ends(settings: Settings, first: Any, last: Any) -> Parts:
    return _template(first, last, [_text("B", 0), _piece(last[0], 0)])


def _unigram_ends(settings: Settings, first: Any, last: Any) -> Parts:
    return _template(first, last, [_piece(last[0], 0), _text("B", 0), _piece(last[0], 0)])


def _roberta_ends(settings: Settings, first: Any, last: Any) -> Parts:
    spaces = {name: _flag(settings, name, name == "trim_offsets") for name in ("trim_offsets", "add_prefix_space")}
    return {"type": "RobertaProcessing", "sep": list(last), "cls": list(first), **spaces}


def _mpnet_ends(settings: Settings, first: Any, last: Any) -> Parts:
    return _roberta_ends({}, first, last)


_BERT = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}
_ALBERT = {**_BERT, "bos": "[CLS]", "eos": "[SEP]", "unk": "<unk>", "pad": "<pad>"}
_ROBERTA = {"bos": "<s>", "eos": "</s>", "sep": "</s>", "cls": "<s>", "unk": "<unk>", "pad": "<pad>", "mask": "<mask>"}
_ESM = {"unk": "<unk>", "eos": "<eos>", "cls": "<cls>", "pad": "<pad>", "mask": "<mask>"}
_SENTENCEPIECE: dict[str, Any] = {
    "model": "Unigram",
    "tokens": _ROBERTA,
    "ends": ("bos", "eos"),
    "build": _unigram,
    "finish": _unigram_ends,
}

_GENERAL = TokenizerClass("PreTrainedTokenizerFast")
_BERT_CLASS = TokenizerClass("BertTokenizer", "WordPiece", _BERT, types=True, build=_wordpiece, finish=_bert_ends)
_ROBERTA_CLASS = TokenizerClass("RobertaTokenizer", "BPE", _ROBERTA, build=_byte_level, finish=_roberta_ends)
_CLASSES = (
    _BERT_CLASS,
    # The same by other names; transformers has no class of its own for them any more.
    *(
        dataclasses.replace(_BERT_CLASS, name=f"{family}Tokenizer")
        for family in ("Electra", "MobileBert", "SqueezeBert", "ConvBert", "LayoutLM", "Lxmert", "RetriBert")
    ),
    dataclasses.replace(_BERT_CLASS, name="DistilBertTokenizer", types=False),
    TokenizerClass(
        "MPNetTokenizer",
        "WordPiece",
        {**_ROBERTA, "unk": "[UNK]"},
        flags={"normalized": True},
        mask_takes_space=True,
        build=_wordpiece,
        finish=_mpnet_ends,
    ),
    _ROBERTA_CLASS,
    *(dataclasses.replace(_ROBERTA_CLASS, name=f"{family}Tokenizer") for family in ("Longformer", "Bart")),
    TokenizerClass("XLMRobertaTokenizer", **_SENTENCEPIECE),
    TokenizerClass(
        "CamembertTokenizer",
        **_SENTENCEPIECE,
        mask_takes_space=True,
        extra=("<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"),
    ),
    # transformers 5 gives both texts of a pair the first type; versions before, and ALBERT's training, one each.
    TokenizerClass("AlbertTokenizer", "Unigram", _ALBERT, types=True, build=_albert, finish=_bert_ends),
    TokenizerClass("EsmTokenizer", "WordLevel", _ESM, ends=("cls", "eos"), build=_esm, finish=_esm_ends),
)
_BY_NAME = {each.name: each for each in _CLASSES}
_BY_NAME |= dict.fromkeys(("PreTrainedTokenizer", "PythonBackend", "TokenizersBackend", _GENERAL.name), _GENERAL)

_IN_PYTHON = tuple(
    f"{name}Tokenizer"
    for name in (
        *("BertJapanese", "BertGeneration", "Bertweet", "Bartpho", "ByT5", "Canine", "Cpm", "CpmAnt"),
        *("Flaubert", "GPTNeoXJapanese", "Marian", "MyT5", "Perceiver", "Phobert", "ProphetNet", "RoCBert"),
        *("Tapas", "XLM"),
    )
)
"""Classes that split texts by code of their own or with a dictionary; no tokenizer.json says what they do."""


def class_of(folder: Path, settings: Settings, config: Mapping[str, Any]) -> TokenizerClass:
    """Return the class of a folder's tokenizer: that of tokenizer_config.json, else of config.json, else its model's.

    One that is not known here is returned with no more than its name: as in transformers, its tokenizer.json is taken
    as it is.

    Raises
    ------
    CheckpointError
        The name is no name.
    UnsupportedModelError
        The class splits texts in a way that no tokenizer.json describes: naming it, and the remedy.
    """
    file, name = "tokenizer_config.json", settings.get("tokenizer_class")
    if name is None:
        file, name = "config.json", config.get("tokenizer_class")
    if name is None:
        return _BY_NAME[family_of(config, source=str(folder)).tokenizer]
    if not isinstance(name, str) or not name:
        raise CheckpointError(f"{file} has tokenizer_class {name!r}, expected the name of a class")
    if name.removesuffix("Fast") in _IN_PYTHON:
        there = next((path for path in ("tokenizer.json", "vocab.txt") if (folder / path).is_file()), file)
        raise UnsupportedModelError(
            f"{folder / there} is for a {name}, which splits texts by code of its own or with a dictionary; edgebert"
            " runs tokenizers that a tokenizer.json describes in full: save an equal one as PreTrainedTokenizerFast"
        )
    return _BY_NAME.get(name) or _BY_NAME.get(name.removesuffix("Fast")) or TokenizerClass(name)
