"""Peers held to older instructions: a library that asks the processor hears of none that are newer."""

import json
import platform
import shutil
import subprocess
import sys

import pytest

from benchmarks.hold import hold

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64" or not (shutil.which("cc") and shutil.which("objdump")),
    reason="needs Linux on x86-64, a C compiler and objdump",
)

PROBE = """
#include <cpuid.h>
void ask(unsigned leaf, unsigned subleaf, unsigned *answer)
{
    __cpuid_count(leaf, subleaf, answer[0], answer[1], answer[2], answer[3]);
}
"""
ASK = """
import ctypes, json, pathlib, onnxruntime
library = ctypes.CDLL(str(pathlib.Path(onnxruntime.__file__).with_name("probe.so")))
answers = {}
for leaf, subleaf in ((0, 0), (1, 0), (7, 0), (7, 1)):
    registers = (ctypes.c_uint * 4)()
    library.ask(leaf, subleaf, registers)
    answers[f"{leaf}.{subleaf}"] = list(registers)
print(json.dumps(answers))
"""
AVX2, AVX512F, AVX512BW = (("7.0", 1, bit) for bit in (5, 16, 30))
AVX512_VNNI, AMX_INT8, AVX_VNNI = ("7.0", 2, 11), ("7.0", 3, 25), ("7.1", 0, 4)


@pytest.fixture
def peer(tmp_path, monkeypatch):
    """Make a package that has the name of a peer and asks the processor."""
    package = tmp_path / "site" / "onnxruntime"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "probe.c").write_text(PROBE)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", package / "probe.so", package / "probe.c"], check=True)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setattr("benchmarks.hold._PACKAGES", ("onnxruntime",))
    return package


def ask(variables, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return json.loads(subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True).stdout)


def has(answers, feature):
    leaf, register, bit = feature
    return bool(answers[leaf][register] >> bit & 1)


@pytest.mark.parametrize(("family", "lost"), [("avx512bw", []), ("avx2", [AVX512F, AVX512BW])])
def test_newer_features_are_not_seen_and_the_others_are(peer, tmp_path, monkeypatch, family, lost):
    free = ask({}, monkeypatch)
    held = ask(hold(family, sys.executable, tmp_path / "held"), monkeypatch)
    for feature in (AVX512_VNNI, AMX_INT8, AVX_VNNI, *lost):
        assert not has(held, feature)
    for feature in {AVX2, AVX512F, AVX512BW} - set(lost):
        assert has(held, feature) == has(free, feature)
    assert held["0.0"] == free["0.0"], "the maker's name"


def test_the_peers_own_library_stays_as_it_is(peer, tmp_path):
    before = (peer / "probe.so").read_bytes()
    hold("avx2", sys.executable, tmp_path / "held")
    assert (peer / "probe.so").read_bytes() == before
    (copy,) = tmp_path.glob("held/*/onnxruntime/probe.so")
    assert copy.read_bytes() != before


def test_a_peer_that_never_asks_cannot_be_held(peer, tmp_path):
    (peer / "probe.so").unlink()
    with pytest.raises(ValueError, match="cannot be held back"):
        hold("avx2", sys.executable, tmp_path / "held")
    assert not list(tmp_path.glob("held/onnxruntime*[!d]"))
