"""Model folders that several tests change."""

from __future__ import annotations

import pytest

from tests.checkpoint.folders import copy_model


@pytest.fixture
def encoder(tmp_path):
    """A copy of the golden encoder: 165 tokens and as many embeddings."""
    return copy_model("encoder", tmp_path / "encoder")


@pytest.fixture
def vocabulary_alone(encoder):
    """A copy of the golden encoder with a vocab.txt and nothing else of a tokenizer."""
    (encoder / "tokenizer.json").unlink()
    (encoder / "tokenizer_config.json").unlink()
    return encoder
