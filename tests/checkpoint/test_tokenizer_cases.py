"""Folders whose tokenizer settings version 0.1.0 dropped: ids, types and vectors are those of transformers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgebert.batch import pack
from edgebert.checkpoint import open_checkpoint
from edgebert.evaluate.float32 import Float32Backend
from edgebert.tokens import TextTokenizer

CASES = Path(__file__).parents[1] / "data" / "cases"
NAMES = ("added_tokens_json", "lower_case_conflict", "no_post_processor", "model_input_names")


@pytest.mark.parametrize("name", NAMES)
def test_a_case_gives_the_ids_and_vectors_of_transformers(name):
    checkpoint = open_checkpoint(CASES / name)
    tokenizer = TextTokenizer(
        checkpoint.info.tokenizer, checkpoint.info.max_length, checkpoint.info.config.type_vocab_size
    )
    backend = Float32Backend(checkpoint.info.config, checkpoint.tensors)
    expected = json.loads((CASES / name / "expected.json").read_text(encoding="utf-8"))
    assert expected["texts"]
    for text, ids, vector in zip(expected["texts"], expected["ids"], expected["mean_vector"], strict=True):
        first, second = ([], text) if isinstance(text, str) else text
        before = tokenizer.content(first) if first else None
        (window,) = tokenizer.windows(tokenizer.content(second), before)
        assert window.ids.tolist() == ids
        hidden = backend.encode(pack([window.ids], [window.type_ids]))
        np.testing.assert_allclose(hidden.mean(axis=0), vector, atol=2e-5)  # written with five digits
