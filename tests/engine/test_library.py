"""The cache of compiled kernels: one compilation for a machine, and none needed for it to work."""

import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgebert.engine import compiler as compiler_module
from edgebert.engine import kernel_file, library
from edgebert.engine.kernel_file import KernelFile, cache_folder
from edgebert.engine.library import load_library
from edgebert.engine.processor import available_families
from edgebert.errors import EdgebertError

FAMILY = available_families()[0]
MOST_SECONDS = 60
"""What the first run may take: about six times what it does. Counted in processor time: others may use this machine."""

# Prints the hidden states' bits and what was imported.
USE = """
import sys
import edgebert
model = edgebert.load(sys.argv[1], threads=1)
print(model.hidden_states([[1, 2, 3]])[0].tobytes().hex())
print(*(name for name in ("numba", "llvmlite", "torch", "transformers", "onnx") if name in sys.modules))
"""


@pytest.fixture
def compiler(monkeypatch, cache_home, tmp_path):
    """Replace the compiler by one that takes no time, and forget what is loaded; return the list of its calls.

    The cache is an empty folder of this test.
    """
    load_library(FAMILY)
    (kept,) = (cache_home / "edgebert" / "kernels").glob(f"{FAMILY}-*")
    code = KernelFile.read(kept)
    calls = []

    def compile_at_once(family):
        calls.append(family)
        return KernelFile.of(family, code.platform, code.form, code.code)

    monkeypatch.setattr(compiler_module, "compile_kernels", compile_at_once)
    monkeypatch.setattr(library, "_loaded", {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return calls


def forget():
    """Forget the libraries of this process, as a new one would."""
    library._loaded.clear()


def cached(folder):
    """Return the only file in a cache."""
    (path,) = (folder / "edgebert" / "kernels").iterdir()
    return path


@pytest.mark.slow
def test_the_first_process_compiles_and_the_second_does_not(run_python, golden_files, tmp_path):
    environment = {"XDG_CACHE_HOME": str(tmp_path), "EDGEBERT_FAMILY": FAMILY}
    before = os.times()
    first = run_python(USE, golden_files["encoder"], environment=environment)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert spent < MOST_SECONDS
    assert f"edgebert: compiling its kernels for {FAMILY}, once on this machine\n" in first.stderr
    assert "edgebert: compiled in" in first.stderr
    assert cached(tmp_path).name.startswith(f"{FAMILY}-")
    second = run_python(USE, golden_files["encoder"], environment=environment)
    assert second.stderr == ""
    assert second.stdout == first.stdout
    assert second.stdout.splitlines()[1:] == [""], "a process with kernels at hand imports neither numba nor llvmlite"


@pytest.mark.parametrize("damage", ["truncated", "empty", "one bit"])
def test_a_damaged_object_is_compiled_again(compiler, tmp_path, damage):
    load_library(FAMILY)
    path = cached(tmp_path / "cache")
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    path.unlink()  # this process still has it mapped
    path.write_bytes({"truncated": whole[:-1], "empty": b"", "one bit": bytes(flipped)}[damage])
    forget()
    load_library(FAMILY)
    assert compiler == [FAMILY] * 2
    assert path.read_bytes() == whole
    forget()
    load_library(FAMILY)
    assert compiler == [FAMILY] * 2


def test_a_library_is_loaded_once_in_a_process(compiler):
    """Also when threads ask for it at the same time."""
    with ThreadPoolExecutor(4) as pool:
        assert len({id(found) for found in pool.map(load_library, [FAMILY] * 8)}) == 1
    assert compiler == [FAMILY]


def test_other_sources_or_another_family_need_another_object(compiler, monkeypatch, tmp_path):
    load_library(FAMILY)
    forget()
    monkeypatch.setattr(kernel_file, "source_hash", lambda: "of other sources")
    load_library(FAMILY)
    assert compiler == [FAMILY] * 2
    assert len(list((tmp_path / "cache" / "edgebert" / "kernels").iterdir())) == 2


def test_the_hash_sees_every_source_of_the_kernels(monkeypatch, tmp_path):
    kernels = tmp_path / "kernels"
    shutil.copytree(kernel_file._PACKAGE / "kernels", kernels, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(kernel_file, "_PACKAGE", tmp_path)
    compute = kernel_file.source_hash.__wrapped__
    seen = {compute()}
    sources = sorted(kernels.rglob("*.py"))
    assert any(path.parent.name == "simd" for path in sources)
    for path in sources:
        path.write_bytes(path.read_bytes() + b"\n")
        seen.add(compute())
    assert len(seen) == 1 + len(sources)
    shutil.rmtree(kernels)
    assert compute() == "", "a frozen program has no sources"


def unusable(tmp_path):
    """Return folders that nobody can make, root included."""
    file = tmp_path / "file"
    file.write_bytes(b"")
    return {"under a file": file / "cache", "in /proc": Path("/proc/edgebert"), "in /sys": Path("/sys/edgebert")}


@pytest.mark.parametrize("place", ["under a file", "in /proc", "in /sys"])
@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "HOME"])
def test_a_cache_that_cannot_be_written_costs_a_compilation_only(compiler, monkeypatch, tmp_path, place, variable):
    if variable == "HOME":
        monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv(variable, str(unusable(tmp_path)[place]))
    load_library(FAMILY)
    forget()
    load_library(FAMILY)
    assert compiler == [FAMILY] * 2


def test_no_home_at_all(compiler, monkeypatch):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(kernel_file.Path, "home", nobody)
    load_library(FAMILY)
    assert compiler == [FAMILY]


def test_a_disk_that_fills_up_leaves_nothing_half_written(compiler, monkeypatch, tmp_path):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(library.os, "replace", full)
    load_library(FAMILY)
    assert list((tmp_path / "cache" / "edgebert" / "kernels").iterdir()) == []


NO_DISK = (
    """
import sys, tempfile
tempfile.tempdir = "/proc/edgebert"  # as if no folder for temporary files could be written
"""
    + USE
)


@pytest.mark.slow
def test_a_machine_without_a_writable_disk(run_python, golden_files):
    """No cache, no home, no temporary folder: it compiles, and answers the same."""
    nowhere = {"XDG_CACHE_HOME": "/proc/edgebert", "HOME": "/proc/edgebert", "EDGEBERT_FAMILY": FAMILY}
    got = run_python(NO_DISK, golden_files["encoder"], environment=nowhere)
    assert "edgebert: compiled in" in got.stderr
    expected = run_python(USE, golden_files["encoder"], environment={"EDGEBERT_FAMILY": FAMILY})
    assert got.stdout.splitlines()[0] == expected.stdout.splitlines()[0]


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "edgebert"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "edgebert"
    for nowhere in ("", "relative/folder"):  # which the specification says to disregard
        monkeypatch.setenv("XDG_CACHE_HOME", nowhere)
        assert cache_folder() == tmp_path / ".cache" / "edgebert"


def test_cache_folder_of_windows(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(kernel_file.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert cache_folder() == tmp_path / "edgebert"


@pytest.mark.parametrize(
    ("release", "needed"), [("0.44.0", True), ("0.45.0", False), ("0.46.1rc1", False), ("1.0", False)]
)
def test_which_llvmlite_is_initialised_by_hand(monkeypatch, release, needed):
    """Later ones refuse it."""
    monkeypatch.setattr("importlib.metadata.version", lambda name: release)
    assert library._needs_initialize() is needed


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_others_cannot_plant_code(compiler, tmp_path):
    """What is cached is run: it must be this user's alone to write, as the umask says."""
    before = os.umask(0o022)
    try:
        load_library(FAMILY)
    finally:
        os.umask(before)
    path = cached(tmp_path / "cache")
    assert not stat.S_IMODE(path.stat().st_mode) & (stat.S_IWGRP | stat.S_IWOTH)


def test_a_compiler_that_fails_says_why(monkeypatch):
    monkeypatch.setattr(
        compiler_module, "_COMPILE", "import sys; print('1 3', file=sys.stderr); sys.exit('out of registers')"
    )
    with pytest.raises(EdgebertError, match=f"the kernels for {FAMILY} could not be compiled: out of registers; "):
        compiler_module.compile_object(FAMILY)


def test_the_compiler_does_not_inherit_settings_of_numba(monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    monkeypatch.setenv("MINE", "2")
    code = "import os, sys; sys.stdout.write(f\"{os.environ.get('NUMBA_DISABLE_JIT')} {os.environ.get('MINE')}\")"
    monkeypatch.setattr(compiler_module, "_COMPILE", code.replace("{", "{{").replace("}", "}}"))
    assert compiler_module.compile_object(FAMILY) == b"None 2"


def test_a_failure_is_told_by_the_last_line_that_says_something(monkeypatch):
    monkeypatch.setattr(compiler_module, "_COMPILE", "import sys; sys.exit('out of registers\\n\\n  \\n')")
    with pytest.raises(EdgebertError, match=r"could not be compiled: out of registers; "):
        compiler_module.compile_object(FAMILY)


def test_a_compiler_that_dies_is_no_crash_of_ours(monkeypatch):
    monkeypatch.setattr(compiler_module, "_COMPILE", "import os; os.abort()")
    with pytest.raises(EdgebertError, match=r"could not be compiled: the compiler exited with -\d+; "):
        compiler_module.compile_object(FAMILY)


def test_a_large_object_and_many_messages_do_not_stop_the_compiler(monkeypatch):
    """Each pipe holds 64 KiB; both are read at once."""
    monkeypatch.setattr(
        compiler_module,
        "_COMPILE",
        "import sys; [print('x' * 99, file=sys.stderr) for _ in range(9999)]; sys.stdout.write('y' * 999999)",
    )
    assert compiler_module.compile_object(FAMILY) == b"y" * 999999
