"""Where the golden models lie, and what is known about them (made by ``tools/make_golden.py``).

``encoder`` is a BertModel (hidden 48, 4 heads, 2 layers, erf GELU, uncased, 64 positions);
``classifier`` is a BertForSequenceClassification with three labels (hidden 36, 3 heads,
intermediate 100, tanh GELU, cased, 50 positions).
"""

from __future__ import annotations

import json
from itertools import accumulate
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent / "data" / "golden"
NAMES = ("encoder", "classifier")


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
