"""Results as tables."""

from __future__ import annotations

import importlib.util
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import edgebert
from edgebert.errors import InputError, SettingError
from edgebert.tasks.embed import WindowVectors
from edgebert.tasks.sparse import SparseVector


@pytest.fixture
def pandas(monkeypatch):
    """A stand-in whose table is its columns."""
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=dict))
    monkeypatch.setitem(sys.modules, "polars", None)


SPAN = {"entity_group": "PER", "score": 0.5, "word": "Ann", "start": 0, "end": 3}
WINDOWS = WindowVectors(np.eye(2, dtype=np.float32), np.array([0, 5]), np.array([6, 9]))


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([{"label": "A", "score": 0.5}, {"label": None, "score": None}], {"label": ["A", None], "score": [0.5, None]}),
        ([[SPAN], [], [SPAN]], {"text_index": [0, 2], **{name: [value] * 2 for name, value in SPAN.items()}}),
        (
            [
                {"sequence": "x", "labels": ["a", "b"], "scores": [0.7, 0.3]},
                {"sequence": "", "labels": [], "scores": []},
            ],
            {"text_index": [0, 0], "label": ["a", "b"], "score": [0.7, 0.3]},
        ),
        ([[[{"token_str": "a"}], [{"token_str": "b"}]]], {"text_index": [0, 0], "token_str": ["a", "b"]}),
        ([], {}),
    ],
)
def test_rows(results, expected, pandas):
    assert edgebert.table(results) == expected
    assert list(edgebert.table(iter(results))) == list(expected)


def test_vectors(pandas):
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert [row.tolist() for row in edgebert.table(vectors)["vector"]] == vectors.tolist()
    found = edgebert.table([WINDOWS])
    assert (found["text_index"], found["start"], found["end"]) == ([0, 0], [0, 5], [6, 9])
    assert [row.tolist() for row in found["vector"]] == [[1, 0], [0, 1]]


@pytest.mark.parametrize("results", ["x", {"label": "A"}, [3], 5])
def test_what_is_no_result(results, pandas):
    with pytest.raises(InputError, match="results"):
        edgebert.table(results)


def test_where_neither_is_installed(monkeypatch):
    for name in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingError, match="neither pandas nor polars is installed: pip install pandas"):
        edgebert.table([])
    with pytest.raises(SettingError, match="polars is not installed: pip install polars"):
        edgebert.table([], "polars")
    with pytest.raises(InputError, match="library is 'excel', expected one of pandas, polars"):
        edgebert.table([], "excel")


@pytest.mark.parametrize("loaded", ["pandas", "polars"])
def test_the_one_that_the_program_uses(loaded, monkeypatch):
    other = {"pandas": "polars", "polars": "pandas"}[loaded]
    monkeypatch.delitem(sys.modules, other, raising=False)
    monkeypatch.setitem(sys.modules, loaded, SimpleNamespace(DataFrame=lambda columns: loaded))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    assert edgebert.table([]) == loaded


@pytest.mark.needs_packages
@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_real_tables(name):
    pytest.importorskip(name)
    table = edgebert.table([{"label": "A", "score": 0.5}, {"label": "B", "score": 0.25}], name)
    assert table["score"].to_list() == [0.5, 0.25]
    assert type(table).__module__.startswith(name)
    assert edgebert.table([WINDOWS], name).shape == (2, 4)
    assert edgebert.table(np.ones((2, 3), np.float32), name).shape == (2, 1)


def test_words_with_weights_are_rows_each(pandas):
    """Whatever the words are: of other answers, keys are columns."""
    found = edgebert.table([SparseVector({"labels": 2.0, "scores": 1.5}), SparseVector(), SparseVector({"a": 0.5})])
    assert found == {"text_index": [0, 0, 2], "word": ["labels", "scores", "a"], "weight": [2.0, 1.5, 0.5]}
