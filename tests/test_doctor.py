"""``edgebert doctor``: each finding with what to do about it, and a self-test that can fail."""

import json
import platform
import sys

import numpy as np
import pytest

import edgebert
from edgebert import doctor
from edgebert.doctor import FAULT, GOOD, NOTE, examine
from edgebert.engine import kernel_file, processor
from edgebert.engine.processor import available_families
from tests.cli.command import invoke

NAMES = ["version", "processor", "family", "kernels", "threads", "device", "cache", "memory", "self-test"]


@pytest.fixture(autouse=True)
def quick(monkeypatch, cache_home):
    """Take no time for a figure that no test looks at."""
    monkeypatch.setattr(doctor, "_SELF_TEST_SECONDS", 0.01)


def look(name):
    """Return one finding."""
    return doctor._LOOKS[name](name)


def test_everything_is_looked_at():
    findings = {finding.name: finding for finding in examine()}
    assert list(findings) == NAMES
    assert not [finding for finding in findings.values() if finding.state == FAULT]
    assert available_families()[0] in findings["family"].text
    assert "cosine to the reference 0.99" in findings["self-test"].text


def test_the_command_prints_them():
    said = invoke("doctor")
    assert said.exit_code == 0
    assert [line.split()[0] for line in said.stdout.splitlines() if not line.startswith(" ")] == NAMES
    told = invoke("doctor", "--json")
    assert [finding["name"] for finding in json.loads(told.stdout)] == NAMES


def test_versions_and_bits(monkeypatch):
    assert look("version").text.split(", ") == [
        f"edgebert {edgebert.__version__}",
        f"Python {sys.version.split()[0]}",
        f"NumPy {np.__version__}",
    ]
    assert look("version").state == GOOD
    monkeypatch.setattr(doctor.struct, "calcsize", lambda letter: {"P": 4}[letter])
    assert (look("version").state, look("version").text[-9:]) == (FAULT, ", 32 bits")
    assert look("version").advice.startswith("install a system of 64 bits")


def test_a_processor_that_saves_power(monkeypatch, tmp_path):
    governor = tmp_path / "scaling_governor"
    monkeypatch.setattr(doctor, "Path", lambda _: governor)
    assert look("processor").state == GOOD
    for name, state in (("performance\n", GOOD), ("powersave\n", NOTE)):
        governor.write_text(name)
        assert look("processor").state == state
    assert look("processor").advice.startswith("its governor is powersave")
    monkeypatch.setattr(processor, "features", frozenset)
    assert look("processor").text.endswith("; no feature that edgebert uses")


def test_kernels_that_compute_something_else_are_a_fault(monkeypatch):
    class Other(doctor.ReferenceBackend):
        def encode(self, batch):
            return np.roll(super().encode(batch), 1, axis=1)

    monkeypatch.setattr(doctor, "ReferenceBackend", Other)
    assert (look("self-test").state, look("self-test").advice[:35]) == (FAULT, "the kernels compute something else:")
    assert invoke("doctor").exit_code == 1


def test_a_slower_family_than_could_be(monkeypatch):
    monkeypatch.setenv("EDGEBERT_FAMILY", "portable")
    assert look("family").state == NOTE
    assert look("family").advice == f"unset it: {available_families()[0]} is faster"
    monkeypatch.setenv("EDGEBERT_FAMILY", "reference")
    assert "the reference is slow" in look("family").advice
    assert look("kernels").text == "none: NumPy computes"


def test_kernels_still_to_be_compiled(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernel_file, "_BUNDLED", tmp_path)
    assert (look("kernels").state, look("kernels").advice) == (NOTE, "edgebert compile, now")
    monkeypatch.setattr(doctor, "can_compile", lambda: False)
    monkeypatch.setattr(processor, "can_compile", lambda: False)
    assert look("kernels").state == FAULT
    assert "pip install numba" in look("kernels").advice


def test_more_threads_than_processors(monkeypatch):
    monkeypatch.setenv("EDGEBERT_NUM_THREADS", "1000")
    assert (look("threads").state, look("threads").text) == (NOTE, "1000, as EDGEBERT_NUM_THREADS says")
    monkeypatch.setenv("EDGEBERT_NUM_THREADS", "none")
    assert invoke("doctor").exit_code == 1


@pytest.mark.parametrize(
    ("text", "state", "told"),
    [
        ("MemTotal: 8000000 kB\nMemFree: 1 kB\nMemAvailable: 4000000 kB\n", GOOD, "4.1 of 8.2 GB available; the sent"),
        ("MemTotal: 8000000 kB\nMemFree: 1 kB\nMemAvailable: 40000 kB\n", FAULT, "0.0 of 8.2 GB available"),
        ("MemTotal: 8000000 kB\n", GOOD, "this system does not say how much there is"),
        ("MemAvailable: much\n", GOOD, "this system does not say how much there is"),
        ("", GOOD, "this system does not say how much there is"),
    ],
)
def test_memory(monkeypatch, text, state, told):
    monkeypatch.setattr(doctor.Path, "read_text", lambda path: text)
    found = doctor._memory("memory")
    assert (found.name, found.state) == ("memory", state)
    assert found.text.startswith(told)


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    assert look("cache").state == GOOD
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert look("cache").state == NOTE
    assert "set XDG_CACHE_HOME to a folder that can be written" in look("cache").advice


def test_a_setting_that_cannot_be_used_is_a_finding(monkeypatch):
    monkeypatch.setenv("EDGEBERT_FAMILY", "sse9")
    findings = {finding.name: finding for finding in examine()}
    assert list(findings) == NAMES
    assert findings["family"].state == findings["self-test"].state == FAULT
    assert "EDGEBERT_FAMILY is 'sse9', expected one of" in findings["family"].text


def test_a_family_that_is_not_the_fastest(monkeypatch):
    monkeypatch.delenv("EDGEBERT_FAMILY", raising=False)
    monkeypatch.setattr(processor, "available_families", lambda: ["avx512_vnni", "avx2", "portable"])
    said = {}
    for chosen in ("avx512_vnni", "avx2", "portable"):
        monkeypatch.setattr(processor, "choose_family", lambda chosen=chosen: chosen)
        said[chosen] = look("family")
    assert (said["avx512_vnni"].state, said["avx512_vnni"].advice) == (GOOD, "")
    for family in ("avx2", "portable"):
        assert (said[family].state, said[family].text[-29:]) == (NOTE, ", for which there are kernels")
        assert said[family].advice.endswith("edgebert compile --target avx512_vnni makes its kernels")
    monkeypatch.setattr(processor, "available_families", lambda: ["portable"])
    assert (look("family").state, look("family").advice[:26]) == (NOTE, "these kernels use no instr")


def test_a_processor_without_a_name(monkeypatch):
    monkeypatch.setattr(processor, "Path", lambda _: NoFile())
    monkeypatch.setattr(platform, "processor", str)
    assert processor.processor_name() == platform.machine()
    monkeypatch.setattr(platform, "machine", str)
    assert processor.processor_name() == "unknown processor"


class NoFile:
    def read_text(self):
        raise FileNotFoundError
