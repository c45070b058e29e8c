"""A file appears whole or not at all."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from edgebert import output
from edgebert.errors import OutputError
from edgebert.output import OutputFile, open_output, print_text

posix = pytest.mark.skipif(os.name != "posix", reason="modes, links and pipes of POSIX")


def write(path: Path, data: bytes = b"new") -> None:
    with open_output(str(path)) as output:
        output.write(data)


def test_nothing_shows_before_the_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"old")
    with open_output(str(out)) as output:
        output.write(b"new")
        assert out.read_bytes() == b"old"
        assert len(list(tmp_path.iterdir())) == 2
        output.write(b"er")
        output.write_at_start(b"N")
        output.write(b"!")
    assert out.read_bytes() == b"Newer!"
    assert list(tmp_path.iterdir()) == [out]


def test_a_stream_that_takes_a_little_at_a_time() -> None:
    class Slow(io.BytesIO):
        def write(self, data: Any, /) -> int:
            return super().write(data[:3])

    stream = Slow()
    output = OutputFile(stream, "it")
    output.write(b"0123456789")
    output.write_at_start(b"abcd")
    assert stream.getvalue() == b"abcd456789"


def test_a_stream_that_would_block() -> None:
    class Blocked(io.BytesIO):
        def write(self, data: Any, /) -> None:  # type: ignore[override]
            return None

    with pytest.raises(OutputError, match="it could not be written: Resource temporarily unavailable"):
        OutputFile(Blocked(), "it").write(b"x")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_nothing(error: type[BaseException], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(error), open_output(str(out)) as output:  # noqa: PT012 (the block is the subject)
        output.write(b"new")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, fault in [
        (tmp_path, "it is a folder"),
        (tmp_path / "none" / "out", f"there is no folder {tmp_path / 'none'}"),
        (tmp_path / "file" / "out", "there is no folder"),
        (tmp_path / ("x" * 300), "File name too long"),
    ]:
        with pytest.raises(OutputError, match=fault):
            write(path)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_long_name_is_no_problem(tmp_path: Path) -> None:
    write(tmp_path / ("x" * 255))
    assert (tmp_path / ("x" * 255)).read_bytes() == b"new"


@posix
def test_the_data_is_on_the_disk_before_it_has_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or else a failure of power could leave an empty file in the place of the old one."""
    done: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, name=name, real=real: (done.append(name), real(*args))[1])
    write(tmp_path / "out")
    assert done == ["fsync", "replace"]


@posix
@pytest.mark.parametrize(("abandon", "code"), [("abandon_stdout()", 0), ("pass", 120)])
def test_a_pipe_that_nobody_reads_any_more(abandon: str, code: int) -> None:
    """Python would fail to write once more at exit, and say so."""
    program = f"import sys; from edgebert.output import abandon_stdout; sys.stdin.readline(); print('lost'); {abandon}"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(b"go on\n")
        process.stdin.close()
        assert process.wait(60) == code
        assert (process.stderr.read() == b"") is (code == 0)


def test_text_comes_behind_what_was_printed_before(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    sys.stdout.write("first, ")
    print_text("second\n")
    assert capfdbinary.readouterr().out == b"first, second\n"


def test_text_that_is_no_unicode_is_written_all_the_same(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    print_text("a \ud800\n")
    assert capfdbinary.readouterr().out == b"a \\ud800\n"


@posix
def test_the_mode_is_the_users(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write(tmp_path / "new")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    (tmp_path / "new").chmod(0o604)
    write(tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o604


@posix
def test_a_write_protected_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everything
    with pytest.raises(OutputError, match="Permission denied"):
        write(out)
    assert out.read_bytes() == b"old"


@posix
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "target"
    (tmp_path / "link").symlink_to(target)
    for content in (b"first", b"second"):  # dangling, then not
        write(tmp_path / "link", content)
        assert (tmp_path / "link").is_symlink()
        assert target.read_bytes() == content


@posix
def test_a_named_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write(pipe)
    assert pipe.is_fifo()  # else the reader waits for ever
    reader.join()
    assert got == [b"new"]


KILLED = """
import os, signal, sys
from edgebert.output import open_output
with open_output(sys.argv[1]) as output:
    output.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@posix
def test_what_a_killed_process_leaves_the_next_run_removes(tmp_path: Path) -> None:
    out = tmp_path / "out"
    subprocess.run([sys.executable, "-c", KILLED, str(out)], check=False, timeout=60)
    assert len(list(tmp_path.glob(".edgebert-*.part"))) == 1
    write(out)
    assert list(tmp_path.iterdir()) == [out]


@posix
def test_what_a_living_writer_has_begun_stays(tmp_path: Path) -> None:
    """Also when others write to the same folder from the beginning of its writing to the end."""
    with open_output(str(tmp_path / "first")) as output:
        for i in range(3):
            output.write(b"x")
            write(tmp_path / "second", bytes(i))
    assert (tmp_path / "first").read_bytes() == b"xxx"


@posix
def test_many_writers_in_one_folder(tmp_path: Path) -> None:
    """One is always between the making of its part and its locking, or between its closing and its renaming."""
    faults: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(100):
                write(tmp_path / f"{number}", b"%d" % i)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"99"}
    assert len(list(tmp_path.iterdir())) == 4


@posix
def test_a_part_that_is_taken_for_abandoned_before_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = []
    lock = output._lock

    def lock_late(stream: Any, *, wait: bool) -> None:
        if wait and not removed:
            removed.append(stream.name)
            os.unlink(stream.name)
        lock(stream, wait=wait)

    monkeypatch.setattr(output, "_lock", lock_late)
    write(tmp_path / "out")
    assert len(removed) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


@posix
def test_what_only_has_such_a_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"kept")
    (tmp_path / ".edgebert-link.part").symlink_to(tmp_path / "elsewhere")
    (tmp_path / ".edgebert-folder.part").mkdir()
    write(tmp_path / "out")
    assert (tmp_path / ".edgebert-link.part").is_symlink()
    assert (tmp_path / ".edgebert-folder.part").is_dir()


@posix
def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(stream: Any, *, wait: bool) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(output, "_lock", no_locks)
    (tmp_path / ".edgebert-0.part").touch()
    write(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"new"
    assert (tmp_path / ".edgebert-0.part").exists()  # nobody can tell whether it is in use


def test_on_windows_a_part_that_is_old_is_abandoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole one is closed before it gets its name, so that nothing shows that somebody is at work."""
    monkeypatch.setattr(output, "_WINDOWS", True)
    new, old = tmp_path / ".edgebert-1.part", tmp_path / ".edgebert-2.part"
    for part in (new, old):
        part.write_bytes(b"part")
    os.utime(old, (1, 1))
    with open_output(str(tmp_path / "whole")) as file:
        file.write(b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".edgebert-1.part", "whole"]
