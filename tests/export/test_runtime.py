"""What happens around a model that is open: signals, forks, files that change, systems that give less than is asked."""

import os
import shutil
import subprocess

import numpy as np
import pytest

from edgebert.engine.kernel_file import this_platform
from edgebert.engine.linker import find_compiler
from tests.engine.control_groups import CONTROL_GROUPS, write_groups
from tests.export.c_model import CModel, Refused, Status
from tests.export.compiled import compile_c

pytestmark = pytest.mark.skipif(find_compiler(this_platform()) is None, reason="there is no C compiler")

BEGIN = """
import os, signal, sys, threading, time
import numpy as np
from tests.export.c_model import CModel, Refused, Status
library, image = sys.argv[1:3]
ids = [[1, 2, 3], [4, 5]]

def threads():
    return set(os.listdir("/proc/self/task"))
"""

BLOCKED = """
before, mask = threads(), signal.pthread_sigmask(signal.SIG_BLOCK, [])
model = CModel(library, image, 4)
assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask == set()
names = ("SEGV", "BUS", "ILL", "FPE", "TRAP", "ABRT", "SYS")
own_faults = {getattr(signal, f"SIG{name}") for name in names}
new = threads() - before
assert len(new) == 3

def blocked(thread):
    status = open(f"/proc/self/task/{thread}/status").read()
    bits = int(status.split("SigBlk:")[1].split()[0], 16)
    return {number for number in signal.valid_signals() if bits >> (number - 1) & 1}

expected = signal.valid_signals() - own_faults - {signal.SIGKILL, signal.SIGSTOP}
for thread in new:
    deadline = time.monotonic() + 20  # until it has started, a thread takes no signal at all
    while blocked(thread) != expected and time.monotonic() < deadline:
        time.sleep(0.01)
    assert blocked(thread) == expected
"""


def test_signals_are_for_the_program(run_python, native_library, exported):
    run_python(BEGIN + BLOCKED, native_library, exported("classifier")[1])


FORKED = """
model = CModel(library, image, 3)
expected = model.encode(ids)
stop = threading.Event()

def work():
    while not stop.is_set():
        model.encode(ids)

if sys.argv[3] == "busy":
    thread = threading.Thread(target=work)
    thread.start()
for _ in range(20):
    child = os.fork()
    if not child:
        signal.alarm(20)
        try:
            model.encode(ids)
        except Refused as refusal:
            assert refusal.status == Status.PROCESS
            assert str(refusal) == "the model was opened before a fork; the child has to open it again"
            model.close()
            own = CModel(library, image, 3)
            assert np.array_equal(own.encode(ids), expected)
            own.close()
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
stop.set()
assert np.array_equal(model.encode(ids), expected)
model.close()
"""


@pytest.mark.parametrize("parent", ["idle", "busy"])
def test_a_forked_child(run_python, native_library, exported, parent):
    """It is refused its parent's model, may close it, and may open its own; also when the fork came during a pass."""
    code = "import warnings; warnings.simplefilter('ignore')\n" + BEGIN + FORKED
    run_python(code, native_library, exported("classifier")[1], parent, timeout=60)


FEW = """
import resource, re
model = CModel(library, image, 1)
expected = model.encode(ids)
model.close()
before = threads()
used = int(re.search(r"VmSize:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + 100_000_000, resource.RLIM_INFINITY))
for _ in range(20):
    model = CModel(library, image, 64)
    assert 1 < model.threads < 64, model.threads
    assert len(threads()) == len(before) + model.threads - 1
    assert np.array_equal(model.encode(ids), expected)
    model.close()
    assert threads() == before
"""


def test_the_work_is_done_by_as_many_threads_as_there_may_be(run_python, native_library, exported):
    """The memory for stacks is limited, as the processes of a container may be."""
    run_python(BEGIN + FEW, native_library, exported("classifier")[1], timeout=60)


GIVEN_BACK = """
import re

def used():
    return int(re.search(r"VmSize:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

for i in range(30):
    model = CModel(library, image, 2)
    model.encode(ids)
    model.close()
    if i == 3:  # until then Python takes what it needs, and glibc keeps a stack
        before = used()
    assert i < 3 or used() < before + 2.5e6, (i, before, used())  # Python may take a megabyte more
"""


def test_memory_is_given_back(run_python, native_library, exported):
    """All of a workspace, none of which stays in a heap that grows with every model that is opened."""
    run_python(BEGIN + GIVEN_BACK, native_library, exported("classifier")[1])


CHANGED = """
model = CModel(library, image, 2)
expected = model.encode(ids)
if sys.argv[3] == "renamed":
    with open(image + ".new", "wb") as file:
        file.write(b"another")
    os.replace(image + ".new", image)
    assert np.array_equal(model.encode(ids), expected)
else:
    with open(image, "r+b") as file:
        if sys.argv[3] == "cut off":
            file.truncate(100)
        else:
            file.write(b"another")
    os.utime(image, (1, 1))
    try:
        model.encode(ids)
    except Refused as refusal:
        assert refusal.status == Status.FILE
        assert str(refusal).startswith("the model file was written to while it was open; open it again")
    else:
        raise SystemExit("not refused")
model.close()
"""


@pytest.mark.parametrize("how", ["renamed", "cut off", "overwritten"])
def test_a_file_that_changes(run_python, native_library, exported, tmp_path, how):
    image = shutil.copy(exported("classifier")[1], tmp_path)
    run_python(BEGIN + CHANGED, native_library, image, how, timeout=60)


def test_files_that_a_program_closed(native_library, exported):
    """A program that closes all its files may go on, also when another file has come in the place of the model's."""
    image = exported("classifier")[1]
    model = CModel(native_library, image)
    before = model.encode([[1, 2, 3]])
    (own,) = [name for name in os.listdir("/proc/self/fd") if os.path.realpath(f"/proc/self/fd/{name}") == str(image)]
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, int(own))
    os.close(null)
    np.testing.assert_array_equal(model.encode([[1, 2, 3]]), before)
    model.close()
    os.close(int(own))  # it was the program's, and is still open


def test_what_is_no_file_is_refused_at_once(native_library, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(Refused, match="cannot be read: it is no file") as caught:
            CModel(native_library, path)
        assert caught.value.status == Status.FILE


@pytest.fixture(scope="module")
def quota_program(tmp_path_factory):
    """Return the program of ``quota.c``."""
    return compile_c(tmp_path_factory.mktemp("quota"), "quota.c", "threads.c")


@pytest.mark.parametrize(("membership", "files", "expected"), CONTROL_GROUPS)
def test_control_groups(quota_program, tmp_path, membership, files, expected):
    places = write_groups(tmp_path, membership, files)
    said = subprocess.run([quota_program, *places], capture_output=True, text=True, check=True).stdout
    assert int(said) == min(expected, default=2**63 - 1)


def test_without_control_groups(quota_program, tmp_path):
    said = subprocess.run([quota_program, tmp_path / "no", tmp_path], capture_output=True, text=True, check=True).stdout
    assert int(said) == 2**63 - 1


def test_all_processors_are_those_of_the_affinity_mask(run_python, quota_program):
    one = min(os.sched_getaffinity(0))
    narrow = f"import os; os.sched_setaffinity(0, {{{one}}}); os.execv({str(quota_program)!r}, ['quota'])"
    assert int(run_python(narrow).stdout) == 1
