"""What sparse models have that others have not: a route for queries, and weights for the words of these."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from edgebert.checkpoint.faults import listed
from edgebert.checkpoint.fields_models import FIELDS, check_fields
from edgebert.checkpoint.stored import read_tensor
from edgebert.checkpoint.text_files import read_json
from edgebert.checkpoint.weights import stored_tensors, weight_files
from edgebert.errors import CheckpointError, UnsupportedModelError

__all__ = ["IDF", "read_query_weights", "read_routes"]

IDF = "idf.json"
"""The file of a folder without modules.json that has the weights of a query's words, as OpenSearch's models have it."""

_ROUTER = "router_config.json"
_STATIC = "SparseStaticEmbedding"
_LARGEST = float(np.finfo(np.float32).max)


def read_routes(folder: Path) -> tuple[list[dict[str, str]], Path | None, list[str]]:
    """Return the modules of a Router's route for documents, the folder of a query's weights, and unknown fields.

    Parameters
    ----------
    folder : Path
        The Router's.

    Returns
    -------
    modules : list of dict
        ``type`` and ``path`` (within `folder`) of each, as modules.json has them.
    query : Path or None
        None where queries take the same route.
    unknown : list of str

    Raises
    ------
    CheckpointError
        Its file is missing or malformed.
    UnsupportedModelError
        Queries take another route that is no table of weights.
    """
    path = folder / _ROUTER
    values = read_json(path, dict)
    unknown = check_fields(values, FIELDS[_ROUTER], where=str(path))
    types, structure = values.get("types"), values.get("structure")
    try:
        routes = {name: [(str(types[each]), each) for each in own] for name, own in structure.items()}
        document, query = routes["document"], routes["query"]
        outside = any(PurePosixPath(each).is_absolute() or ".." in PurePosixPath(each).parts for each in types)
    except (AttributeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} has no routes named document and query, each a list of types") from error
    if outside:
        raise CheckpointError(f"{path} has modules {', '.join(map(repr, types))}, expected folders in {folder}")
    modules = [{"type": kind, "path": place} for kind, place in document]
    if query == document:
        return modules, None, unknown
    if [kind.rpartition(".")[2] for kind, _ in query] != [_STATIC]:
        raise UnsupportedModelError(
            f"{path} has a route for queries of {', '.join(kind for kind, _ in query) or 'nothing'};"
            f" edgebert runs {_STATIC}, or the same as for documents"
        )
    return modules, folder / query[0][1], unknown


def read_query_weights(place: Path, tokenizer_json: str, vocab_size: int) -> tuple[np.ndarray, list[str]]:
    """Return the weights of a query's words: float32 (vocab_size,), 0 for words without one; and unknown fields.

    Parameters
    ----------
    place : Path
        A JSON file of word -> weight, or the folder of a SparseStaticEmbedding.
    tokenizer_json : str
        The model's tokenizer.
    vocab_size : int

    Raises
    ------
    CheckpointError
        They are missing, no finite numbers, or those of another vocabulary.
    UnsupportedModelError
        The queries have a tokenizer of their own.
    """
    unknown: list[str] = []
    vocabulary = Tokenizer.from_str(tokenizer_json).get_vocab(with_added_tokens=True)
    if place.is_dir():
        path = place / "config.json"
        values = read_json(path, dict)
        unknown = check_fields(values, FIELDS[f"{_STATIC}/config.json"], where=str(path))
        _check_tokenizer(place / "tokenizer.json", tokenizer_json)
        if file := values.get("path"):
            place = path.with_name(Path(str(file)).name)
    if place.is_dir():
        stored = stored_tensors(weight_files(place))
        shapes = {name: tensor.shape for name, tensor in stored.items()}
        if list(shapes) != ["weight"] or len(shapes["weight"]) != 1 or shapes["weight"][0] > vocab_size:
            raise CheckpointError(f"{place} has tensors {shapes}, expected weight ({vocab_size},) or shorter")
        values_there = read_tensor(stored["weight"])
    else:
        values_there = _by_word(read_json(place, dict), vocabulary, place)
    if not np.isfinite(values_there).all():
        raise CheckpointError(f"{place} has weights that are no finite numbers, expected one for each word")
    weights = np.zeros(vocab_size, np.float32)
    weights[: len(values_there)] = values_there
    return weights, unknown


def _by_word(table: dict[str, Any], vocabulary: dict[str, int], place: Path) -> np.ndarray:
    strange = [word for word in table if word not in vocabulary]
    if strange:
        raise CheckpointError(f"{place} has weights for what are no words of the model's: {listed(strange)}")
    wrong = [
        word
        for word, weight in table.items()
        if type(weight) not in (int, float) or not abs(weight) <= _LARGEST  # nor what is no number
    ]
    if wrong:
        raise CheckpointError(f"{place} has weights that are no finite numbers, of {listed(wrong)}")
    weights = np.zeros(max(vocabulary.values()) + 1, np.float32)
    weights[[vocabulary[word] for word in table]] = list(table.values())
    return weights


def _check_tokenizer(path: Path, tokenizer_json: str) -> None:
    """Refuse a tokenizer of queries, where they have one, that does not make the tokens that documents have."""
    if not path.is_file():
        return
    own, models = (Tokenizer.from_str(text) for text in (path.read_text(encoding="utf-8"), tokenizer_json))
    if own.get_vocab(with_added_tokens=True) != models.get_vocab(with_added_tokens=True):
        raise UnsupportedModelError(
            f"{path} has another vocabulary than the model's tokenizer; edgebert makes the tokens of queries and"
            " documents alike"
        )
