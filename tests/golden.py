"""Where the golden models lie, and what is known about them (made by ``tools/make_golden*.py``).

``encoder`` is a BertModel (hidden 48, 4 heads, 2 layers, erf GELU, uncased, 64 positions);
``classifier`` is a BertForSequenceClassification with three labels (hidden 36, 3 heads,
intermediate 100, tanh GELU, cased, 50 positions). Those of ``families`` are one for every family and head, those of
``kinds`` (``tools/make_golden_kinds.py``) have something unusual.
"""

from __future__ import annotations

import json
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

GOLDEN = Path(__file__).parent / "data" / "golden"
NAMES = ("encoder", "classifier")
FAMILIES = tuple(sorted(path.name for path in (GOLDEN / "families").iterdir()))
KINDS = tuple(sorted(path.name for path in (GOLDEN / "kinds").iterdir()))
_HEADS = {
    "classifier": "sequence_classification",
    "token": "token_classification",
    "masked": "masked_lm",
    "question": "question_answering",
    "pretraining": "next_sentence",
}


class FamilyOutputs(NamedTuple):
    """What a golden model of a family was given and answered, one array for each of its three texts.

    ``logits`` has for each head arrays (outputs of the first token or of all, or of the first few tokens, labels).
    """

    input_ids: list[np.ndarray]
    token_type_ids: list[np.ndarray]
    last_hidden_state: list[np.ndarray]
    logits: dict[str, list[np.ndarray]]


def family_outputs(name: str) -> FamilyOutputs:
    """Return the outputs of a model of `FAMILIES`."""
    with np.load(GOLDEN / "families" / name / "outputs.npz") as file:
        arrays = dict(file)
    ends = np.cumsum(arrays["lengths"])[:-1]

    def split(array: np.ndarray) -> list[np.ndarray]:
        whole = len(array) == arrays["lengths"].sum()
        return np.split(array, ends if whole else len(arrays["lengths"]))

    logits = {_HEADS[name.rpartition("-")[2]]: split(arrays["logits"])}
    if "prediction_logits" in arrays:
        logits["masked_lm"] = split(arrays["prediction_logits"])
    ids, types, hidden = (split(arrays[key]) for key in ("input_ids", "token_type_ids", "last_hidden_state"))
    return FamilyOutputs(ids, types, hidden, logits)


def kind_outputs(name: str) -> tuple[list[np.ndarray], dict[str, list[np.ndarray]]]:
    """Return the sequences of ids that a model of `KINDS` was given, and what it computed for each.

    ``last_hidden_state`` has arrays (length, hidden); ``logits``, of a model with a head, of the first few tokens.
    """
    with np.load(GOLDEN / "kinds" / name / "outputs.npz") as file:
        arrays = dict(file)
    ends = np.cumsum(arrays.pop("lengths"))[:-1]
    ids = np.split(arrays.pop("input_ids"), ends)
    outputs = {"last_hidden_state": np.split(arrays["last_hidden_state"], ends)}
    if "logits" in arrays:
        outputs["logits"] = np.split(arrays["logits"], len(ids))
    return ids, outputs


def family_cases(name: str) -> list[dict[str, Any]]:
    """Return what transformers' pipelines answered: ``task``, ``input``, ``options``, ``results``."""
    path = GOLDEN / "families" / name / "expected.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def load_inputs(name: str) -> list[list[int]]:
    """Return the lists of token ids that a golden model was run on, each alone."""
    return json.loads((GOLDEN / name / "inputs.json").read_text(encoding="utf-8"))


def load_outputs(name: str) -> dict[str, list[np.ndarray]]:
    """Return what the model answers, float32, one array for each list of `load_inputs`.

    ``last_hidden_state`` has arrays (length, hidden), ``pooler_output`` (hidden,), and
    ``logits``, of the classifier alone, (labels,).
    """
    ends = [*accumulate(map(len, load_inputs(name)))]
    with np.load(GOLDEN / name / "outputs.npz") as arrays:
        outputs = {key: list(arrays[key]) for key in arrays.files if key != "last_hidden_state"}
        outputs["last_hidden_state"] = np.split(arrays["last_hidden_state"], ends[:-1])
    return outputs


def load_tokenized(name: str) -> list[tuple[str, list[int]]]:
    """Return texts and the ids that transformers' tokenizer gives them."""
    cases = json.loads((GOLDEN / name / "tokenized.json").read_text(encoding="utf-8"))
    return [(case["text"], case["input_ids"]) for case in cases]
