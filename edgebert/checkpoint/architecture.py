"""What a config.json says the model is: which heads, which labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgebert.choices import FUNCTIONS
from edgebert.errors import CheckpointError, UnsupportedModelError
from edgebert.families import Family
from edgebert.heads import HEADS, PRETRAINING
from edgebert.heads.classification import SequenceClassification
from edgebert.heads.tokens import TokenClassification

__all__ = ["heads_of", "labels_of", "problem_type_of"]

_HEADS: dict[str, tuple[str, ...]] = {
    "Model": (),
    **{head.architecture: (name,) for name, head in HEADS.items()},
    "ForPreTraining": PRETRAINING,
}
"""The name of a class without its family's -> its heads."""

_FUNCTIONS = {
    "Sigmoid": "multi_label_classification",
    "Softmax": "single_label_classification",
    "Identity": "regression",
}
"""torch's name of what stands behind a cross-encoder's logits -> the problem whose scores are made so."""


def heads_of(values: Mapping[str, Any], among: tuple[str, ...], family: Family) -> tuple[tuple[str, ...], str]:
    """Return the heads that a model has, and the names of its classes where edgebert knows none of them.

    Old configs do not name their architecture: there, the tensors decide. They do too for a model that was trained
    to restore masked words, which often has the head for next sentences beside. A class that edgebert does not know
    has no head that it could be asked by.

    Parameters
    ----------
    values : mapping
        Of config.json.
    among : tuple of str
        Heads whose tensors are there (`edgebert.checkpoint.names.heads_among`).
    family : Family

    Raises
    ------
    CheckpointError
        The names are none; or none is there, and the tensors do not tell a classifier of texts from one of tokens.
    """
    architectures = values.get("architectures") or []
    names = [architectures] if isinstance(architectures, str) else architectures
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise CheckpointError(f"config.json has architectures {architectures!r}, expected a list of names of classes")
    if not names:
        if {SequenceClassification.name, TokenClassification.name} <= set(among):
            raise CheckpointError(
                "config.json has no architectures, and the tensors of its classifier may be of texts or of tokens,"
                f" expected the name of its class there, {family.classes}ForSequenceClassification for one"
            )
        return among, ""
    known = {**_HEADS, **family.heads}
    for name in names:
        heads = known.get(name.removeprefix(family.classes)) if name.startswith(family.classes) else None
        if heads is not None:
            if set(heads) & set(PRETRAINING):
                heads = tuple(head for head in PRETRAINING if head in heads or head in among)
            return heads, ""
    return (), ", ".join(names)


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


def problem_type_of(
    values: Mapping[str, Any], num_labels: int, activation_fn: str = "", *, is_cross_encoder: bool = False
) -> str:
    """Return what the classifier was trained for; where the config does not say, by the number of labels.

    A cross-encoder of sentence-transformers says what stands behind its logits instead: that decides, as it does
    there. One that does not say has a sigmoid behind one label, and nothing behind several.

    Parameters
    ----------
    values : mapping
        Of config.json.
    num_labels : int
    activation_fn : str
        Of config_sentence_transformers.json; empty where it does not say.
    is_cross_encoder : bool
        Whether that file says so.

    Raises
    ------
    CheckpointError
        The config names a kind of problem that does not exist.
    UnsupportedModelError
        The cross-encoder has another function behind its logits.
    """
    problem_type = values.get("problem_type")
    if problem_type is not None and problem_type not in tuple(FUNCTIONS):
        raise CheckpointError(f"config.json has problem_type {problem_type!r}, expected one of {', '.join(FUNCTIONS)}")
    function = activation_fn or _activation_fn(values)
    if function:
        package, _, name = function.rpartition(".")
        if name not in _FUNCTIONS or package.partition(".")[0] not in ("", "torch"):
            raise UnsupportedModelError(
                f"the cross-encoder has activation_fn {function!r}; edgebert runs torch's {', '.join(_FUNCTIONS)}"
            )
        return _FUNCTIONS[name]
    if problem_type is None or is_cross_encoder:
        # One label is a yes or no, as in the pipelines of transformers; a regression says that it is one.
        several = "regression" if is_cross_encoder else "single_label_classification"
        return "multi_label_classification" if num_labels == 1 else several
    if num_labels == 1 and problem_type == "single_label_classification":
        return "multi_label_classification"  # the softmax of one logit says nothing; transformers looks at this first
    return str(problem_type)


def _activation_fn(values: Mapping[str, Any]) -> str:
    """Return the class behind the logits of a cross-encoder, where config.json names it."""
    settings = values.get("sentence_transformers")
    if settings is not None and not isinstance(settings, dict):
        raise CheckpointError(f"config.json has sentence_transformers {settings!r}, expected a JSON object")
    function = (settings or {}).get("activation_fn") or values.get("sbert_ce_default_activation_function") or ""
    if not isinstance(function, str):
        raise CheckpointError(f"config.json has the activation_fn {function!r}, expected the name of a class")
    return function
