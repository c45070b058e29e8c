"""What a config.json says the model is: which heads, which labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgebert.checkpoint.families import FAMILIES
from edgebert.errors import CheckpointError, UnsupportedModelError

__all__ = ["heads_of", "labels_of", "problem_type_of"]

_HEADS: dict[str, tuple[str, ...]] = {
    "Model": (),
    "ForSequenceClassification": ("sequence_classification",),
    "ForTokenClassification": ("token_classification",),
    "ForMaskedLM": ("masked_lm",),
    "ForPreTraining": ("masked_lm", "next_sentence"),
    "ForNextSentencePrediction": ("next_sentence",),
    "ForQuestionAnswering": ("question_answering",),
}
_PRETRAINING = ("masked_lm", "next_sentence")
_PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression")


def heads_of(values: Mapping[str, Any], among: tuple[str, ...], *, source: str) -> tuple[str, ...]:
    """Return the heads that a model has.

    Old configs do not name their architecture: there, the tensors decide. They do too for a model that was trained
    to restore masked words, which often has the head for next sentences beside.

    Parameters
    ----------
    values : mapping
        Of config.json.
    among : tuple of str
        Heads whose tensors are there (`edgebert.checkpoint.names.heads_among`).

    Raises
    ------
    UnsupportedModelError
        Naming the architectures, and what is supported.
    """
    architectures = values.get("architectures") or []
    names = [str(name) for name in (architectures if isinstance(architectures, list) else [architectures])]
    if not names:
        return among
    model_type = values.get("model_type") or "bert"
    classes = FAMILIES[model_type].classes
    for name in names:
        kind = name.removeprefix(classes)
        # ELECTRA's head of pre-training tells replaced words, which is no task here.
        if name.startswith(classes) and kind in _HEADS and not (kind == "ForPreTraining" and model_type == "electra"):
            heads = _HEADS[kind]
            if set(heads) & set(_PRETRAINING):
                heads = tuple(head for head in _PRETRAINING if head in heads or head in among)
            return heads
    supported = ", ".join(f"{classes}{kind}" for kind in _HEADS)
    raise UnsupportedModelError(f"{source} is a {', '.join(names)}; of this family edgebert runs {supported}")


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
        if num_labels == 1 and _scores_are_logits(values):
            return "regression"
        # One label is a yes or no, as in the pipelines of transformers; a regression says that it is one.
        return "multi_label_classification" if num_labels == 1 else "single_label_classification"
    if problem_type not in _PROBLEM_TYPES:
        raise CheckpointError(
            f"config.json has problem_type {problem_type!r}, expected one of {', '.join(_PROBLEM_TYPES)}"
        )
    if num_labels == 1 and problem_type == "single_label_classification":
        return "multi_label_classification"  # the softmax of one logit says nothing; transformers looks at this first
    return str(problem_type)


def _scores_are_logits(values: Mapping[str, Any]) -> bool:
    """Say whether a cross-encoder of sentence-transformers leaves its logit as it is."""
    settings = values.get("sentence_transformers")
    function = settings.get("activation_fn") if isinstance(settings, dict) else None
    function = function or values.get("sbert_ce_default_activation_function")
    return isinstance(function, str) and function.endswith("Identity")
