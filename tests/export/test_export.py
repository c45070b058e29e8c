"""``edgebert export``: the folder as its user finds it, the example built and run, also on processors not at hand."""

import os
import re
import shutil
import subprocess

import numpy as np
import pytest

import edgebert
from edgebert.artifact import read_artifact, write_artifact
from edgebert.engine import linker
from edgebert.engine.kernel_file import this_platform
from edgebert.errors import ArtifactError, EdgebertError, OutputError, SettingError
from edgebert.export import _EXAMPLE, _RUNTIME, _link, export, needed_glibc
from edgebert.export.image import write_image
from edgebert.export.records import HEADER, POOLINGS
from edgebert.loading import DEFAULT_MODEL
from edgebert.model_file import ModelFile
from edgebert.tokens import TextTokenizer
from tests.cli.command import run
from tests.emulator import EMULATED, EMULATOR, emulator_or_skip
from tests.export.compiled import compile_library
from tests.export.conftest import FAMILY

NATIVE_COMPILER = linker.find_compiler(this_platform())
needs_compiler = pytest.mark.skipif(NATIVE_COMPILER is None, reason="there is no C compiler")
TEXTS = ["What a lovely little film.", "Stopped charging after nine days. Avoid.", "42 \N{PILE OF POO}", "x " * 300]
LARGEST_FOLDER = 25_000_000
TARGETS = {"raspberrypi4": "cortex-a72", "raspberrypi5": "cortex-a76"}
ROOT = "/usr/aarch64-linux-gnu"


def build(folder, compiler, *flags):
    """Build the example as its comment says; return the program."""
    command = [*compiler, "example.c", "-o", "example", "-I.", "-L.", "-ledgebert", "-Wl,-rpath,$ORIGIN", "-pthread"]
    subprocess.run([*command, "-Wall", "-Wextra", "-Werror", *flags], cwd=folder, check=True)
    return folder / "example"


