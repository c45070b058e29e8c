"""What pytest leaves out, and that it says so: alone and in several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.selection import few

ROOT = Path(__file__).parents[1]
PROJECT = """
import pytest
from tests.selection import few

@pytest.mark.parametrize("number", few(range(5), 3))
def test_numbers(number):
    assert number == 3

@pytest.mark.slow
@pytest.mark.needs_packages
def test_two_markers():
    raise AssertionError

@pytest.fixture
def material():
    return None

def test_material(material):
    raise AssertionError
"""
LINE = (
    "left out: 4 slow tests, 1 that need downloaded models (tools/fetch_material.py, tools/prepare_models.py), 1 that"
    " need more packages (pip install -e '.[dev]'); all of them: pytest -n auto -m ''"
)


@pytest.fixture
def run(tmp_path):
    """Return a function that runs pytest on a few tests with this project's settings, and returns what it says."""
    (tmp_path / "test_few.py").write_text(PROJECT)

    def pytest_says(*arguments):
        command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), f"--rootdir={tmp_path}"]
        command += ["-p", "no:cacheprovider", "-p", "tests.selection", *arguments, "test_few.py"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "CI": ""}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    return pytest_says


@pytest.mark.parametrize("processes", [[], pytest.param(["-n", "2"], marks=pytest.mark.slow)])
def test_what_is_left_out_is_said(run, processes):
    said = run("-v", *processes)
    assert LINE in said.splitlines()
    assert "1 passed" in said or "PASSED" in said
    assert "FAILED" not in said


def test_all_of_them(run):
    said = run("-m", "", "-rA")
    assert "left out" not in said
    assert said.count("FAILED") >= 5


def test_few():
    values = few(["a", "b"], "b")
    assert values[1] == "b"
    assert [mark.name for mark in values[0].marks] == ["slow"]
