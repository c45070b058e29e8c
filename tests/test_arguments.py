"""What callers give: something of another type is refused with what was expected, and nothing is computed."""

from __future__ import annotations

import itertools
import random
import warnings

import numpy as np
import pytest

import edgebert
from edgebert.arguments import checked_flag, checked_path, listed_pairs, listed_sequences, listed_texts
from edgebert.errors import EdgebertError, InputError, SettingError, shown
from tools.fuzz.calls import FUNCTIONS, METHODS, MODELS, WRONG, Raising, Sized, draw


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return a function from the name of a method to a model that can be asked by it."""
    from tools.fuzz import calls

    def of(method):
        return calls._model(next(model for model, methods in MODELS.items() if method in methods))

    return of


REFUSED = [
    ("classify", {"texts": 3}, "texts is 3, expected a list of texts"),
    ("classify", {"texts": {"text": "a"}}, r"texts is one dict, expected a list of them; write \[text\]"),
    ("classify", {"texts": Raising()}, "texts is <a Raising>, expected a list of texts"),
    ("classify", {"texts": ["a"], "top_k": np.array([1, 2])}, r"top_k is array\(\[1, 2\]\), expected a number"),
    ("classify", {"texts": ["a"], "function_to_apply": np.array(["a", "b"])}, "function_to_apply is array"),
    ("classify", {"texts": ["a"], "pool": ["mean"]}, r"pool is \['mean'\], expected one of mean, max, first"),
    ("classify", {"texts": ["a"], "truncate": "no"}, "truncate is 'no', expected True or False"),
    ("classify", {"texts": ["a"], "stride": Raising()}, "stride is <a Raising>, expected 0 to"),
    ("classify", {"texts": ["a"], "on_coverage": 3}, "on_coverage is 3, expected something to call"),
    ("classify", {"texts": ["a"], "labels": 3}, "labels is 3, expected a list of labels"),
    ("classify", {"texts": ["a"], "labels": [["a"]]}, r"labels\[0\] is a list, expected a string"),
    ("classify", {"texts": ["a"], "labels": ["a"], "multi_label": np.array([1, 2])}, "multi_label is array"),
    ("classify", {"texts": ["a"], "labels": ["a"], "hypothesis_template": b"{}"}, "hypothesis_template is b'{}', exp"),
    ("classify", {"texts": ["a"], "labels": ["a"], "hypothesis_template": "{:>999999999}"}, "expected a text with"),
    ("classify", {"texts": ["a"], "labels": ["a"], "hypothesis_template": "{0.__class__}"}, "expected a text with"),
    ("tag", {"texts": ["a"], "aggregation_strategy": {}}, "aggregation_strategy is {}, expected one of none"),
    ("tag", {"texts": ["a"], "ignore_labels": "PER"}, "ignore_labels is one string, expected a list of them"),
    ("tag", {"texts": ["a"], "ignore_labels": [["O"]]}, r"ignore_labels\[0\] is a list, expected a string"),
    ("tag", {"texts": ["a"], "threshold": 2}, "threshold is 2, expected a number from 0 to 1"),
    ("redact", {"texts": "a"}, "texts is one string, expected a list of them"),
    ("redact", {"texts": ["a"], "keep": "PER"}, "keep is one string, expected a list of them"),
    ("redact", {"texts": ["a"], "only": [1]}, r"only\[0\] is a int, expected a string"),
    ("redact", {"texts": ["a"], "threshold": "0.5"}, "threshold is '0.5', expected a number from 0 to 1"),
    ("fill_mask", {"texts": ["[MASK]"], "targets": 3}, "targets is 3, expected a list"),
    ("fill_mask", {"texts": ["[MASK]"], "targets": [3]}, r"targets\[0\] is a int, expected a string"),
    ("answer", {"question": None, "context": "a"}, "question is None, expected a list of texts"),
    ("answer", {"question": "a", "context": "a", "top_k": 1.0}, "top_k is 1.0, expected a number of answers from 1 on"),
    ("answer", {"question": "a", "context": "a", "align_to_words": 1}, "align_to_words is 1, expected True or False"),
    ("rank", {"query": b"a", "documents": ["a"]}, "query is b'a', expected a string"),
    ("rank", {"query": "a", "documents": ["a"], "label": np.array(["a", "b"])}, "label is array.*of the model's"),
    ("rank", {"query": "a", "documents": Raising()}, "documents is <a Raising>, expected a list of texts"),
    ("next_sentence", {"pairs": 3}, "pairs is 3, expected a list"),
    ("embed", {"texts": ["a"], "pooling": np.array(["mean", "cls"])}, "pooling is array.*expected one of mean"),
    ("embed", {"texts": ["a"], "normalize": "no"}, "normalize is 'no', expected True or False"),
    ("embed", {"texts": ["a"], "pooling": "none", "dimensions": 3}, "dimensions is 3, expected None with pooling none"),
    ("embed", {"texts": ["a"], "prompt": 3}, "prompt is 3, expected a string"),
    ("embed", {"texts": ["a"], "prompt_name": ["a"]}, r"prompt_name is \['a'\], but the model has no prompts"),
    ("hidden_states", {"token_ids": 3}, "token_ids is 3, expected a list of sequences"),
    ("hidden_states", {"token_ids": [[1, 2], [3, [4]]]}, r"token_ids\[1\] is no sequence of whole numbers"),
    ("hidden_states", {"token_ids": [range(10**12)]}, r"token_ids\[0\] has 1000000000000 tokens"),
    ("hidden_states", {"token_ids": [Raising()]}, r"token_ids\[0\] is no sequence of whole numbers"),
]


@pytest.mark.parametrize(("method", "arguments", "message"), REFUSED)
def test_what_is_something_else_is_refused(models, method, arguments, message):
    model = models("classify" if method in ("embed", "hidden_states") else method)
    with pytest.raises(InputError, match=message):
        getattr(model, method)(**arguments)


def test_paths(tmp_path):
    for path in (3, b"m.edgebert", ["m"], "a\0b", "\ud800", "", Raising(), object(), ...):
        for call, arguments in (
            (edgebert.load, (path,)),
            (edgebert.convert, (path, tmp_path / "m.edgebert")),
            (edgebert.convert, (tmp_path, path)),
        ):
            with pytest.raises(InputError, match=r"(path|source|output) is .*, expected the name of a file as a str"):
                call(*arguments)


def test_settings():
    values = (Raising(), np.array([1, 2]), 10**5000, [2], 1j, {}, "9" * 5000)
    for name, value in itertools.product(("threads", "max_memory", "device"), values):
        with pytest.raises(SettingError, match=f"{name} is .*, expected"):
            edgebert.load(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("min_agreement", value) for value in (float("nan"), -0.1, 1.1, "1", True, 1j, np.array([0.5]))],
        *[("force", value) for value in (1, "no", None)],
        *[("embeddings", value) for value in (8, ["int8"], "int2", np.array(["int8"]))],
        *[("calibrate", value) for value in ("one text", 3, [3], {"a": 1})],
        *[("evaluate", value) for value in ("one text", [b"a"])],
        ("on_progress", 3),
    ],
)
def test_options_of_convert_come_before_the_source(tmp_path, name, value):
    with pytest.raises(InputError, match=rf"^{name}(\[0\])? is "):
        edgebert.convert(tmp_path / "nothing here", tmp_path / "m.edgebert", **{name: value})


def test_names_that_cannot_be_looked_up(tmp_path):
    for source in ("~nobody-of-that-name/model", "x" * 5000, tmp_path / ("x" * 300)):
        with pytest.raises(EdgebertError, match="no such folder"):
            edgebert.convert(source, tmp_path / "m.edgebert")


@pytest.mark.parametrize("name", [*METHODS, *FUNCTIONS])
def test_every_argument_with_everything(models, name, monkeypatch, tmp_path):
    """It is taken for what it is, or refused; nothing else comes out, and a text is not taken for a list of letters."""
    right = METHODS.get(name) or FUNCTIONS[name]
    function = getattr(edgebert, name) if name in FUNCTIONS else getattr(models(_asked_by(name)), name)
    needed = {argument: values[0]() for argument, values in right.items() if argument in _needed()}
    for argument, make in itertools.product(right, WRONG):
        value = make()
        try:
            function(**{**needed, argument: value})
        except EdgebertError:
            pass
        except BaseException as error:
            pytest.fail(f"{name}({argument}={shown(value)}): {type(error).__name__}: {error}")


def _asked_by(name):
    return name if any(name in methods for methods in MODELS.values()) else "classify"


def _needed():
    from tools.fuzz.calls import _NEEDED

    return _NEEDED


def test_random_calls():
    chance = random.Random(1)
    returned = 0
    for _ in range(400):
        words, function = draw(chance)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                function()
            returned += 1
        except EdgebertError:
            pass
        except BaseException as error:
            pytest.fail(f"{words}: {type(error).__name__}: {error}")
    assert 100 < returned < 350, "some calls should be right, and some wrong"


def test_what_is_no_list_may_be_iterable():
    """Sets, generators, arrays, and what has no length that it would tell."""
    assert listed_texts({"a"}) == ["a"]
    assert listed_texts(text for text in "ab") == ["a", "b"]
    assert listed_texts(np.array(["a", "b"])) == ["a", "b"]
    assert listed_texts(Sized()) == ["item"] * 3


def test_what_an_iterator_raises_is_the_callers():
    def texts():
        yield "a"
        raise TypeError("of the caller")

    with pytest.raises(TypeError, match="of the caller"):
        listed_texts(texts())


def test_flags():
    assert checked_flag(np.bool_(True), "it") is True
    assert checked_flag(False, "it") is False


def test_paths_as_they_are(tmp_path):
    assert checked_path(str(tmp_path), "it") == checked_path(tmp_path, "it") == tmp_path


def test_a_value_is_shown_in_few_characters():
    assert shown("x" * 1000) == f"'{'x' * 199} ..."
    assert shown(Raising()) == "<a Raising>"
    assert shown("short") == "'short'"
    with pytest.raises(InputError, match=r"^it is 1, expected a list of words$"):
        listed_texts(1, "it", "word")


def test_nothing_is_read_behind_what_is_wrong():
    for values in (range(10**15), itertools.count()):
        with pytest.raises(InputError, match=r"it\[0\] is a int, expected a string"):
            listed_texts(values, "it")
        with pytest.raises(InputError, match=r"texts\[0\] is a int, expected a string or a pair of strings"):
            listed_pairs(values)
        with pytest.raises(InputError, match=r"it\[0\] is a int, expected a sequence"):
            listed_sequences(values, "it")
