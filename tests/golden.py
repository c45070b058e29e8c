"""Where the golden models lie, and what is known about them (made by ``tools/make_golden*.py``).

``encoder`` is a BertModel (hidden 48, 4 heads, 2 layers, erf GELU, uncased, 64 positions);
``classifier`` is a BertForSequenceClassification with three labels (hidden 36, 3 heads,
intermediate 100, tanh GELU, cased, 50 positions). Those of ``families`` are one for every family and head, those of
``kinds`` (``tools/make_golden_kinds.py``) have something unusual; the ``odd`` ones have as few defaults as can be.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgebert.heads import Head
from edgebert.heads.pooler import PooledHead
from edgebert.windows import Window

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
_HEAD_OF_CLASS = {
    "ForMaskedLM": "masked_lm",
    "ForPreTraining": "masked_lm",
    "ForTokenClassification": "token_classification",
    "ForSequenceClassification": "sequence_classification",
}


class FamilyOutputs(NamedTuple):
    """What a golden model of a family was given and answered, one array for each of its three texts.

    ``logits`` has for each head arrays (outputs of the first token or of all, or of the first few tokens, labels).
    """

    input_ids: list[np.ndarray]
    token_type_ids: list[np.ndarray]
    last_hidden_state: list[np.ndarray]
    logits: dict[str, list[np.ndarray]]


def assembled(golden: Path, base: str, name: str, target: Path) -> Path:
    """Make a whole folder of a variant that has only what differs from another; `golden` holds both."""
    shutil.copytree(golden / base, target)
    shutil.copytree(golden / name, target, dirs_exist_ok=True)
    gone = target / "gone.json"
    for file in json.loads(gone.read_text(encoding="utf-8")) if gone.exists() else ():
        (target / file).unlink()
    return target


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


class KindOutputs(NamedTuple):
    """What a golden model of `KINDS` was given and answered, one array for each of its sequences of ids.

    ``logits`` has for each head arrays (outputs of the first token or of the first few, labels).
    """

    input_ids: list[np.ndarray]
    token_type_ids: list[np.ndarray]
    last_hidden_state: list[np.ndarray]
    logits: dict[str, list[np.ndarray]]


def kind_outputs(name: str) -> KindOutputs:
    """Return the outputs of a model of `KINDS`."""
    folder = GOLDEN / "kinds" / name
    with np.load(folder / "outputs.npz") as file:
        arrays = dict(file)
    ends = np.cumsum(arrays["lengths"])[:-1]
    ids, hidden = np.split(arrays["input_ids"], ends), np.split(arrays["last_hidden_state"], ends)
    types = np.split(arrays.get("token_type_ids", np.zeros_like(arrays["input_ids"])), ends)
    (architecture,) = json.loads((folder / "config.json").read_text(encoding="utf-8"))["architectures"]
    logits = {}
    for ending, head in _HEAD_OF_CLASS.items():
        if architecture.endswith(ending):
            logits[head] = np.split(arrays["logits"], len(ids))
    if "next_sentence_logits" in arrays:
        logits["next_sentence"] = np.split(arrays["next_sentence_logits"], len(ids))
    return KindOutputs(ids, types, hidden, logits)


def read_by(head: Head, states: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Return what a head reads of the hidden states of a text for these logits: of a few tokens, or of the whole."""
    return head.of_text(states)[None] if isinstance(head, PooledHead) else states[: len(logits)]


def hidden_of(model: Any, ids: Sequence[Sequence[int]], types: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Return a model's hidden states for ids with token types, which `Model.hidden_states` does not take."""
    pairs = [[np.array(each, np.int32) for each in pair] for pair in zip(ids, types, strict=True)]
    windows = [[Window(own, kinds, 0, 0, len(own))] for own, kinds in pairs]
    states = [np.empty(0)] * len(ids)
    for encoded in chain.from_iterable(model._runner.encode(windows)):
        states[encoded.text] = encoded.states
    return states


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
