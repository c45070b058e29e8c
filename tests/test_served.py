"""A model's file while the model is in use, and the model where it goes to other processes: both are about its path."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import shutil
import threading

import pytest

import edgebert
from edgebert.artifact import _OpenFile
from edgebert.errors import ArtifactError, EdgebertError
from edgebert.evaluate.float32 import load_float32
from tests.golden import GOLDEN

IDS = [[1, 2, 3], list(range(1, 40))]


def bits(model):
    return [rows.tobytes() for rows in model.hidden_states(IDS)]


@pytest.fixture
def served(golden_files, tmp_path):
    """Return a file, and a model that has computed from it."""
    path = shutil.copy(golden_files["encoder"], tmp_path / "served.edgebert")
    model = edgebert.load(path, threads=2)
    bits(model)
    return path, model


REFUSED = "was written over while it was in use; load the model again, and replace files by renaming"


def cut_short(path):
    os.truncate(path, 4096)


def empty(path):
    os.truncate(path, 0)


def write_in_place(path):
    with open(path, "r+b") as file:
        file.seek(-1000, os.SEEK_END)
        file.write(bytes(1000))


def lengthen(path):
    with open(path, "ab") as file:
        file.write(b"more")


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps a mapped file from being written")
@pytest.mark.parametrize("change", [cut_short, empty, write_in_place, lengthen])
def test_a_file_that_is_written_over_is_refused(run_python, golden_files, tmp_path, change):
    """Before anything of it is computed with, which would be wrong, or end the process (SIGBUS)."""
    path = shutil.copy(golden_files["encoder"], tmp_path / "served.edgebert")
    code = f"""
import os, sys, edgebert
sys.path.insert(0, {os.getcwd()!r})
from tests.test_served import {change.__name__} as change
model = edgebert.load({str(path)!r}, threads=2)
model.embed(["a"])
change({str(path)!r})
for _ in range(2):
    try:
        print(model.embed(["a"]))
    except edgebert.ArtifactError as error:
        print(error)
"""
    said = run_python(code).stdout.splitlines()
    assert len(said) == 2
    assert all(REFUSED in line for line in said)


def test_a_file_that_is_replaced_by_renaming_goes_on(served, golden_files):
    path, model = served
    expected = bits(model)
    other = shutil.copy(golden_files["classifier"], path.with_name("other"))
    os.replace(other, path)
    assert bits(model) == expected
    path.unlink()
    assert bits(model) == expected


def test_a_file_that_is_only_touched_goes_on(served):
    path, model = served
    expected = bits(model)
    os.utime(path, (1, 1))
    assert bits(model) == expected
    assert bits(model) == expected


def test_models_leave_no_descriptor_open(golden_files):
    folder = "/proc/self/fd"
    if not os.path.exists(folder):
        pytest.skip("Linux lists what is open")
    edgebert.load(golden_files["encoder"], threads=1)
    gc.collect()  # what earlier tests have left is closed before it is counted
    before = opened(folder)
    for _ in range(5):
        edgebert.load(golden_files["encoder"], threads=1)
    after, path = opened(folder), str(golden_files["encoder"])
    # What others left may be closed meanwhile, but nothing is open that was not.
    assert {name: after[name] for name in after.keys() - before.keys()} == {}
    assert [*after.values()].count(path) == [*before.values()].count(path)


def opened(folder):
    """Return what each descriptor is of; without the one that lists them, which is closed by then."""
    links = {name: f"{folder}/{name}" for name in os.listdir(folder)}
    return {name: os.readlink(link) for name, link in links.items() if os.path.lexists(link)}


def test_a_pickled_model_is_loaded_again_by_its_path(golden_files, monkeypatch):
    path = golden_files["encoder"]
    monkeypatch.chdir(path.parent)
    model = edgebert.load(path.name, threads=3, max_memory="2GB", device="cpu")
    data = pickle.dumps(model)
    assert len(data) < 1000
    monkeypatch.chdir("/")
    again = pickle.loads(data)
    assert (again.threads, again.device, again._runner._memory is not None) == (3, "cpu", True)
    assert again is not model
    assert bits(again) == bits(model)
    os.rename(path, path.with_name("away"))
    try:
        with pytest.raises(ArtifactError, match="there is no file"):
            pickle.loads(data)
    finally:
        os.rename(path.with_name("away"), path)


SPAWN = """
import multiprocessing, sys
import edgebert

def work(model):
    return model.hidden_states([[1, 2, 3]])[0].tobytes()

if __name__ == "__main__":
    model = edgebert.load(sys.argv[1], threads=1)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(work, [model] * 2) == [work(model)] * 2
    print("agreed")
"""


def test_worker_processes_get_a_model(run_python, golden_files, tmp_path):
    (tmp_path / "program.py").write_text(SPAWN)
    code = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); import program; sys.argv[0] = program.__file__;"
    code += " runpy.run_path(program.__file__, run_name='__main__')"
    assert run_python(code, tmp_path, golden_files["encoder"]).stdout == "agreed\n"


def test_the_model_that_comes_with_edgebert_is_not_named(monkeypatch):
    assert b"sentiment" not in pickle.dumps(edgebert.load(threads=1))


def test_a_copy_is_the_model_itself(served):
    _, model = served
    assert copy.copy(model) is model
    assert copy.deepcopy({"model": model})["model"] is model
    assert threading.active_count() < 50


def test_a_model_that_no_file_holds_says_why_it_is_not_pickled():
    model = load_float32(GOLDEN / "encoder")
    with pytest.raises(EdgebertError, match=r"cannot be pickled: it was not made by edgebert\.load"):
        pickle.dumps(model)


CLOSED = """
import os, sys, edgebert
model = edgebert.load(sys.argv[1], threads=2)
before = model.hidden_states([[1, 2, 3]])[0]
os.closerange(3, 256)
assert (model.hidden_states([[1, 2, 3]])[0] == before).all()
mine = [os.open(os.devnull, os.O_RDONLY) for _ in range(50)]
assert (model.hidden_states([[1, 2, 3]])[0] == before).all()
"""


@pytest.mark.skipif(os.name != "posix", reason="what daemons of POSIX do")
def test_a_program_may_close_all_its_files(run_python, golden_files):
    """As daemons do; and others may come in their place."""
    run_python(CLOSED, golden_files["encoder"], timeout=60)


def test_what_a_program_opened_in_the_files_place_stays_open(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"text")
    with open(path, "rb") as stream:
        file = _OpenFile(stream.fileno())
    assert file.look() == file.opened
    null = os.open(os.devnull, os.O_RDONLY)
    own = file._descriptor
    os.dup2(null, own)
    assert file.look() is None
    del file
    os.fstat(own)
    os.close(own)
    os.close(null)


def test_a_file_that_was_only_touched_is_read_once_more(served):
    path, model = served
    before = bits(model)
    os.utime(path, (1, 1))
    assert bits(model) == before
    os.utime(path, (2, 2))
    assert bits(model) == before
