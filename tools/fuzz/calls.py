"""Calls of the Python interface with arguments right and wrong: each returns, or raises an EdgebertError."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import edgebert
from edgebert.errors import shown
from tests.golden import GOLDEN

__all__ = ["Random", "draw", "prepare"]

MODELS = {
    "bert-classifier": ("classify", "rank"),
    "bert-token": ("tag", "redact"),
    "bert-masked": ("fill_mask", "score", "embed_sparse", "classify"),
    "bert-question": ("answer",),
    "bert-pretraining": ("next_sentence",),
}
"""Golden models of `tests.golden`, one for each head, and the methods that ask it; any will do for the others."""
_RIGHT = 0.7
"""How often an argument is one that a user might give."""


class Random(Protocol):
    """What is asked of a source of chance: random.Random and NumPy's generators have it."""

    def random(self) -> float:
        """Return a number from 0 to before 1."""


class Raising:
    """An object that can be asked nothing."""

    def _fail(self, *arguments: object) -> Any:  # noqa: ARG002
        raise RuntimeError("asked")

    __len__ = __str__ = __repr__ = __iter__ = __index__ = __bool__ = __eq__ = __hash__ = _fail  # type: ignore
    __fspath__ = __float__ = __getitem__ = __contains__ = __format__ = __array__ = __lt__ = __gt__ = _fail


class Sized:
    """A sequence that fails when it is asked for its length, and else is none."""

    def __getitem__(self, index: int) -> str:
        if index > 2:
            raise IndexError
        return "item"

    def __len__(self) -> int:
        raise RuntimeError("asked")


WRONG: tuple[Callable[[], Any], ...] = (
    *(
        functools.partial(lambda value: value, value)
        for value in (
            *(None, True, False, 0, 1, -1, 3, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30, 10**5000),
            *(1.5, 0.0, -0.5, float("nan"), float("inf"), 1j, "", "x", " ", "\ud800", "a\0b", "~nobody/x", "1", b"x"),
            *("mean+none", "x" * 5000, "{}" * 3, "{0.__class__}", "{:>99999999999}", "{x}", "\u0664"),
            *((), (1,), ("a", "b"), ("a", 2), frozenset({"a"}), range(3), range(10**12), Path("x"), ...),
            *(np.int64(2), np.float32("nan"), np.bool_(True), np.str_("good"), np.array([1, 2]), np.array("a")),
            *(np.array(["a", "b"]), np.zeros((2, 2)), np.zeros(0), np.array([None, "a"])),
            *(np.array([2**63], np.uint64), np.datetime64("2020-01-01")),
        )
    ),
    *(list, lambda: [[]], lambda: [["a"]], lambda: [None], lambda: ["a", 1], lambda: ["\ud800"], lambda: [b"a"]),
    *(lambda: [[1, 2], [3, [4]]], lambda: [[1.5]], lambda: [["a", "b"]], lambda: [{1, 2}], lambda: [[2**70]]),
    *(lambda: [[-1]], lambda: [range(10**12)], lambda: [np.zeros((2, 2), int)], lambda: ["a"] * 3 + [Raising()]),
    *(dict, set, object, Raising, Sized, lambda: [Raising()], lambda: [[Raising()]], lambda: [Sized()]),
    *(lambda: {"a": 1}, lambda: {"text": "a"}, lambda: [{"text": "a"}], lambda: [{"text": 1, "text_pair": "a"}]),
    *(lambda: (text for text in ("a", "b")), lambda: iter([1, 2]), lambda: bytearray(b"a"), lambda: memoryview(b"ab")),
)
"""What stands where something else should."""

_TEXTS = ("good", "", " ", "a bad film [MASK] and a good one", "word " * 90, "漢字 ไทย", "\0", "[MASK]", "[SEP] [CLS]")
_TEXT = tuple(functools.partial(str, text) for text in _TEXTS)
_LISTS = tuple(functools.partial(list, part) for part in ((), _TEXTS[:1], _TEXTS, _TEXTS[4:], [_TEXTS[3]]))
_PAIRS = (lambda: [("a", "b")], list, lambda: [("word " * 90, "word " * 90)], lambda: [["a", ""]])
_IDS = (lambda: [[1, 2, 3]], list, lambda: [[]], lambda: [np.arange(5)], lambda: [range(9), (4,)])


def _one_of(*values: object) -> tuple[Callable[[], Any], ...]:
    return tuple(functools.partial(lambda value: value, value) for value in values)


_FLAG, _COUNT = _one_of(True, False), _one_of(1, 2, 5, 10**6)
_LONG = {"stride": _one_of(None, 0, 1, 20), "truncate": _FLAG, "on_coverage": _one_of(None, lambda *_: None)}
_LABELS = (*_one_of(["good", "bad"], {"x": "good", "y": "bad"}, ["a"]), *(lambda: (each for each in "ab"),))

