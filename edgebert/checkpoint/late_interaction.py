"""What makes a model one for late interaction, in the three layouts that such models have.

PyLate's (``config_sentence_transformers.json`` with markers and lengths), that of sentence-transformers'
MultiVectorEncoder (its module MultiVectorMask, and settings beside the encoder), and Stanford's
(``artifact.metadata``, and the projection among the encoder's weights).
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from edgebert.checkpoint.fields_models import FIELDS, check_fields
from edgebert.checkpoint.stored import StoredTensor
from edgebert.checkpoint.text_files import read_json
from edgebert.checkpoint.values import count_of, flag_of, text_of, words_of
from edgebert.config import BertConfig
from edgebert.errors import CheckpointError, UnsupportedModelError
from edgebert.heads.late_interaction import NONE, LateInteraction
from edgebert.heads.pooling import DenseStep

__all__ = [
    "MODEL_TYPES",
    "LateSettings",
    "of_encoder",
    "of_mask",
    "of_model",
    "of_stanford",
    "projection",
    "resolve",
]

MODEL_TYPES = ("ColBERT", "MultiVectorEncoder")
"""What PyLate and sentence-transformers call such models in config_sentence_transformers.json."""
STANFORD = "HF_ColBERT"
"""The class of a model in Stanford's layout, in its config.json."""
PROJECTION = "linear.weight"
"""The tensor of the projection in that layout."""
_METADATA = "artifact.metadata"
_PYLATE = ("query_prefix", "document_prefix", "do_query_expansion", "attend_to_expansion_tokens", "skiplist_words")
"""Fields that PyLate alone writes."""
_QUERY_LENGTH = 32
_DOCUMENT_LENGTH = 180
"""PyLate's and Stanford's, where their files do not say."""
_PUNCTUATION = tuple(string.punctuation)
_EXPANSION = ("strategy", "attend", "token", "length")


class LateSettings(NamedTuple):
    """What a folder says of it, in words; as `LateInteraction` is in ids.

    Attributes
    ----------
    query_marker, document_marker : str
        Empty for none.
    query_length, document_length : int or None
        None for as many tokens as the model takes.
    filled_length : int
        0 where queries are not filled up.
    filler : str
        With what; empty for the token that stands for masked words.
    attends : bool
    skipped : tuple of str
    skips_in_queries : bool
    mean : bool
    """

    query_marker: str = ""
    document_marker: str = ""
    query_length: int | None = None
    document_length: int | None = None
    filled_length: int = 0
    filler: str = ""
    attends: bool = False
    skipped: tuple[str, ...] = ()
    skips_in_queries: bool = False
    mean: bool = False


def of_model(values: Mapping[str, Any], path: Path) -> LateSettings | None:
    """Return what config_sentence_transformers.json says of late interaction; None for a model of another kind.

    Raises
    ------
    CheckpointError
    """
    mean = str(values.get("similarity_fn_name")).lower() == "meanmaxsim"
    if values.get("model_type") not in MODEL_TYPES and not any(name in values for name in _PYLATE):
        return None
    if values.get("model_type") == MODEL_TYPES[1]:  # the modules and the encoder's settings say the rest
        return LateSettings(mean=mean)
    length = count_of(values, "query_length", "tokens", path) or _QUERY_LENGTH
    fills = flag_of(values, "do_query_expansion", path, default=True)
    return LateSettings(
        query_marker=text_of(values, "query_prefix", path, "[Q] "),
        document_marker=text_of(values, "document_prefix", path, "[D] "),
        query_length=length,
        document_length=count_of(values, "document_length", "tokens", path) or _DOCUMENT_LENGTH,
        filled_length=length if fills else 0,
        attends=fills and flag_of(values, "attend_to_expansion_tokens", path),
        skipped=words_of(values, "skiplist_words", path, _PUNCTUATION),
        mean=mean,
    )


def of_stanford(folder: Path) -> tuple[LateSettings | None, list[str]]:
    """Return what a folder in Stanford's layout says, and its unknown fields; None for a model of another kind.

    Raises
    ------
    CheckpointError
    """
    path = folder / "config.json"
    architectures = read_json(path, dict).get("architectures") if path.is_file() else None
    if architectures != [STANFORD]:
        return None, []
    path = folder / _METADATA
    values = read_json(path, dict) if path.is_file() else {}
    unknown = check_fields(values, FIELDS[_METADATA], where=str(path))
    length = count_of(values, "query_maxlen", "tokens", path) or _QUERY_LENGTH
    return LateSettings(
        query_marker=text_of(values, "query_token_id", path, "[unused0]"),
        document_marker=text_of(values, "doc_token_id", path, "[unused1]"),
        query_length=length,
        document_length=count_of(values, "doc_maxlen", "tokens", path) or _DOCUMENT_LENGTH,
        filled_length=length,
        attends=flag_of(values, "attend_to_mask_tokens", path),
        skipped=_PUNCTUATION if flag_of(values, "mask_punctuation", path, default=True) else (),
    ), unknown


