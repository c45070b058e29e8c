"""How many threads: what is asked for, what the environment says, what this process may use."""

import os

import numpy as np
import pytest

from edgebert.engine import threads
from edgebert.engine.threads import default_threads, explain_threads
from edgebert.errors import SettingError

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


def quotas(tmp_path, membership, files):
    """Ask for the quotas of a process with this /proc/self/cgroup and these files under /sys/fs/cgroup."""
    root = tmp_path / "cgroup"
    root.mkdir()
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "membership").write_text(membership)
    return sorted(threads._quotas(tmp_path / "membership", root))


def cfs(folder, quota, period="100000"):
    """Return the files of a version 1 group."""
    return {f"{folder}/cpu.cfs_quota_us": f"{quota}\n", f"{folder}/cpu.cfs_period_us": f"{period}\n"}


def v2(text):
    """Return the files of a version 2 group."""
    return {"a/b/cpu.max": text}


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/a/b\n", v2("200000 100000\n"), [2]),
        ("0::/a/b\n", v2("150000 100000\n"), [2]),  # one and a half, rounded up
        ("0::/a/b\n", v2("1000 100000\n"), [1]),
        ("0::/a/b\n", v2("max 100000\n"), []),
        ("0::/a/b\n", v2("max 100000\n") | {"a/cpu.max": "300000 100000\n"}, [3]),  # of a group above
        ("0::/a/b\n", v2("400000 100000\n") | {"a/cpu.max": "300000 100000\n"}, [3, 4]),
        ("0::/\n", {"cpu.max": "500000 100000\n"}, [5]),
        ("0::/not/mounted/here\n", {"cpu.max": "500000 100000\n"}, [5]),  # as a container sees its own group
        ("0::/../outside\n", {"cpu.max": "500000 100000\n"}, [5]),
        ("0::/a:b\n", {"a:b/cpu.max": "500000 100000\n"}, [5]),
        ("0::/a/b\n", v2("many\n"), []),
        ("0::/a/b\n", v2("100000 0\n"), []),
        ("0::/a/b\n", v2(""), []),
        ("0::/a/b\n", {}, []),
        ("", v2("200000 100000\n"), []),
        ("4:cpu,cpuacct:/box\n1:name=systemd:/box\n", cfs("cpu/box", 300000), [3]),
        ("4:cpuacct,cpu:/box\n", cfs("cpu/box", 50000), [1]),
        ("4:cpu:/box\n", cfs("cpu/box", -1), []),
        ("4:cpu:/box\n", cfs("cpu", 200000), [2]),
        ("4:cpu:/box\n", cfs("cpu/box", 100000, 0), []),
        ("5:cpuset:/box\n3:memory:/box\n", cfs("cpu/box", 300000), []),
        ("4:cpu:/box\n0::/a/b\n", cfs("cpu/box", 300000) | v2("200000 100000\n"), [2, 3]),
    ],
)
def test_control_groups(tmp_path, membership, files, expected):
    assert quotas(tmp_path, membership, files) == expected


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
