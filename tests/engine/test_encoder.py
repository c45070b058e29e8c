"""The whole forward pass on the golden models: close to transformers' fp32, and to the NumPy reference."""

import time
import tracemalloc

import numpy as np
import pytest

import edgebert
from edgebert.batch import pack
from edgebert.engine.encoder import CompiledEncoder
from edgebert.engine.library import load_library
from edgebert.engine.processor import REFERENCE
from edgebert.families import encoder_of
from edgebert.model_file import ModelFile
from edgebert.runner import TOKEN_BUDGET
from edgebert.steps import steps
from tests.golden import NAMES, load_inputs, load_outputs
from tests.selection import AVAILABLE, of_families

# Measured: mean 0.99993 and 0.99986, worst 0.9994 and 0.9986 of the tokens of "encoder" and "classifier".
MEAN_COSINE, WORST_COSINE = 0.9997, 0.998
# A sum in another order moves an activation to the next of 256 levels here and there; measured 0.0017 and 0.037.
ROOT_MEAN_SQUARE, LARGEST = 0.01, 0.15


def load(path, monkeypatch, family, threads=1):
    """Load a model for an instruction family, or the reference."""
    monkeypatch.setenv("EDGEBERT_FAMILY", family)
    model = edgebert.load(path, threads=threads)
    assert model._runner.backend.family == family
    return model


def cosines(a, b):
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize("family", [*of_families(AVAILABLE), REFERENCE])
@pytest.mark.parametrize("name", NAMES)
def test_close_to_fp32(golden_files, monkeypatch, name, family):
    model = load(golden_files[name], monkeypatch, family)
    found = np.concatenate(model.hidden_states(load_inputs(name)))
    likeness = cosines(found, np.concatenate(load_outputs(name)["last_hidden_state"]))
    assert likeness.mean() >= MEAN_COSINE
    assert likeness.min() >= WORST_COSINE


@pytest.mark.parametrize("family", of_families(AVAILABLE))
@pytest.mark.parametrize("name", NAMES)
def test_close_to_the_reference(golden_files, monkeypatch, name, family):
    inputs = load_inputs(name)
    compiled, reference = (
        np.concatenate(load(golden_files[name], monkeypatch, each, threads=2).hidden_states(inputs))
        for each in (family, REFERENCE)
    )
    assert np.sqrt(np.mean(np.square(compiled - reference))) < ROOT_MEAN_SQUARE
    np.testing.assert_allclose(compiled, reference, rtol=0, atol=LARGEST)


@pytest.mark.parametrize("family", of_families(AVAILABLE))
def test_batches_around_the_budget(golden_files, monkeypatch, family):
    """Filled to the last row of the workspace, in 64 sequences of 16 and in 16 of 64, and one token beyond."""
    model = load(golden_files["encoder"], monkeypatch, family, threads=2)
    rng = np.random.default_rng(0)
    for length in (16, 64):
        sequences = [rng.integers(0, 165, length).tolist() for _ in range(TOKEN_BUDGET // length)]
        alone = [model.hidden_states([ids])[0] for ids in [*sequences, [7]]]
        for batch in (sequences, [*sequences, [7]]):
            for got, expected in zip(model.hidden_states(batch), alone, strict=False):
                assert got.tobytes() == expected.tobytes()


def test_without_a_compiler(run_python, golden_files, tmp_path):
    """NUMBA_DISABLE_JIT, as debuggers and coverage tools set it: the reference answers, and nothing is compiled."""
    code = "import sys, edgebert; m = edgebert.load(sys.argv[1]); print(m._runner.backend.family, len(m.embed(['a'])))"
    environment = {"NUMBA_DISABLE_JIT": "1", "XDG_CACHE_HOME": str(tmp_path)}
    process = run_python(code, golden_files["encoder"], environment=environment)
    assert (process.stdout, process.stderr) == ("reference 1\n", "")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("family", [AVAILABLE[0], REFERENCE])
def test_classes_do_not_depend_on_the_backend(golden_files, monkeypatch, family):
    model = load(golden_files["classifier"], monkeypatch, family)
    texts = ["good", "a bad film", "neither", "."]
    results = model.classify(texts)
    expected = load(golden_files["classifier"], monkeypatch, "portable").classify(texts)
    assert [result["label"] for result in results] == [result["label"] for result in expected]
    np.testing.assert_allclose(
        [result["score"] for result in results], [result["score"] for result in expected], atol=0.01
    )


def test_a_profile_has_each_step_in_order(golden_files):
    file = ModelFile(golden_files["encoder"])
    encoder = CompiledEncoder(file.info.config, file.tensors, load_library(AVAILABLE[0]), 2, 256)
    batch = pack([[1 + i % 100 for i in range(64)]] * 4)
    begin = time.perf_counter()
    profile = encoder.profile(batch)
    passed = time.perf_counter() - begin
    assert [name for name, _ in profile] == [step.name for step in steps(encoder_of(encoder.config))]
    assert all(seconds >= 0 for _, seconds in profile)
    assert 0 < sum(seconds for _, seconds in profile) <= passed


@pytest.mark.parametrize("threads", [1, 2])
def test_a_forward_pass_allocates_nothing_but_its_result(golden_files, threads):
    """The kernels call no allocator (`test_the_object_stands_alone`); what is left is what Python does around them."""
    encode = edgebert.load(golden_files["encoder"], threads=threads)._runner.backend.encode
    batch = pack([[1 + i % 100 for i in range(64)]] * 4)
    encode(batch)
    tracemalloc.start()
    try:
        encode(batch)
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        hidden = encode(batch)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before <= hidden.nbytes + 4096
