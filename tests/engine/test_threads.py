"""How many threads: what is asked for, what the environment says, what this process may use."""

import os

import numpy as np
import pytest

from edgebert.engine import threads
from edgebert.engine.threads import default_threads, explain_threads
from edgebert.errors import SettingError
from tests.engine.control_groups import CONTROL_GROUPS, write_groups

AFFINITY = """
import os
from edgebert.engine.threads import default_threads
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(default_threads(environment={}))
"""


@pytest.fixture
def processors(monkeypatch):
    """Return a function that sets how many processors the affinity mask has, and the control groups' quotas."""

    def give(count, *quotas):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(count)), raising=False)
        monkeypatch.setattr(threads, "_quotas", lambda membership, root: list(quotas))

    return give


def test_the_argument_comes_first(processors):
    processors(4)
    assert default_threads(3, {"EDGEBERT_NUM_THREADS": "2"}) == 3
    assert default_threads(1024, {}) == 1024


def test_the_environment_comes_second(processors):
    processors(4)
    assert default_threads(environment={"EDGEBERT_NUM_THREADS": "2"}) == 2
    assert default_threads(environment={"EDGEBERT_NUM_THREADS": " 7 "}) == 7
    assert default_threads(environment={"EDGEBERT_NUM_THREADS": ""}) == 4


@pytest.mark.parametrize(
    ("count", "quotas", "expected"),
    [(4, (), 4), (4, (2,), 2), (4, (8, 3), 3), (2, (16,), 2), (5000, (), 1024), (0, (), 1)],
)
def test_the_least_of_affinity_and_quotas(processors, count, quotas, expected):
    processors(count, *quotas)
    assert default_threads(environment={}) == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity masks")
def test_the_affinity_mask_counts(run_python):
    assert run_python(AFFINITY).stdout.strip() == "1"


@pytest.mark.parametrize("bad", ["0", "-1", "two", "1.5", "1025", "2 3", "0x2", "9" * 30])
def test_a_setting_that_is_no_number_of_threads(bad):
    with pytest.raises(SettingError, match=r"EDGEBERT_NUM_THREADS is .*, expected a whole number from 1 to 1024"):
        default_threads(environment={"EDGEBERT_NUM_THREADS": bad})


@pytest.mark.parametrize("bad", [0, -1, 1.0, True, False, "two", 1025, b"2", np.float32(2), [2]])
def test_an_argument_that_is_no_number_of_threads(bad):
    with pytest.raises(SettingError, match=r"threads is .*, expected a whole number from 1 to 1024"):
        default_threads(bad)


@pytest.mark.parametrize(("membership", "files", "expected"), CONTROL_GROUPS)
def test_control_groups(tmp_path, membership, files, expected):
    assert sorted(threads._quotas(*write_groups(tmp_path, membership, files))) == expected


def test_where_nothing_is_known_of_the_processors(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    monkeypatch.setattr(threads, "_quotas", lambda membership, root: [])
    assert explain_threads(environment={}) == (1, "all processors")


def test_without_control_groups(tmp_path):
    assert threads._quotas(tmp_path / "missing", tmp_path / "missing") == []


@pytest.mark.parametrize(
    ("count", "quotas", "why"),
    [
        (4, [], "all processors"),
        (2, [], "the processors that this process may use, of 4"),
        (4, [2], "the quota of a control group, on 4 processors"),
    ],
)
def test_why_that_many(processors, monkeypatch, count, quotas, why):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    processors(count, *quotas)
    assert explain_threads(environment={}) == (min([count, *quotas]), why)
    assert explain_threads(3, {}) == (3, "as asked for")
    assert explain_threads(environment={"EDGEBERT_NUM_THREADS": "5"}) == (5, "as EDGEBERT_NUM_THREADS says")
