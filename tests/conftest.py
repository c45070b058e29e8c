"""What every test may use: a cache of compiled kernels for the session, converted golden models, other processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Read when NumPy is loaded, here and in the processes that tests start. Threads of BLAS wait in loops: with two
# processes on two cores they take twice the time of one thread.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import edgebert
from edgebert.engine.library import load_library
from edgebert.engine.processor import available_families
from tests.emulator import EMULATED, EmulatedLibrary, build_remote, emulator_or_skip
from tests.golden import GOLDEN, NAMES

# The scripts of tools/ are no package: this puts them where imports find them.
sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from arm_python import arm_python as fetch_arm_python
from fetch_material import MaterialError, fetch
from prepare_models import prepared as prepare

pytest_plugins = ["tests.selection"]


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory):
    """Keep compiled kernels in a folder of this session: each family is compiled once, and by these sources.

    The processes of one session (pytest-xdist) share it. ``EDGEBERT_TEST_CACHE`` names another folder, for those who
    start many sessions (``tools/mutate.py``).
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    shared = tmp_path_factory.getbasetemp().parent if worker else tmp_path_factory.getbasetemp()
    home = Path(os.environ.get("EDGEBERT_TEST_CACHE") or shared / "cache_home")
    home.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        if not os.environ.get("EDGEBERT_MATERIAL"):
            # Fetched models are large and pinned by their sha256: those stay where they are.
            usual = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
            patch.setenv("EDGEBERT_MATERIAL", str(Path(usual) / "edgebert" / "material"))
        patch.setenv("XDG_CACHE_HOME", str(home))
        if worker:  # two processes compile one family each
            load_library((available_families()[0], "portable")[int(worker.removeprefix("gw")) % 2])
        yield home


@pytest.fixture(scope="session")
def golden_files(tmp_path_factory):
    """Convert the golden models: name -> path of the .edgebert file."""
    folder = tmp_path_factory.mktemp("golden")
    return {name: edgebert.convert(GOLDEN / name, folder / f"{name}.edgebert") for name in NAMES}


@pytest.fixture(scope="session")
def library_of(cache_home, tmp_path_factory):
    """Return a function from the name of a family to its kernels, for this processor or for an emulated one."""
    emulated = {}

    def get(family):
        if family not in EMULATED:
            return load_library(family)
        if family not in emulated:
            emulator_or_skip()
            emulated[family] = EmulatedLibrary(family, build_remote(family, tmp_path_factory.mktemp("emulated")))
        return emulated[family]

    yield get
    for library in emulated.values():
        library.close()


@pytest.fixture(scope="session")
def run_python(cache_home):
    """Return a function that runs code in another Python process; it must end well, and in time."""

    def run(code, *arguments, environment=None, timeout=180):
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("EDGEBERT_")}
        process = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            env=inherited | (environment or {}),
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, f"exit {process.returncode}:\n{process.stdout}{process.stderr}"
        return process

    return run


def _or_skip(function):
    """Return a function of a name that skips the test where a model cannot be had; CI fails it."""

    def get(name):
        try:
            return function(name)
        except MaterialError as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(str(error))

    return get


@pytest.fixture(scope="session")
def material(cache_home):
    """Return `fetch`; a machine without the packages skips the test, CI fails it."""
    return _or_skip(fetch)


@pytest.fixture(scope="session")
def prepared(cache_home):
    """Return `prepare_models.prepared`; a machine without what makes these models skips the test, CI fails it."""
    return _or_skip(prepare)


@pytest.fixture(scope="session")
def arm_python(cache_home):
    """Return the command that runs Python on an emulated Arm, and where its packages are; or skip, which CI fails."""
    return _or_skip(lambda _: fetch_arm_python())("")


@pytest.fixture(scope="session")
def minilm(material, tmp_path_factory):
    """Convert all-MiniLM-L6-v2; return the path of the .edgebert file."""
    return edgebert.convert(material("minilm-l6"), tmp_path_factory.mktemp("minilm") / "minilm.edgebert")
