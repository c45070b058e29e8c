"""One source gives one file: on every processor, BLAS and number of threads, and with every instruction family.

The digests stand in ``tests/data/digests.json``, so that every computer that runs the tests is held to them. Whoever
changes what is written makes them anew with ``python -m tests.quantize.test_same_bytes``, and says so in CHANGELOG.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import edgebert
from edgebert.engine.processor import available_families, features
from tests.golden import FAMILIES, GOLDEN, KINDS, NAMES
from tests.selection import few

DIGESTS = Path(__file__).parent.parent / "data" / "digests.json"
MODELS = {name: GOLDEN / name for name in NAMES} | {name: GOLDEN / "families" / name for name in FAMILIES}
MODELS |= {name: GOLDEN / "kinds" / name for name in KINDS}
MODELS |= {f"gliner-{name}": GOLDEN / "gliner" / name for name in ("span", "token")}
CORES = {"Nehalem": (), "Haswell": ("avx2", "fma"), "Zen": ("avx2", "fma"), "SkylakeX": ("avx512bw", "avx512vl")}
"""OpenBLAS's kernels for a processor -> the features without which they cannot run."""


def digest(source: Path, folder: Path) -> str:
    """Convert a model and return the SHA-256 of the file."""
    path = edgebert.convert(source, folder / "model.edgebert", force=True)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digests(names: list[str]) -> dict[str, str]:
    """Convert golden models and return the SHA-256 of each file."""
    with tempfile.TemporaryDirectory() as folder:
        return {name: digest(MODELS[name], Path(folder)) for name in names}


def expected() -> dict[str, str]:
    """Return the digests that every computer is held to."""
    return json.loads(DIGESTS.read_text(encoding="utf-8"))


FEW = ["encoder", "classifier", "mpnet-classifier", "electra-masked"]


@pytest.mark.parametrize("name", few(MODELS, *FEW))
def test_a_golden_model_has_its_digest(name, tmp_path):
    assert digest(MODELS[name], tmp_path) == expected()[name]


PROGRAM = """
import json, sys
from tests.quantize.test_same_bytes import digests
print(json.dumps(digests(sys.argv[1:])))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("core", "threads", "family"),
    [
        ("Nehalem", 1, available_families()[-1]),
        ("Haswell", 2, available_families()[0]),
        ("Zen", 3, available_families()[len(available_families()) // 2]),
        ("SkylakeX", 2, available_families()[1 % len(available_families())]),
    ],
)
def test_nothing_of_the_computer_is_in_a_file(run_python, core, threads, family):
    if not set(CORES[core]) <= features():
        pytest.skip(f"this processor cannot run OpenBLAS's kernels for {core}")
    environment = {
        "OPENBLAS_CORETYPE": core,
        "OPENBLAS_NUM_THREADS": str(threads),
        "EDGEBERT_NUM_THREADS": str(threads),
        "EDGEBERT_FAMILY": family,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    found = json.loads(run_python(PROGRAM, *FEW, environment=environment, timeout=600).stdout)
    assert found == {name: expected()[name] for name in FEW}


def test_arm_writes_the_same_file(arm_python, tmp_path):
    """A Python for AArch64 with a NumPy of its own, and kernels for a Cortex-A76, all emulated."""
    command, packages = arm_python
    root = Path(__file__).parents[2]
    compiling = [sys.executable, "-m", "edgebert", "compile", "--target", "cortex-a76", "-o", str(tmp_path / "a76.so")]
    subprocess.run(compiling, cwd=root, check=True, capture_output=True)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(root), packages]),
        "EDGEBERT_KERNELS": str(tmp_path / "a76.so"),
        "EDGEBERT_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    environment.pop("OPENBLAS_CORETYPE", None)
    program = "import sys, edgebert; edgebert.convert(sys.argv[1], sys.argv[2], force=True)"
    path = tmp_path / "model.edgebert"
    arguments = [*command, "-c", program, str(MODELS["encoder"]), str(path)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(path.read_bytes()).hexdigest() == expected()["encoder"]


def test_minilm_has_its_digest(minilm):
    assert hashlib.sha256(minilm.read_bytes()).hexdigest() == expected()["minilm-l6"]


def main() -> None:
    """Write the digests anew."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
    from fetch_material import fetch

    with tempfile.TemporaryDirectory() as folder:
        found = {**digests(list(MODELS)), "minilm-l6": digest(fetch("minilm-l6"), Path(folder))}
    DIGESTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
