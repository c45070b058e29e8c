"""Files of compiled kernels: what they say of themselves, where they are looked for, what is refused before it runs."""

import struct
import sys
from types import SimpleNamespace

import pytest

from edgebert.engine import kernel_file, library, processor
from edgebert.engine.kernel_file import KernelFile, find_kernels, given_kernels, this_platform
from edgebert.engine.library import load_library
from edgebert.engine.processor import available_families, choose_family, features
from edgebert.errors import EdgebertError, SettingError

BEST = available_families()[0]


@pytest.mark.parametrize(
    ("machine", "expected"),
    [("AMD64", "x86_64"), ("x86_64", "x86_64"), ("x64", "x86_64"), ("arm64", "aarch64"), ("riscv64", "riscv64")],
)
def test_a_processor_has_one_name_on_every_system(monkeypatch, machine, expected):
    monkeypatch.setattr(kernel_file.os, "uname", lambda: SimpleNamespace(machine=machine), raising=False)
    assert this_platform.__wrapped__() == f"{sys.platform}-{expected}"


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    """Leave nothing bundled and nothing cached, and forget what is loaded."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(kernel_file, "_BUNDLED", tmp_path / "compiled")
    monkeypatch.setattr(library, "_loaded", {})


def test_a_file_reads_back(own, tmp_path):
    written = own.write(tmp_path / "kernels.so")
    assert KernelFile.read(written.path) == own._replace(path=tmp_path / "kernels.so")
    assert written.incompatibility(features()) == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-1], "holds no kernels, expected a file that `edgebert compile` wrote"),
        (lambda data: data[:10], "holds no kernels"),
        (lambda data: b"", "holds no kernels"),
        (lambda data: bytes([data[0] ^ 1]) + data[1:], "are damaged: their checksum is wrong"),
        (lambda data: data.replace(b'"family"', b'"famile"'), "are damaged"),
        (lambda data: data[:-24] + struct.pack("<I", 2**31) + data[-20:], "are damaged"),
    ],
)
def test_a_damaged_file_is_refused(own, tmp_path, monkeypatch, change, message):
    path = own.write(tmp_path / "kernels.so").path
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(EdgebertError, match=message):
        KernelFile.read(path)
    monkeypatch.setenv("EDGEBERT_KERNELS", str(path))
    with pytest.raises(EdgebertError, match=message):
        choose_family()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"platform": "linux-aarch64"}, f"they are for linux-aarch64, this is {this_platform()}"),
        ({"needs": ("sse4.2", "avx10")}, "need avx10, which this processor lacks"),
        ({"interface": "1234"}, "another version of edgebert made them"),
        ({"source": "1234"}, "another version of edgebert made them"),
    ],
)
def test_what_does_not_fit_is_not_loaded(own, tmp_path, monkeypatch, changes, reason):
    """Nor is it opened: code for another processor could not be stopped then."""
    monkeypatch.setattr(library.ctypes, "CDLL", lambda path: pytest.fail(f"{path} was opened"))
    file = own._replace(**changes).write(tmp_path / "kernels.so")
    assert reason in file.incompatibility(features())
    monkeypatch.setenv("EDGEBERT_KERNELS", str(tmp_path))
    with pytest.raises(SettingError, match="no kernels that can be used here") as caught:
        choose_family()
    assert reason in str(caught.value)
    monkeypatch.setattr(library, "_loaded", {})
    with pytest.raises(SettingError, match=f"no kernels for {BEST} that fit") as caught:
        load_library(BEST)
    assert reason in str(caught.value)


def test_a_frozen_program_has_no_sources_to_compare(own, monkeypatch):
    monkeypatch.setattr(kernel_file, "source_hash", lambda: "")
    assert own.incompatibility(features()) == ""


def test_given_kernels_come_first_and_the_best_of_them(own, tmp_path, monkeypatch, empty_cache):
    folder = tmp_path / "given"
    folder.mkdir()
    own._replace(family="portable", needs=()).write(folder / "a.so")
    monkeypatch.setenv("EDGEBERT_KERNELS", str(folder))
    assert choose_family() == "portable"
    own.write(folder / "b.so")
    assert choose_family() == BEST
    assert load_library(BEST).path == folder / "b.so"
    assert [file.family for file in given_kernels()] == ["portable", BEST]


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()], ids=["missing", "empty folder"])
def test_given_kernels_that_are_not_there(tmp_path, monkeypatch, make):
    make(tmp_path / "given")
    monkeypatch.setenv("EDGEBERT_KERNELS", str(tmp_path / "given"))
    with pytest.raises(SettingError, match=r"EDGEBERT_KERNELS is .*, where there are no kernels, expected a file"):
        choose_family()


def test_bundled_kernels_are_found_without_a_compiler(own, monkeypatch, tmp_path, empty_cache):
    (tmp_path / "compiled").mkdir()
    own.write(tmp_path / "compiled" / f"{BEST}.so")
    monkeypatch.setattr(processor, "can_compile", lambda: False)
    assert choose_family() == BEST
    assert load_library(BEST).path == tmp_path / "compiled" / f"{BEST}.so"


def test_bundled_kernels_of_another_version_are_passed_over(own, monkeypatch, tmp_path, empty_cache):
    (tmp_path / "compiled").mkdir()
    own._replace(source="of another version").write(tmp_path / "compiled" / f"{BEST}.so")
    assert find_kernels(BEST, features()) is None


def test_without_a_compiler_what_is_there_is_chosen(own, monkeypatch, tmp_path, empty_cache):
    (tmp_path / "compiled").mkdir()
    own._replace(family="portable", needs=()).write(tmp_path / "compiled" / "portable.so")
    monkeypatch.setattr(processor, "can_compile", lambda: False)
    assert choose_family() == "portable"


NOTHING = """
import sys
from importlib.abc import MetaPathFinder
class Absent(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("numba", "llvmlite"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "numba" else real(name, *rest)
import edgebert
try:
    print(edgebert.load().classify(["a lovely film"])[0]["label"])
except edgebert.EdgebertError as error:
    print(error)
"""


def test_a_computer_without_numba(run_python, own, tmp_path):
    """Kernels at hand are all that it takes; without them it says how to get some."""
    nothing = {"XDG_CACHE_HOME": str(tmp_path)}
    said = run_python(NOTHING, environment=nothing).stdout
    assert f"no compiled kernels for {BEST} here, and Numba, which compiles them, is not installed: pip install" in said
    assert f"edgebert compile --target {BEST}" in said
    own.write(tmp_path / "kernels.so")
    environment = nothing | {"EDGEBERT_KERNELS": str(tmp_path / "kernels.so")}
    assert run_python(NOTHING, environment=environment).stdout == "POSITIVE\n"


def test_kernels_that_cannot_be_opened_say_so(own, tmp_path, monkeypatch):
    file = own._replace(code=b"no library").write(tmp_path / "kernels.so")
    with pytest.raises(EdgebertError, match=r"kernels\.so cannot be loaded: .*; if programs may not run from there"):
        library.KernelLibrary(file)


def test_kernels_that_are_on_no_disk(own):
    loaded = library.KernelLibrary(own._replace(path=None))
    assert loaded.scratch_bytes(16, 16) > 0
