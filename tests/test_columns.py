"""Columns of pandas, polars and pyarrow as texts; stand-ins for them where they are not installed."""

from __future__ import annotations

import importlib

import pytest

from edgebert.arguments import listed_texts
from edgebert.errors import InputError

TEXTS = ["a", None, "b"]


def library(name):
    return pytest.importorskip(name)


class Column:
    """A column as a library would make it, whose module says that it is that library's."""

    def __init__(self, values):
        self._values = values

    def to_list(self):
        return self._values

    to_pylist = to_list

    def isna(self):
        return [value is None for value in self._values]


class Table:
    columns = column_names = ("id", "text")


@pytest.mark.parametrize("name", ["pandas.core.series", "polars.series", "pyarrow.lib"])
def test_stand_ins(name, monkeypatch):
    monkeypatch.setattr(Column, "__module__", name)
    monkeypatch.setattr(Table, "__module__", name)
    assert listed_texts(Column(TEXTS)) == ["a", "", "b"]
    with pytest.raises(InputError, match=r"texts is a table with the columns id, text; expected one .*: table\['id'\]"):
        listed_texts(Table())
    with pytest.raises(InputError, match=r"texts\[0\] is a int"):
        listed_texts(Column([3]))


@pytest.mark.needs_packages
@pytest.mark.parametrize(
    "make",
    [
        lambda: library("pandas").Series(TEXTS, index=[7, 7, 1]),
        lambda: library("pandas").Series(["a", float("nan"), "b"], dtype=object),
        lambda: library("pandas").Series(["a", library("pandas").NA, "b"], dtype="string"),
        lambda: library("pandas").Series(TEXTS, dtype="category"),
        lambda: library("pandas").Index(TEXTS),
        lambda: library("polars").Series(TEXTS),
        lambda: library("polars").DataFrame({"t": TEXTS})["t"],
        lambda: library("pyarrow").array(TEXTS),
        lambda: library("pyarrow").table({"t": TEXTS})["t"],
    ],
)
def test_columns(make):
    assert listed_texts(make()) == ["a", "", "b"]


@pytest.mark.needs_packages
@pytest.mark.parametrize("name", ["pandas.DataFrame", "polars.DataFrame", "pyarrow.table"])
def test_tables_are_no_columns(name):
    module, _, made = name.partition(".")
    library(module)
    with pytest.raises(InputError, match="a table with the columns t; expected one column"):
        listed_texts(getattr(importlib.import_module(module), made)({"t": TEXTS}))


def test_a_missing_text_of_a_list_is_a_mistake():
    with pytest.raises(InputError, match=r"texts\[1\] is a NoneType"):
        listed_texts(TEXTS)
