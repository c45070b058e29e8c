"""A linear layer of a head: any number of rows, each as if it were alone."""

from __future__ import annotations

import numpy as np
import pytest

import edgebert
from edgebert.heads.masked_lm import MaskedLM
from tests.golden import GOLDEN
from tests.kernels.calls import assert_equal


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    """Return the int8 layer of a head for words, and the width that it reads."""
    path = tmp_path_factory.mktemp("linear") / "m.edgebert"
    model = edgebert.load(edgebert.convert(GOLDEN / "families" / "bert-masked", path, min_agreement=0), threads=1)
    runner = model._runner
    decoder = MaskedLM.parts(runner.config)[-1]
    return runner.backend.linear(runner.source.tensors, decoder.name, decoder.N), model.hidden_size


@pytest.mark.parametrize("rows", [0, 1, 2, 63, 64, 65, 128, 129, 200])
def test_rows_do_not_depend_on_their_number(decoder, rows):
    layer, width = decoder
    x = np.random.default_rng(rows).normal(size=(rows, width)).astype(np.float32)
    found = layer(x)
    assert found.shape == (rows, layer._outputs)
    for i in range(rows):
        assert_equal(found[i : i + 1], layer(x[i : i + 1]))
