"""The script for a Raspberry Pi: every line is labelled when it arrives, whoever writes it, for as long as it runs."""

import json
import os
import selectors
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import edgebert

EXAMPLES = Path(edgebert.__file__).parent / "examples"
SCRIPT = EXAMPLES / "label-lines.sh"
SECONDS = 30
"""What the first label may take on a busy machine, and each later one."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a pipe that is opened for both is Linux's")


@pytest.fixture
def labeller(cache_home, tmp_path):
    """Start the script on a pipe; return (process, pipe)."""
    command = tmp_path / "edgebert"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edgebert "$@"\n')
    command.chmod(0o755)
    pipe = tmp_path / "in"
    environment = {**os.environ, "EDGEBERT": str(command)}
    process = subprocess.Popen([SCRIPT, pipe], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    end = time.monotonic() + SECONDS
    while not pipe.exists() and time.monotonic() < end:
        time.sleep(0.01)
    yield process, pipe
    process.kill()
    process.communicate()


def label_of(process):
    """Wait for one line of the answer."""
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        assert ready.select(SECONDS), "no label came"
        return json.loads(os.read(process.stdout.fileno(), 65536).decode().splitlines()[-1])


def test_lines_are_labelled_as_they_arrive(labeller):
    process, pipe = labeller
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    for text, label in [("What a lovely film!", "POSITIVE"), ("The soup was cold and awful.", "NEGATIVE")] * 3:
        subprocess.run(["sh", "-c", 'printf "%s\\n" "$1" > "$2"', "sh", text, pipe], check=True, timeout=SECONDS)
        answer = label_of(process)
        assert (answer["text"], answer["label"]) == (text, label)
    with pipe.open("w") as writer:  # one that stays
        for i in range(3):
            writer.write(f"It works {i} times, wonderful.\n")
            writer.flush()
            assert label_of(process)["text"].startswith(f"It works {i}")
    assert process.poll() is None


def test_bytes_that_are_no_text_do_not_end_it(labeller):
    process, pipe = labeller
    pipe.write_bytes(b"caf\xe9 was lovely\n")
    assert label_of(process)["text"] == "caf\N{REPLACEMENT CHARACTER} was lovely"


def test_a_file_in_the_pipes_place_is_left_alone(tmp_path):
    (tmp_path / "in").write_text("mine")
    done = subprocess.run([SCRIPT, tmp_path / "in"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, f"label-lines.sh: {tmp_path / 'in'} is no named pipe\n")
    assert (tmp_path / "in").read_text() == "mine"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path):
    unit = tmp_path / "edgebert-label.service"
    # What it starts need not be installed here.
    unit.write_text((EXAMPLES / unit.name).read_text().replace("/usr/local/bin/label-lines.sh", str(SCRIPT)))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert unit.name not in done.stderr
