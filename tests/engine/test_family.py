"""Which instruction family: the best that the processor has, or what the environment asks for."""

import pytest

import edgebert
from edgebert.engine import processor
from edgebert.engine.processor import REFERENCE, available_families, choose_family, default_threads
from edgebert.errors import SettingError
from edgebert.kernels.simd.families import FAMILIES


@pytest.fixture
def available(monkeypatch):
    """Return a function that sets what the processor can run."""

    def give(*names):
        monkeypatch.setattr(processor, "available_families", lambda: names)

    return give


def test_what_this_processor_has():
    names = available_families()
    assert list(names) == [name for name in FAMILIES if name in names]
    assert names[-1] == "portable"


def test_families_by_features(monkeypatch):
    """A family needs all of its features, and its machine."""
    import llvmlite.binding as llvm

    def with_features(*features, machine="x86_64"):
        monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: dict.fromkeys(features, True) | {"avx10": False})
        monkeypatch.setattr(processor.platform, "machine", lambda: machine)
        monkeypatch.setattr(processor, "_may_use_tiles", lambda: True)  # Linux grants them where they exist
        return available_families.__wrapped__()

    everything = {feature for family in FAMILIES.values() for feature in family.needs}
    assert with_features(*everything) == tuple(FAMILIES)
    assert with_features(*everything, machine="AMD64") == tuple(FAMILIES)
    assert with_features(*everything, machine="aarch64") == ("portable",)
    assert with_features(*everything - {"avx512vnni"}) == ("avx512bw", "avx_vnni", "avx2", "portable")
    assert with_features(*FAMILIES["avx2"].needs) == ("avx2", "portable")
    for feature in FAMILIES["avx2"].needs:
        assert with_features(*set(FAMILIES["avx2"].needs) - {feature}) == ("portable",)
    assert with_features() == ("portable",)


def test_the_best_is_chosen(available):
    available("avx2", "portable")
    assert choose_family({}) == "avx2"
    assert choose_family({"EDGEBERT_FAMILY": ""}) == "avx2"


def test_another_is_asked_for(available):
    available("avx2", "portable")
    assert choose_family({"EDGEBERT_FAMILY": "portable"}) == "portable"
    assert choose_family({"EDGEBERT_FAMILY": " reference "}) == REFERENCE


def test_one_that_the_processor_lacks(available):
    available("avx2", "portable")
    with pytest.raises(SettingError, match="avx512bw, which this processor cannot run; it can run avx2, portable"):
        choose_family({"EDGEBERT_FAMILY": "avx512bw"})


@pytest.mark.parametrize("bad", ["sse9", "AVX2", "avx2,portable", "0"])
def test_one_that_does_not_exist(available, bad):
    available("avx2", "portable")
    with pytest.raises(SettingError, match=rf"EDGEBERT_FAMILY is '{bad}', expected one of avx2, portable, reference"):
        choose_family({"EDGEBERT_FAMILY": bad})


def test_without_a_compiler_the_reference_serves(available):
    available("avx2", "portable")
    assert choose_family({"NUMBA_DISABLE_JIT": "1"}) == REFERENCE
    assert choose_family({"NUMBA_DISABLE_JIT": "0"}) == "avx2"
    assert choose_family({"NUMBA_DISABLE_JIT": ""}) == "avx2"
    assert choose_family({"NUMBA_DISABLE_JIT": "1", "EDGEBERT_FAMILY": "portable"}) == "portable"


def test_a_wrong_setting_stops_the_loading_of_a_model(golden_files, monkeypatch):
    monkeypatch.setenv("EDGEBERT_FAMILY", "sse9")
    with pytest.raises(SettingError, match="EDGEBERT_FAMILY"):
        edgebert.load(golden_files["encoder"])


def test_the_machine_is_described(monkeypatch):
    monkeypatch.setenv("EDGEBERT_FAMILY", "portable")
    monkeypatch.setenv("EDGEBERT_NUM_THREADS", "3")
    facts = edgebert.describe_machine()
    assert (facts["family"], facts["threads"]) == ("portable", default_threads(3))
    assert facts["processor"].strip()
