"""Results as a table of pandas or polars, where one of them is installed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from edgebert.arguments import checked_choice, checked_iterator
from edgebert.errors import InputError, SettingError, shown
from edgebert.tasks.embed import WindowVectors
from edgebert.tasks.sparse import SparseVector

__all__ = ["table"]

_LIBRARIES = ("pandas", "polars")


def table(results: Iterable[Any], library: str | None = None) -> Any:
    """Make a table of what a method of `edgebert.Model` answered: a column for each thing that it says.

    One answer for each text is one row for each, in their order, so that the columns can be put beside the texts'.
    Where a text may have several answers (tags, ``top_k`` labels, labels of one's own, windows, words with weights),
    each answer is a row, and the first column, ``text_index``, says of which text: none, where it has no answer. A
    vector is one value, in the column ``vector``.

    Parameters
    ----------
    results : list, array or other iterable
        What `classify`, `tag`, `embed`, `answer`, `rank`, `search` or another method returned, or `stream` yields.
    library : str, optional
        ``"pandas"`` or ``"polars"``; by default the one that the program has imported, else the one that is installed,
        pandas first.

    Returns
    -------
    pandas.DataFrame or polars.DataFrame

    Raises
    ------
    InputError
        When `results` are something else.
    SettingError
        When the library is not installed.
    """
    module = importlib.import_module(_library(library))
    answers = list(checked_iterator(results, "results", "result"))
    if any(isinstance(answer, (list, WindowVectors, SparseVector)) or _is_ranking(answer) for answer in answers):
        rows = [{"text_index": i, **row} for i, answer in enumerate(answers) for row in _several(answer, i)]
    else:
        rows = [_one(answer, i) for i, answer in enumerate(answers)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return module.DataFrame({name: [row.get(name) for row in rows] for name in names})


def _library(wanted: str | None) -> str:
    """Return the name of a library that can be imported."""
    if wanted is not None:
        checked_choice(wanted, "library", _LIBRARIES)
    names = _LIBRARIES if wanted is None else (wanted,)
    loaded = [name for name in names if sys.modules.get(name)]
    found = loaded or [name for name in names if name not in sys.modules and importlib.util.find_spec(name)]
    if not found:
        lack = f"{wanted} is not installed" if wanted else "neither pandas nor polars is installed"
        raise SettingError(f"a table cannot be made, for {lack}: pip install {names[0]}")
    return found[0]


def _is_ranking(answer: Any) -> bool:
    """Tell whether an answer is that of `classify` with labels of one's own."""
    return isinstance(answer, Mapping) and "labels" in answer and "scores" in answer


def _several(answer: Any, index: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of an answer that may be several."""
    if isinstance(answer, WindowVectors):
        for vector, start, end in zip(*answer, strict=True):
            yield {"start": int(start), "end": int(end), "vector": vector}
    elif isinstance(answer, SparseVector):
        yield from ({"word": word, "weight": weight} for word, weight in answer.items())
    elif _is_ranking(answer):
        for label, score in zip(answer["labels"], answer["scores"], strict=True):
            yield {"label": label, "score": score}
    elif isinstance(answer, list):
        for each in answer:
            if isinstance(each, list):  # of a text with several masks, one for each mask
                yield from _several(each, index)
            else:
                yield _one(each, index)
    else:
        yield _one(answer, index)


def _one(answer: Any, index: int) -> dict[str, Any]:
    if isinstance(answer, Mapping):
        return dict(answer)
    if isinstance(answer, np.ndarray):
        return {"vector": answer if answer.ndim == 1 else [*answer]}
    raise InputError(f"results[{index}] is {shown(answer)}, expected what a method of a model answers to a text")
