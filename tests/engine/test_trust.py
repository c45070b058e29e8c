"""Code that others may have written is not run: not from the cache, nor what was changed behind the look at it."""

import os
import shutil
import stat

import pytest

from edgebert.engine import compiler, kernel_file, library
from edgebert.engine.kernel_file import KernelFile, find_kernels
from edgebert.engine.library import KernelLibrary, load_library
from edgebert.engine.processor import available_families, choose_family, features
from edgebert.engine.trust import distrust, read_trusted
from edgebert.errors import EdgebertError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="owners and modes of POSIX")
BEST = available_families()[0]


@pytest.fixture
def cached(own, tmp_path, monkeypatch):
    """Return the only kernels in a cache of this test, which are passed over or found."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernel_file, "_BUNDLED", tmp_path / "compiled")
    monkeypatch.setattr(library, "_loaded", {})
    monkeypatch.setattr(compiler, "compile_kernels", lambda family: own._replace(path=None))
    folder = tmp_path / "edgebert" / "kernels"
    folder.mkdir(parents=True)
    return shutil.copy(own.path, folder / own.path.name)


def permissions(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_what_the_user_alone_writes_is_found(cached):
    for mode in (0o600, 0o644, 0o755):
        cached.chmod(mode)
        assert find_kernels(BEST, features()).path == cached


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_others_may_write_is_not_loaded(cached, what, mode):
    path = cached if what == "file" else cached.parent
    path.chmod(mode | 0o111)
    assert find_kernels(BEST, features()) is None
    # It is compiled again, and the next process finds it.
    load_library(BEST)
    assert find_kernels(BEST, features()).path == cached
    assert (permissions(cached) | permissions(cached.parent)) & 0o022 == 0


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_another_user_owns_is_not_loaded(cached, what, capfd):
    os.chown(cached if what == "file" else cached.parent, 65534, 65534)
    assert find_kernels(BEST, features()) is None
    load_library(BEST)
    if what == "file":
        assert find_kernels(BEST, features()).path == cached
    else:  # nothing of ours is put there
        assert "could not be kept: " in (said := capfd.readouterr().err)
        assert "belongs to another user; remove it, or set XDG_CACHE_HOME to a folder of your own" in said


def test_a_folder_like_tmp_is_fine(tmp_path):
    """Where everybody may write, and nobody may replace what is another's."""
    tmp_path.chmod(0o1777)
    assert distrust(tmp_path, tmp_path.stat()) == ""
    tmp_path.chmod(0o777)
    assert distrust(tmp_path, tmp_path.stat()) == f"others may write {tmp_path}; chmod go-w it"


@pytest.mark.parametrize(("mode", "fine"), [(0o644, True), (0o664, True), (0o646, False)])
def test_of_what_the_user_names_the_owner_and_the_group_are_trusted(own, tmp_path, monkeypatch, mode, fine):
    path = own.write(tmp_path / "kernels.so").path
    path.chmod(mode)
    monkeypatch.setenv("EDGEBERT_KERNELS", str(path))
    if fine:
        assert choose_family() == BEST
    else:
        with pytest.raises(EdgebertError, match=r"somebody else may have put there: others may write .*; chmod o-w it"):
            choose_family()


def test_the_file_that_was_checked_is_the_one_that_is_loaded(own, tmp_path, monkeypatch):
    path = own.write(tmp_path / "kernels.so").path
    kernels = KernelFile.read(path)
    opened = []
    real = library.ctypes.CDLL

    def replace_and_open(name):
        os.replace(path, tmp_path / "the real one")
        path.write_bytes(b"of somebody else")
        opened.append(os.stat(name).st_ino)
        return real(name)

    monkeypatch.setattr(library.ctypes, "CDLL", replace_and_open)
    KernelLibrary(kernels)
    assert opened == [(tmp_path / "the real one").stat().st_ino]


def test_a_file_that_became_another_is_not_loaded(own, tmp_path):
    kernels = own.write(tmp_path / "kernels.so")
    data = bytearray(kernels.path.read_bytes())
    data[1000] ^= 1
    kernels.path.write_bytes(data)
    with pytest.raises(EdgebertError, match="were written over while they were loaded; start again"):
        KernelLibrary(kernels)


def test_a_file_is_judged_when_it_is_open(tmp_path):
    path = tmp_path / "code"
    path.write_bytes(b"code")
    path.chmod(0o622)
    with pytest.raises(EdgebertError, match=f"{path} is code that somebody else may have put there: others may write"):
        read_trusted(path, named=False)
