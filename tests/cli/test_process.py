"""What only a process can show: pipes that close, disks that fill up, signals."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals, /dev and limits of POSIX")

ENDLESS = b"an endless line of words\n" * 200_000  # minutes of work


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("endless") / "in.txt"
    path.write_bytes(ENDLESS)
    return path


def limited(size: int) -> list[str]:
    """Return the command for a process whose files cannot grow beyond a size: a disk that fills up."""
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size})); "
    return [*COMMAND[:2], code + COMMAND[2]]


@pytest.mark.parametrize("command", ["classify", "embed"])
def test_a_pipe_that_closes_is_no_error(command: str, classifier: Path, endless: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, command, endless, "-m", classifier], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b"an endless line of words" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_a_pipe_that_closes_for_both(classifier: Path, endless: Path) -> None:
    script = '"$@" 2>&1 | head -n 1; echo "${PIPESTATUS[0]}"'
    result = subprocess.run(
        ["bash", "-c", script, "bash", *COMMAND, "classify", endless, "-m", classifier], capture_output=True
    )
    assert result.stderr == b""
    row, status = result.stdout.splitlines()
    assert row.endswith(b"\tan endless line of words")
    assert status == b"0"


@pytest.mark.parametrize("arguments", [["--version"], ["info"]])
def test_a_pipe_that_was_closed_before(arguments: list[str], classifier: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    if arguments == ["info"]:
        arguments = ["info", str(classifier)]
    result = subprocess.run([*COMMAND, *arguments], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (result.returncode, result.stderr) == (0, b"")


def test_answers_come_while_the_pipe_is_open(classifier: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "classify", "-m", classifier, "--format", "jsonl"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in ("first", "second"):
            process.stdin.write(f"{text}\n".encode())
            process.stdin.flush()
            assert select.select([process.stdout], [], [], 30)[0], "no answer while the pipe is open"
            assert json.loads(process.stdout.readline())["text"] == text
        process.stdin.close()
        assert process.wait() == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has this device")
@pytest.mark.parametrize(
    "arguments",
    [["classify"], ["classify", "--format", "csv"], ["embed"], ["info"], ["--version"], ["--help"]],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_on_a_full_disk(
    arguments: list[str], unbuffered: str, classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    if arguments[0] in ("classify", "embed"):
        arguments = [*arguments, "--text", "x", "-m", str(classifier)]
    elif arguments[0] == "info":
        arguments = ["info", str(classifier)]
    with open("/dev/full", "wb") as full:
        result = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE)
    expected = b"edgebert: error: standard output could not be written: No space left on device\n"
    assert (result.returncode, result.stderr) == (1, expected)


def test_a_device_is_written_to(classifier: Path) -> None:
    # No device of /dev itself: if this ever fails, root's tests would replace it.
    result = run("classify", "--text", "x", "-m", classifier, "-o", "/dev/stdout")
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.endswith(b"\tx\n")


@pytest.mark.parametrize("name", ["out.tsv", "out.npy"])
def test_a_disk_that_fills_up_midway(name: str, classifier: Path, endless: Path, tmp_path: Path) -> None:
    out = tmp_path / name
    out.write_bytes(b"before")
    command = "embed" if name.endswith("npy") else "classify"
    result = subprocess.run([*limited(100_000), command, endless, "-m", classifier, "-o", out], capture_output=True)
    assert result.returncode == 1
    assert result.stderr == f"edgebert: error: {out} could not be written: File too large\n".encode()
    assert out.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_on_a_disk_that_fills_up_midway(
    unbuffered: str, classifier: Path, endless: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with open(tmp_path / "out", "wb") as out:
        command = [*limited(100_000), "classify", endless, "-m", classifier]
        result = subprocess.run(command, stdout=out, stderr=subprocess.PIPE)
    expected = b"edgebert: error: standard output could not be written: File too large\n"
    assert (result.returncode, result.stderr) == (1, expected)
    assert (tmp_path / "out").stat().st_size == 100_000


def test_closed_standard_streams(classifier: Path) -> None:
    for redirection, code, complaint in [
        ("<&-", 2, "Nothing to read"),
        (">&-", 1, "standard output is closed"),
    ]:
        script = f'"$@" {redirection}'
        arguments = [] if code == 2 else ["--text", "x"]
        result = subprocess.run(
            ["bash", "-c", script, "bash", *COMMAND, "classify", "-m", classifier, *arguments],
            capture_output=True,
            text=True,
        )
        assert result.returncode == code
        assert complaint in result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("name", ["out.tsv", "out.npy"])
def test_a_signal_ends_it_at_once_and_cleanly(
    number: signal.Signals, name: str, classifier: Path, endless: Path, tmp_path: Path
) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("the signal is ignored here, as SIGHUP is under nohup, and children inherit that")
    out = tmp_path / name
    out.write_bytes(b"before")
    command = "embed" if name.endswith("npy") else "classify"
    with subprocess.Popen([*COMMAND, command, endless, "-m", classifier, "-o", out], stderr=subprocess.PIPE) as process:
        while not any(path.stat().st_size > 1000 for path in tmp_path.iterdir()):
            assert process.poll() is None
            time.sleep(0.01)
        started = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=10) == 128 + number
        assert time.monotonic() - started < 2
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert out.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [out]