def of_encoder(values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return what a MultiVectorEncoder's settings beside the encoder say, as fields of `LateSettings`.

    Raises
    ------
    CheckpointError
    """
    found: dict[str, Any] = {
        name: count_of(values, name, "tokens", path) for name in ("query_length", "document_length")
    }
    expansion = values.get("query_expansion")
    if expansion is None:
        return found
    known = isinstance(expansion, dict) and set(expansion) <= set(_EXPANSION)
    if not known or expansion.get("strategy") not in ("fixed", "min"):
        raise CheckpointError(
            f"{path} has query_expansion {expansion!r}, expected {', '.join(_EXPANSION)}, of which"
            " strategy is fixed or min"
        )
    length = count_of(expansion, "length", "tokens", path) or _QUERY_LENGTH
    if expansion["strategy"] == "fixed":  # with min a longer one is as it is
        found["query_length"] = length
    return found | {
        "filled_length": length,
        "attends": flag_of(expansion, "attend", path),
        "filler": text_of(expansion, "token", path),
    }


def of_mask(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return what the config of a MultiVectorMask says, as fields of `LateSettings`; and its unknown fields.

    Raises
    ------
    CheckpointError
        It is missing or malformed.
    UnsupportedModelError
        It keeps some tokens alone.
    """
    values = read_json(path, dict)
    unknown = check_fields(values, FIELDS["MultiVectorMask/config.json"], where=str(path))
    tasks = values.get("skiplist_tasks")
    tasks = [tasks] if isinstance(tasks, str) else ["document"] if tasks is None else tasks
    if not isinstance(tasks, list) or not set(map(str, tasks)) <= {"query", "document"}:
        raise CheckpointError(f"{path} has skiplist_tasks {tasks!r}, expected query, document or both")
    skipped = words_of(values, "skiplist_words", path)
    if skipped and "document" not in tasks:
        raise UnsupportedModelError(f"{path} leaves words out of queries alone; edgebert does of documents, or of both")
    return {"skipped": skipped, "skips_in_queries": "query" in tasks}, unknown


def projection(stored: Mapping[str, StoredTensor], source: str) -> tuple[DenseStep, StoredTensor]:
    """Return the projection of a model in Stanford's layout, which stands among its encoder's weights.

    Raises
    ------
    CheckpointError
    """
    tensor = stored.get(PROJECTION)
    if tensor is None or len(tensor.shape) != 2:
        shape = "" if tensor is None else f" of shape {tensor.shape}"
        raise CheckpointError(
            f"{source} is a {STANFORD}, and has {'a' if tensor else 'no'} {PROJECTION}{shape}, expected one of two"
            " sizes: what its tokens' vectors are made with"
        )
    return DenseStep(*tensor.shape, ""), tensor


def resolve(
    settings: LateSettings, query_length: int, tokenizer_json: str, mask_token: str, config: BertConfig
) -> LateInteraction:
    """Look the words of settings up in a tokenizer; `query_length` is what these say, or else how many tokens it takes.

    Raises
    ------
    CheckpointError
        One of them is no token, or no vectors could be made so.
    """
    tokenizer = Tokenizer.from_str(tokenizer_json)

    def id_of(token: str, what: str) -> int:
        found = tokenizer.token_to_id(token)
        if found is None:
            raise CheckpointError(f"the tokenizer has no token {token!r}, which is {what}; expected one")
        return int(found)

    filler, fills = settings.filler or mask_token, settings.filled_length > 0
    if fills and not filler:
        raise CheckpointError("queries are to be filled up, and the tokenizer has no token for masked words")
    known = [tokenizer.token_to_id(word) for word in settings.skipped]
    markers = {"queries": settings.query_marker, "documents": settings.document_marker}
    query_marker, document_marker = (
        id_of(token, f"the marker of {kind}") if token else NONE for kind, token in markers.items()
    )
    late = LateInteraction(
        query_marker=query_marker,
        document_marker=document_marker,
        query_length=query_length,
        filled_length=settings.filled_length,
        filler=id_of(filler, "what queries are filled up with") if fills else NONE,
        attends_to_fillers=settings.attends,
        skipped=tuple(sorted({own for own in known if own is not None})),
        skips_in_queries=settings.skips_in_queries,
        mean=settings.mean,
    )
    if faults := late.faults(config):
        raise CheckpointError(f"the model's settings for late interaction cannot be used: {'; '.join(faults)}")
    return late
