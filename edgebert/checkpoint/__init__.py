"""Trained weights in: a Hugging Face or sentence-transformers folder, checked and ready to convert."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.checkpoint.architecture import heads_of, labels_of, problem_type_of
from edgebert.checkpoint.families import canonical_values, family_of
from edgebert.checkpoint.fields import check_files
from edgebert.checkpoint.names import expected_tensors, heads_among, match, num_labels, renamed
from edgebert.checkpoint.sentence_transformers import SentenceSettings, read_sentence_settings
from edgebert.checkpoint.source import fetch_weights, locate
from edgebert.checkpoint.text_files import read_json
from edgebert.checkpoint.tokenizer import read_tokenizer
from edgebert.checkpoint.tokenizer_settings import read_tokenizer_settings
from edgebert.checkpoint.weights import Tensors, sha256_of, stored_tensors, weight_files
from edgebert.config import BertConfig
from edgebert.errors import CheckpointError
from edgebert.heads.pooling import dense_name

__all__ = ["Checkpoint", "open_checkpoint"]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A trained model, checked; its weights are read when asked for.

    Attributes
    ----------
    name : str
        As the user named it: the folder's name, or ``org/name@revision``.
    sha256 : str
        Of the weight files' bytes, one file after the other, in hexadecimal.
    config : BertConfig
        The encoder's sizes.
    heads : tuple of str
        Among `edgebert.heads.HEADS`; empty for an encoder alone.
    labels : tuple of str
        In the order of their ids; empty without a head that has labels.
    problem_type : str
        ``"single_label_classification"``, ``"multi_label_classification"`` or ``"regression"``;
        empty without a classifier of texts.
    sentence : SentenceSettings
        How a text becomes a vector.
    tokenizer_json : str
        What ``tokenizers.Tokenizer.from_str`` reads, without truncation and padding.
    mask_token : str
        What stands for a masked word; empty where the tokenizer has none.
    max_length : int
        Tokens that one text may have, special ones included.
    model_card : str
        ``README.md`` without its YAML front matter; empty where there is none.
    size_bytes : int
        Of the weight files.
    tensors : Mapping
        BERT's name -> array [dtype=float32, shape by `edgebert.checkpoint.names.expected_tensors`].
        Each look-up reads the tensor and keeps nothing; it raises `CheckpointError` for NaN and
        infinite values.
    """

    name: str
    sha256: str
    config: BertConfig
    heads: tuple[str, ...]
    labels: tuple[str, ...]
    problem_type: str
    sentence: SentenceSettings
    tokenizer_json: str
    mask_token: str
    max_length: int
    model_card: str
    size_bytes: int
    tensors: Mapping[str, np.ndarray]


def open_checkpoint(source: str | os.PathLike[str]) -> Checkpoint:
    """Open a trained model, checking everything but the weights' values.

    Parameters
    ----------
    source : str or PathLike
        A folder; or, where there is no such folder, ``org/name`` or ``org/name@revision`` on
        the Hugging Face hub, which is downloaded into its cache.

    Raises
    ------
    CheckpointError
        Something is missing, damaged or contradicts the rest; all faulty tensors are named at once.
    UnsupportedModelError
        An architecture, a module or a tokenizer that edgebert does not run.
    DownloadError
        The model could not be fetched.
    """
    place = locate(source)
    folder = place.folder
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{place.name} has no config.json, expected a Hugging Face model folder")
    check_files(folder)
    values = read_json(folder / "config.json", dict)
    family = family_of(values, source=place.name)
    heads_of(values, (), source=place.name)  # refuses an architecture before its weights are fetched
    config = BertConfig.from_dict(canonical_values(values, family))
    sentence = read_sentence_settings(folder)
    settings = read_tokenizer_settings(folder)
    tokenizer_json, mask_token = read_tokenizer(folder, settings, values, config, lowercase=sentence.lowercase)

    fetch_weights(place)  # after all that could refuse the model
    files = weight_files(folder)
    found, faults = renamed(stored_tensors(files), family)
    heads = heads_of(values, heads_among(found), source=place.name)
    if (folder / "modules.json").is_file():
        # sentence-transformers keeps the name of the class that an encoder was trained in, and not its head.
        heads = tuple(head for head in heads if head != "masked_lm" or head in heads_among(found))
    unused = family.first_position(values)
    tensors = match(found, config, heads, family, unused, source=place.name, faults=faults)
    labels = labels_of(values, num_labels(found, heads))
    zeros = {name: shape for name, shape in expected_tensors(config, heads, len(labels)).items() if name not in tensors}
    _check_dense(sentence, config.hidden_size)
    for i, module in enumerate(sentence.dense):
        tensors |= {f"{dense_name(i)}.{part}": tensor for part, tensor in module.tensors().items()}
        if not module.bias:
            zeros[f"{dense_name(i)}.bias"] = (module.N,)
    return Checkpoint(
        name=place.name,
        sha256=sha256_of(files),
        config=config,
        heads=heads,
        labels=labels,
        problem_type=problem_type_of(values, len(labels)) if "sequence_classification" in heads else "",
        sentence=sentence,
        tokenizer_json=tokenizer_json,
        mask_token=mask_token,
        max_length=_max_length(sentence.max_length, settings, config),
        model_card=_model_card(folder / "README.md"),
        size_bytes=sum(path.stat().st_size for path in files),
        tensors=Tensors(tensors, {"embeddings.position_embeddings.weight": unused}, zeros),
    )


def _check_dense(sentence: SentenceSettings, width: int) -> None:
    """Refuse Dense modules that do not fit the vectors that they get."""
    for module in sentence.dense:
        if width != module.K:
            raise CheckpointError(f"{module.folder} has in_features {module.K}, expected {width}: what comes before it")
        width = module.N


def _max_length(of_sentences: int | None, settings: Mapping[str, Any], config: BertConfig) -> int:
    """Return the tokens a text may have; transformers writes 1e30 where a tokenizer knows no limit."""
    length = of_sentences or settings.get("model_max_length")
    if type(length) is not int or length < 1:
        return config.max_position_embeddings
    return min(length, config.max_position_embeddings)


def _model_card(path: Path) -> str:
    """Return a README without its YAML front matter, which lies between two lines ``---``."""
    if not path.is_file():
        return ""
    # A card is prose for people: a stray byte in it is no reason to refuse the model.
    text = path.read_text(encoding="utf-8", errors="replace")
    if text.startswith("---\n"):
        _, end, rest = text.partition("\n---\n")
        text = rest if end else text
    return text.strip()
