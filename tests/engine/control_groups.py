"""Control groups as a process may find itself in, and the processors that they grant."""

__all__ = ["CONTROL_GROUPS", "write_groups"]


def write_groups(folder, membership, files):
    """Write what stands in /proc/self/cgroup, and files as under /sys/fs/cgroup; return the paths of both."""
    root = folder / "cgroup"
    root.mkdir()
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "membership").write_text(membership)
    return folder / "membership", root


def cfs(folder, quota, period="100000"):
    """Return the files of a version 1 group."""
    return {f"{folder}/cpu.cfs_quota_us": f"{quota}\n", f"{folder}/cpu.cfs_period_us": f"{period}\n"}


def v2(text):
    """Return the files of a version 2 group."""
    return {"a/b/cpu.max": text}


CONTROL_GROUPS = [
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
    ("5:cpuset:/box\n4:cpu:/box\n", cfs("cpu/box", 300000), [3]),
    ("5:cpuset:/box\n3:memory:/box\n", cfs("cpu/box", 300000), []),
    ("4:cpu:/box\n0::/a/b\n", cfs("cpu/box", 300000) | v2("200000 100000\n"), [2, 3]),
]
"""(/proc/self/cgroup, name -> text of a file, the quotas in processors)."""