def answers(command, ids, **environment):
    """Run the example on lines of token ids; return its lines."""
    text = "".join(" ".join(map(str, each)) + "\n" for each in ids)
    done = subprocess.run(
        list(map(str, command)), input=text, capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def ids_of(model, texts):
    """Tokenize texts as the tokenizer in the folder does; return the ids of each."""
    file = ModelFile(model)
    tokenizer = TextTokenizer(file.info.tokenizer, file.info.max_length)
    return [tokenizer.single(text).ids.tolist() for text in texts]


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_the_example_labels_texts(tmp_path, static):
    model = DEFAULT_MODEL
    options = ["--static"] if static else []
    done = run("export", model, "--target", FAMILY, "-o", tmp_path / "out", *options)
    assert done.returncode == 0, done.stderr
    libraries = ["libedgebert.a"] if static else ["libedgebert.so.1", "libedgebert.so"]
    names = {*libraries, "edgebert.h", "tokenizer.json", "example.c", "model.image"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    lines = done.stdout.decode().splitlines()
    if not static:
        needs = re.fullmatch(r".+/libedgebert\.so\.1 needs glibc (\d+\.\d+) or later", lines.pop())
        assert needs[1] == needed_glibc(tmp_path / "out" / "libedgebert.so.1")
        lines.remove(f"{tmp_path / 'out' / 'libedgebert.so'}: a link to libedgebert.so.1")
    for line in lines:
        path, size = re.fullmatch(r"(.+): ([\d,]+) bytes", line).groups()
        assert os.path.getsize(path) == int(size.replace(",", ""))
    program = build(tmp_path / "out", NATIVE_COMPILER)
    (tmp_path / "out" / "libedgebert.so").unlink(missing_ok=True)  # a linker wants it, a program does not
    ids = ids_of(model, TEXTS)
    got = [line.split("\t") for line in answers([program, tmp_path / "out" / "model.image", 2], ids)]
    expected = edgebert.load().classify(TEXTS, truncate=True, on_coverage=lambda *_: None)
    assert [label for label, _ in got] == [each["label"] for each in expected]
    assert [np.float32(score) for _, score in got] == [np.float32(each["score"]) for each in expected]
    assert TextTokenizer((tmp_path / "out" / "tokenizer.json").read_text(), 512).single(TEXTS[0]).ids.tolist() == ids[0]


@needs_compiler
def test_the_example_says_what_is_wrong(exported, tmp_path):
    export(exported("classifier")[0], FAMILY, tmp_path)
    program = build(tmp_path, NATIVE_COMPILER)

    def complain(*arguments, text=b""):
        done = subprocess.run([program, *arguments], input=text, capture_output=True, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, b"")
        return done.stderr.decode()

    assert complain() == "example: usage: example model.image [threads] < token ids\n"
    assert complain("nothing") == "example: nothing cannot be read: No such file or directory\n"
    assert complain("model.image", text=b"1 99999\n") == "example: token 1 of text 0 is 99999, expected 0 to 198\n"
    assert complain("model.image", text=b"\n") == "example: text 0 has 0 tokens, the model takes 1 to 50\n"
    assert complain("model.image", text=b"1 " * 40_000 + b"\n") == "example: a line is too long\n"
    assert complain("model.image", "2000") == "example: 2000 threads, expected 1 to 1024, or 0 for all processors\n"


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(("sanitizer", "threads"), [("address,undefined", 3), ("thread", 2)])
def test_sanitizers_find_nothing(exported, tmp_path, sanitizer, threads):
    """Every line of C under gcc's checks for addresses and undefined behaviour, and for races between threads."""
    model, image = exported("classifier")
    flags = (f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all")
    program = compile_library(tmp_path, _EXAMPLE, *flags)
    ids = ids_of(model, ["a b", "c d e f", "g"] * 20)
    assert len(answers([program, image, threads], ids)) == 60


@pytest.fixture(scope="module", params=TARGETS)
def pi_folder(request, minilm, tmp_path_factory):
    """Export MiniLM for a Raspberry Pi; return (target, folder)."""
    emulator_or_skip()
    folder = tmp_path_factory.mktemp(request.param)
    export(minilm, request.param, folder)
    return request.param, folder


def test_a_folder_for_a_raspberry_pi_is_small(pi_folder):
    _, folder = pi_folder
    assert sum(path.stat().st_size for path in folder.iterdir() if path.name != "example") <= LARGEST_FOLDER


def test_it_needs_the_c_library_and_nothing_else(pi_folder):
    _, folder = pi_folder
    said = subprocess.run(
        ["aarch64-linux-gnu-readelf", "-d", folder / "libedgebert.so"], capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r"Shared library: \[(.+)\]", said) == ["libc.so.6"]
    symbols = subprocess.run(
        ["aarch64-linux-gnu-nm", "-D", folder / "libedgebert.so"], capture_output=True, text=True, check=True
    ).stdout
    strange = re.findall(r"^ +U (?!\w+@GLIBC_[\d.]+$).*$", symbols, re.M)
    assert not strange
    defined = set(re.findall(r" T (\w+)", symbols))
    assert defined == set(re.findall(r"\b(edgebert_\w+)\(", (folder / "edgebert.h").read_text())) - {
        "edgebert_classify("
    }


def test_minilm_on_an_emulated_raspberry_pi_gives_x86s_bits(pi_folder, minilm):
    target, folder = pi_folder
    program = build(folder, ["aarch64-linux-gnu-gcc"])
    ids = ids_of(minilm, TEXTS)
    expected = edgebert.load(minilm).embed(TEXTS, on_coverage=lambda *_: None)
    for threads in (1, 3):
        command = [EMULATOR, "-cpu", TARGETS[target], "-L", ROOT, program, folder / "model.image", threads]
        got = np.array([line.split(" ") for line in answers(command, ids)], np.float32)
        np.testing.assert_array_equal(got, expected)


def test_a_processor_that_lacks_an_instruction_is_told_so(pi_folder):
    """Rather than stopped by one that it does not know."""
    target, folder = pi_folder
    if target != "raspberrypi5":
        pytest.skip("every processor of 64 bits has what this target needs")
    program = build(folder, ["aarch64-linux-gnu-gcc"])
    command = [EMULATOR, "-cpu", TARGETS["raspberrypi4"], "-L", ROOT, program, folder / "model.image"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert done.stderr == (
        "example: this processor lacks lse, which the kernels for neon_dotprod need; export for another target\n"
    )
    assert set(EMULATED) >= {"neon", "neon_dotprod"}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("sapphirerapids", "kernels for amx on linux-x86_64 are not exported; take avx512_vnni"),
        ("pentium", "there is no target 'pentium'"),
    ],
)
def test_targets_that_are_refused(exported, tmp_path, target, message):
    with pytest.raises(SettingError, match=message):
        export(exported("classifier")[0], target, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported_leaves_nothing(exported, tmp_path, monkeypatch):
    with pytest.raises(ArtifactError, match="there is no file"):
        export(tmp_path / "nothing.edgebert", FAMILY, tmp_path / "out")
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OutputError, match="cannot make the folder"):
        export(exported("classifier")[0], FAMILY, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"
    monkeypatch.setattr(linker.shutil, "which", lambda name: None)
    monkeypatch.setattr(linker.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EdgebertError, match="there is no C compiler for"):
        export(exported("classifier")[0], FAMILY, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@needs_compiler
def test_the_glibc_that_a_library_needs(native_library, tmp_path):
    """As the dynamic linker reads it: of its versions of symbols the highest."""
    said = subprocess.run(["readelf", "-V", native_library], capture_output=True, text=True, check=True).stdout
    versions = {tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_(\d+\.\d+)", said)}
    assert needed_glibc(native_library) == ".".join(map(str, max(versions)))
    (tmp_path / "library").write_bytes(b"\0GLIBC_2.9\0GLIBC_2.17\0GLIBC_2.2.5\0")
    assert needed_glibc(tmp_path / "library") == "2.17"
    (tmp_path / "library").write_bytes(b"static")
    assert needed_glibc(tmp_path / "library") is None


def test_a_folder_without_links_gets_a_copy(tmp_path, monkeypatch):
    """As on a memory card with FAT."""

    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    (tmp_path / "libedgebert.so.1").write_bytes(b"library")
    link = _link(tmp_path / "libedgebert.so.1")
    assert not link.is_symlink()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "libedgebert.so.1": b"library",
        "libedgebert.so": b"library",
    }


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_the_header_is_for_cxx_too(tmp_path):
    (tmp_path / "use.cpp").write_text('#include "edgebert.h"\nint main() { return edgebert_message() == nullptr; }\n')
    command = ["g++", "-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", f"-I{_RUNTIME}"]
    subprocess.run([*command, "use.cpp"], cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "mean"),
        ({"pooling": "cls"}, "cls"),
        ({"pooling": "lasttoken"}, "lasttoken"),
        ({"pooling": "cls+cls"}, ""),
        ({"truncate_dim": 8}, ""),
    ],
)
def test_vectors_that_the_library_does_not_make_are_none_of_its_image(golden_files, tmp_path, changes, kind):
    artifact = read_artifact(golden_files["encoder"])
    write_artifact(tmp_path / "m.edgebert", artifact.tensors, artifact.metadata | changes)
    write_image(ModelFile(tmp_path / "m.edgebert"), tmp_path / "model.image")
    header = np.fromfile(tmp_path / "model.image", HEADER, 1)[0]
    assert header["pooling"] == POOLINGS[kind]