Right = dict[str, tuple[Callable[[], Any], ...]]
METHODS: dict[str, Right] = {
    "classify": {
        "texts": (*_LISTS, *_PAIRS),
        "top_k": (*_COUNT, lambda: None),
        "function_to_apply": _one_of(None, "softmax", "sigmoid", "none"),
        "labels": (*_one_of(None, None, None), *_LABELS),
        "multi_label": _FLAG,
        "hypothesis_template": _one_of("This example is {}.", "{0}!", "{}"),
        "pool": _one_of("mean", "max", "first"),
        **_LONG,
    },
    "tag": {
        "texts": _LISTS,
        "aggregation_strategy": _one_of("none", "simple", "first", "average", "max"),
        "ignore_labels": _one_of(("O",), [], {"O", "B-PER"}),
        "threshold": _one_of(None, 0, 0.3, 1.0),
        **_LONG,
    },
    "redact": {
        "texts": _LISTS,
        "keep": _one_of((), ["EMAIL"], {"IBAN", "PHONE"}),
        "only": _one_of(None, ["EMAIL"], ["TAX_ID"]),
        "threshold": _one_of(0, 0.3, 1.0),
        "patterns": _FLAG,
        "stand_ins": _FLAG,
        "key": _one_of(None, "secret"),
        "stride": _LONG["stride"],
    },
    "fill_mask": {
        "texts": (*_LISTS, lambda: [_TEXTS[3]] * 2),
        "top_k": _COUNT,
        "targets": _one_of(None, ["good"], ("bad", "good")),
        **_LONG,
    },
    "score": {"texts": _LISTS, **_LONG},
    "answer": {
        "question": (*_TEXT, lambda: ["who?"]),
        "context": (*_TEXT, lambda: ["a good film"]),
        "top_k": _COUNT,
        "max_answer_len": _COUNT,
        "handle_impossible_answer": _FLAG,
        "align_to_words": _FLAG,
        **_LONG,
    },
    "rank": {
        "query": _TEXT,
        "documents": _LISTS,
        "top_k": _COUNT,
        "label": _one_of(None, "LABEL_0", "LABEL_1"),
        **_LONG,
    },
    "next_sentence": {"pairs": _PAIRS, "on_coverage": _LONG["on_coverage"]},
    "embed": {
        "texts": _LISTS,
        "pooling": _one_of(None, "mean", "cls", "mean+max", "none"),
        "normalize": _one_of(None, True, False),
        "dimensions": _one_of(None, 1, 8),
        "prompt": _one_of(None, "query: "),
        "prompt_name": _one_of(None, None, "query"),
        "on_coverage": _LONG["on_coverage"],
    },
    "embed_sparse": {
        "texts": _LISTS,
        "top_k": (*_COUNT, lambda: None),
        "query": _FLAG,
        "ids": _FLAG,
        "prompt": _one_of(None, "query: "),
        "prompt_name": _one_of(None, None, "query"),
        "whole": _FLAG,
        "stride": _LONG["stride"],
        "on_coverage": _LONG["on_coverage"],
    },
    "hidden_states": {"token_ids": _IDS},
}
FUNCTIONS: dict[str, Right] = {
    "load": {
        "path": (*_one_of(None, "no such file"), lambda: _file("bert-masked"), lambda: str(_file("bert-token"))),
        "threads": _one_of(None, 1, 2),
        "max_memory": _one_of(None, "2GB", 10**10),
        "device": _one_of(None, "cpu", "auto"),
    },
    # Of folders that are none: a conversion takes long. Its other arguments are looked at before.
    "convert": {
        "source": (*_one_of("./no such folder", Path("nowhere")), lambda: str(_folder())),
        "output": (lambda: _folder() / "out.edgebert", lambda: str(_folder() / "out.edgebert")),
        "calibrate": _LISTS,
        "evaluate": _LISTS,
        "min_agreement": _one_of(None, 0, 0.5, 1.0),
        "force": _FLAG,
        "embeddings": _one_of("int8", "int4"),
        "on_progress": _one_of(None, print),
    },
    "describe_machine": {},
}
_NEEDED = {"texts", "question", "context", "query", "documents", "pairs", "token_ids", "source", "output"}


@functools.cache
def _folder() -> Path:
    _folder.kept = tempfile.TemporaryDirectory(prefix="edgebert-fuzz-")  # type: ignore[attr-defined]
    return Path(_folder.kept.name)  # type: ignore[attr-defined]


@functools.cache
def _file(name: str) -> Path:
    return edgebert.convert(GOLDEN / "families" / name, _folder() / f"{name}.edgebert", min_agreement=0)


@functools.cache
def _model(name: str) -> edgebert.Model:
    return edgebert.load(_file(name), threads=2)


def prepare(folder: Path) -> None:  # noqa: ARG001 (what it converts outlives one run: tests draw from it, too)
    """Load all models before the first fork."""
    for name in MODELS:
        _model(name)


def draw(rng: Random) -> tuple[str, Callable[[], object]]:
    """Return a call: what it is, in words, and a function that makes it."""

    def choose(values: Any) -> Any:
        return values[int(rng.random() * len(values))]

    arguments: dict[str, Any] = {}
    if rng.random() < 0.1:
        name = choose(tuple(FUNCTIONS))
        whose, right, function = "edgebert", FUNCTIONS[name], getattr(edgebert, name)
    else:
        name = choose(tuple(METHODS))
        able = [model for model, methods in MODELS.items() if name in methods or rng.random() < 0.05]
        whose = choose(able or [*MODELS])
        right, function = METHODS[name], getattr(_model(whose), name)
    for argument, values in right.items():
        if argument in _NEEDED or rng.random() < 0.4:
            arguments[argument] = choose(values if rng.random() < _RIGHT else WRONG)()
    words = ", ".join(f"{argument}={shown(value)}" for argument, value in arguments.items())
    return f"{whose}.{name}({words})", functools.partial(function, **arguments)
