"""What a config.json says the model is: encoder, head, labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from edgebert.checkpoint.names import canonical_name
from edgebert.errors import CheckpointError, UnsupportedModelError

__all__ = ["check_supported", "head_of", "labels_of", "problem_type_of"]

_HEADS = {"BertModel": "none", "BertForSequenceClassification": "sequence_classification"}
_PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression")


def check_supported(values: Mapping[str, Any], *, source: str) -> None:
    """Refuse a config of a model that edgebert does not run.

    Raises
    ------
    UnsupportedModelError
        Naming its ``model_type`` or its architectures, and what is supported.
    """
    supported = f"edgebert runs {' and '.join(_HEADS)} (model_type 'bert')"
    model_type = values.get("model_type") or "bert"
    if model_type != "bert":
        raise UnsupportedModelError(f"{source} is a model of type {model_type!r}; {supported}")
    architectures = _architectures(values)
    if architectures and not any(name in _HEADS for name in architectures):
        raise UnsupportedModelError(f"{source} is a {', '.join(architectures)}; {supported}")


def head_of(values: Mapping[str, Any], tensor_names: Iterable[str]) -> str:
    """Return ``"none"`` or ``"sequence_classification"``.

    Old configs do not name their architecture: there, a classifier among the tensors decides.
    """
    for name in _architectures(values):
        if name in _HEADS:
            return _HEADS[name]
    classifies = any(canonical_name(name) == "classifier.weight" for name in tensor_names)
    return "sequence_classification" if classifies else "none"


def _architectures(values: Mapping[str, Any]) -> list[str]:
    architectures = values.get("architectures") or []
    return [str(name) for name in (architectures if isinstance(architectures, list) else [architectures])]


def labels_of(values: Mapping[str, Any], num_labels: int) -> tuple[str, ...]:
    """Return the names of the labels in the order of their ids.

    A config whose ``id2label`` does not name exactly the classifier's rows names none of them
    reliably (old fine-tunings kept the two default names for any number of classes); then they
    are ``LABEL_0``, ``LABEL_1`` and so on.
    """
    names = values.get("id2label")
    keys = [str(i) for i in range(num_labels)]
    if isinstance(names, dict) and sorted(names) == sorted(keys):
        return tuple(str(names[key]) for key in keys)
    return tuple(f"LABEL_{key}" for key in keys)


def problem_type_of(values: Mapping[str, Any], num_labels: int) -> str:
    """Return what the classifier was trained for; where the config does not say, by the number of labels.

    Raises
    ------
    CheckpointError
        The config names a kind of problem that does not exist.
    """
    problem_type = values.get("problem_type")
    if problem_type is None:
        # One label is a yes or no, as in the pipelines of transformers; a regression says that it is one.
        return "multi_label_classification" if num_labels == 1 else "single_label_classification"
    if problem_type not in _PROBLEM_TYPES:
        raise CheckpointError(
            f"config.json has problem_type {problem_type!r}, expected one of {', '.join(_PROBLEM_TYPES)}"
        )
    return str(problem_type)
