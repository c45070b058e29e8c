"""What is converted on the way is kept: once, by content, found again without a look at its weights."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import edgebert
from edgebert import model_cache
from edgebert.checkpoint.source import Source
from edgebert.errors import AccuracyError, ArtifactError, CheckpointError, DownloadError, OutputError
from edgebert.loading import find_model
from tests.checkpoint.fake_hub import FakeHub
from tests.golden import GOLDEN


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch, cache_home):
    """Keep the models of each test in a folder of its own, and the kernels where those of the session are."""
    (tmp_path / "cache" / "edgebert").mkdir(parents=True)
    (cache_home / "edgebert" / "kernels").mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache" / "edgebert" / "kernels").symlink_to(cache_home / "edgebert" / "kernels")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgebert" / "models"


@pytest.fixture
def converted(monkeypatch):
    """Convert nothing: a file says what it would have been made of. Return the sources, in their order."""
    sources = []

    def convert(checkpoint, output, on_progress=None):
        sources.append(checkpoint.info.source)
        output.write_bytes(checkpoint.info.source_sha256.encode())
        if on_progress:
            on_progress(2, 2)
        return output

    monkeypatch.setattr("edgebert.quantize.convert.convert_checkpoint", convert)
    return sources


def copied(name, folder):
    shutil.copytree(GOLDEN / name, folder)
    return folder


def test_a_folder_is_converted_once(converted, tmp_path, monkeypatch, own_cache):
    folder, calls = copied("encoder", tmp_path / "model"), []
    first = find_model(folder, lambda *progress: calls.append(progress))
    assert calls == [(2, 2)]
    assert first.parent == own_cache
    assert first.suffix == ".edgebert"

    def reads_weights(*_):
        raise AssertionError("it was read again")

    monkeypatch.setattr("edgebert.checkpoint.open_checkpoint", reads_weights)
    monkeypatch.chdir(folder.parent)
    assert {find_model(each) for each in (str(folder), folder, "model", "./model/")} == {first}
    assert converted == ["model"]


def test_a_folder_at_home(converted, tmp_path, monkeypatch):
    folder = copied("encoder", tmp_path / "model")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_model("~/model") == find_model(folder)
    with pytest.raises(ArtifactError, match="there is no model '~/other'"):
        find_model("~/other")


def test_copies_of_a_folder_are_one_file(converted, tmp_path):
    paths = {find_model(copied("encoder", tmp_path / name)) for name in ("one", "two")}
    assert len(paths) == 1
    assert converted == ["one"]
    assert [(Path(kept.name).name, kept.file) for kept in model_cache.kept_models()] == [
        ("one", *paths),
        ("two", *paths),
    ]


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "vocab.txt"])
def test_the_same_weights_with_other_settings_are_another_model(converted, tmp_path, file):
    """The hash of the weights would not tell."""
    one, two = copied("classifier", tmp_path / "one"), copied("classifier", tmp_path / "two")
    text = (two / file).read_text(encoding="utf-8")
    if file == "config.json":
        (two / file).write_text(json.dumps({**json.loads(text), "id2label": {"0": "x", "1": "y", "2": "z"}}))
    else:
        word = "the"
        assert word in text
        (two / "tokenizer.json").unlink(missing_ok=file == "vocab.txt")
        (two / file).write_text(
            text.replace(f"{word}\n", "thx\n") if file == "vocab.txt" else text.replace('"the"', '"thx"')
        )
    assert find_model(one) != find_model(two)
    assert len(converted) == 2


def test_a_folder_that_changed_is_converted_again(converted, tmp_path, own_cache):
    folder = copied("encoder", tmp_path / "model")
    before = find_model(folder)
    (folder / "notes.txt").write_text("of training")  # nothing that counts
    assert find_model(folder) == before
    shutil.copytree(GOLDEN / "classifier", folder, dirs_exist_ok=True)
    after = find_model(folder)
    assert after != before
    assert converted == ["model", "model"]
    assert [path.name for path in own_cache.glob("*.edgebert")] == [after.name]  # nothing stands for the first any more


def test_what_another_name_stands_for_stays(converted, tmp_path):
    folder, copy = copied("encoder", tmp_path / "model"), copied("encoder", tmp_path / "copy")
    before = find_model(folder)
    assert find_model(copy) == before
    shutil.copytree(GOLDEN / "classifier", folder, dirs_exist_ok=True)
    assert find_model(folder) != before
    assert find_model(copy) == before
    assert before.exists()


def test_another_version_converts_again(converted, tmp_path, monkeypatch):
    folder = copied("encoder", tmp_path / "model")
    before = find_model(folder)
    monkeypatch.setattr(model_cache, "__version__", "99.0")
    assert find_model(folder) != before
    assert [kept.version for kept in model_cache.kept_models()] == [edgebert.__version__, "99.0"]


def test_what_is_gone_or_damaged_is_made_again(tmp_path, golden_files, monkeypatch):
    whole, calls = golden_files["encoder"].read_bytes(), []

    def convert(checkpoint, output, on_progress=None):
        calls.append(output)
        output.write_bytes(whole)

    monkeypatch.setattr("edgebert.quantize.convert.convert_checkpoint", convert)
    folder = copied("encoder", tmp_path / "model")
    model = edgebert.load(folder)
    path = Path(model.info["file"])
    assert model.dimensions == 48
    path.unlink()
    assert edgebert.load(folder).dimensions == 48
    path.unlink()
    path.write_bytes(whole[:-5])
    assert edgebert.load(folder).dimensions == 48
    assert calls == [path] * 3
    for note in path.parent.glob("names/*"):
        note.write_text("{")
    assert find_model(folder) == path
    path.unlink()
    path.write_bytes(whole[:-5])
    with pytest.raises(ArtifactError, match="is damaged"):  # named itself, it cannot be made again
        edgebert.load(path)
    assert len(calls) == 3


def test_when_it_was_used_is_known(converted, tmp_path):
    folder = copied("encoder", tmp_path / "model")
    find_model(folder)
    (kept,) = model_cache.kept_models()
    os.utime(kept.note, (1, 1))
    assert kept.last_used == 1
    find_model(folder)
    assert time.time() - kept.last_used < 100


def test_a_file_without_a_name_is_forgotten_too(converted, tmp_path):
    """A run that was broken off between a file and its note has left it."""
    find_model(copied("encoder", tmp_path / "model"))
    (kept,) = model_cache.kept_models()
    left = kept.file.with_name("left.edgebert")
    left.write_bytes(b"1234")
    size = kept.file.stat().st_size
    assert model_cache.forget([kept]) == size + 4
    assert not left.exists()


def test_to_forget_a_name_and_its_file(converted, tmp_path):
    for name in ("one", "two"):
        path = find_model(copied("encoder", tmp_path / name))
    size = path.stat().st_size
    first, second = model_cache.kept_models()
    assert model_cache.forget([first]) == 0
    assert path.exists()
    assert model_cache.forget([second]) == size
    assert not path.exists()
    assert model_cache.kept_models() == []


def test_a_cache_that_cannot_be_written(converted, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    folder = copied("encoder", tmp_path / "model")
    with pytest.raises(
        OutputError, match=r"cannot keep it .*: set XDG_CACHE_HOME .*: edgebert convert .*model M\.edgebert"
    ):
        find_model(folder)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    monkeypatch.delenv("XDG_CACHE_HOME")
    with pytest.raises(OutputError, match=r"there is no home folder.*set XDG_CACHE_HOME"):
        find_model(folder)
    assert converted == []
    assert model_cache.kept_models() == []
    assert not model_cache.is_kept(folder)


def test_a_disk_that_is_full(tmp_path, monkeypatch, own_cache):
    def convert(checkpoint, output, on_progress=None):
        raise OutputError(f"{output} could not be written: No space left on device")

    monkeypatch.setattr("edgebert.quantize.convert.convert_checkpoint", convert)
    with pytest.raises(OutputError, match=r"No space left on device.*set XDG_CACHE_HOME"):
        find_model(copied("encoder", tmp_path / "model"))
    assert model_cache.kept_models() == []


def test_a_model_that_loses_too_much(tmp_path, monkeypatch):
    def convert(checkpoint, output, on_progress=None):
        raise AccuracyError("it agrees 0.5 with fp32")

    monkeypatch.setattr("edgebert.quantize.convert.convert_checkpoint", convert)
    with pytest.raises(AccuracyError, match=r"agrees 0.5 .*edgebert convert .*model M\.edgebert --force"):
        find_model(copied("encoder", tmp_path / "model"))


@pytest.fixture
def hub(monkeypatch):
    """A hub that has ``org/name``: revision -> (commit, folder). Where it is None, it cannot be reached."""
    models = {"": ("a" * 40, GOLDEN / "encoder"), "v1": ("b" * 40, GOLDEN / "classifier")}
    served = SimpleNamespace(models=models, asked=[])

    def newest_commit(name):
        revision = name.partition("@")[2]
        if len(revision) == 40:
            return revision
        served.asked.append(name)
        return served.models and served.models[revision][0]

    def locate(name):
        revision = name.partition("@")[2]
        if served.models is None:
            raise DownloadError("no connection")
        commit, folder = next(each for key, each in served.models.items() if revision in (key, each[0]))
        link = served.folder / commit
        if not link.exists():
            shutil.copytree(folder, link)
        return Source(name, link, "org/name")

    monkeypatch.setattr("edgebert.checkpoint.source.newest_commit", newest_commit)
    monkeypatch.setattr("edgebert.checkpoint.source.locate", locate)
    monkeypatch.setattr("edgebert.checkpoint.fetch_weights", lambda place: None)
    return served


def test_a_name_of_the_hub(converted, hub, tmp_path):
    hub.folder = tmp_path / "hub"
    commit = "a" * 40
    path = find_model("org/name")
    assert converted == [f"org/name@{commit}"]
    assert hub.asked == []  # it was fetched anyway
    assert find_model("org/name") == path
    assert hub.asked == ["org/name"]
    # A copy of it in a folder is the same model, and so is its commit, of which nobody is asked.
    assert find_model(copied("encoder", tmp_path / "copy")) == path
    assert find_model(f"org/name@{commit}") == find_model(f"org/name@{commit}") == path
    assert hub.asked == ["org/name"]
    assert len(converted) == 1
    assert find_model("org/name@v1") != path
    hub.models = None
    assert find_model("org/name") == path  # without a connection what is kept is used
    with pytest.raises(DownloadError, match="no connection"):
        find_model(f"org/name@{'c' * 40}")


def test_a_newer_commit_is_fetched(converted, hub, tmp_path):
    hub.folder = tmp_path / "hub"
    before = find_model("org/name")
    hub.models[""] = ("c" * 40, GOLDEN / "classifier")
    after = find_model("org/name")
    assert after != before
    assert not before.exists()
    hub.models[""] = ("d" * 40, GOLDEN / "classifier")  # of its card alone, perhaps
    assert find_model("org/name") == after
    assert len(converted) == 2


HUB = """
import json, sys
from edgebert.errors import EdgebertError
from edgebert.loading import find_model
from edgebert.quantize import convert
convert.convert_checkpoint = lambda checkpoint, output, on_progress: output.write_bytes(b"converted")
try:
    print(find_model(sys.argv[1]))
except EdgebertError as error:
    print(f"{type(error).__name__}: {error}")
"""


def test_names_of_a_real_hub(tmp_path, run_python, own_cache):
    """One with two revisions, asked by huggingface_hub in processes of their own, which read its settings."""
    names = {"main": copied("encoder", tmp_path / "main"), "v1": copied("classifier", tmp_path / "v1")}
    with FakeHub({"org/name": names}) as hub:
        settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1"}
        settings |= {"HF_HUB_DISABLE_TELEMETRY": "1", "no_proxy": "127.0.0.1"}

        def find(name, **more):
            hub.requests.clear()
            return run_python(HUB, name, environment={**settings, **more}).stdout.strip()

        path = find("org/name", HF_TOKEN="hf_secret")
        assert Path(path).parent == own_cache
        assert {authorization for _, _, authorization in hub.requests} == {"Bearer hf_secret"}
        assert find("org/name") == path
        assert [(method, place) for method, place, _ in hub.requests] == [("GET", "/api/models/org/name")]
        assert find(f"org/name@{hub.commit('org/name', 'main')}") == path
        assert find("org/name", HF_HUB_OFFLINE="1") == path
        assert hub.requests == []
        assert find("org/name", HF_ENDPOINT="http://127.0.0.1:9") == path
        assert "HF_HUB_OFFLINE is set, and it is not in the cache" in find("org/name@v1", HF_HUB_OFFLINE="1")
        hub.gated = True
        assert "terms accepted there first, then set HF_TOKEN" in find("org/name")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("sentimant", "there is no model 'sentimant': .*did you mean sentiment?"),
        ("bert-base-uncased", "its organisation .*or one of sentiment, minilm, personal-data$"),
        ("none.edgebert", r"there is no file none\.edgebert; make one with: edgebert convert"),
        ("minilm.edgebert", r"there is no file minilm\.edgebert; minilm comes with edgebert"),
        ("a/b/c", "there is no model 'a/b/c'"),
        ("./org/name", "there is no model"),
        ("org/model.safetensors", "there is no model 'org/model.safetensors'"),
        ("there.safetensors", "is the weights of a model alone; name the folder that it lies in"),
        ("there.onnx", "is a model in ONNX's format; expected an .edgebert file, or a folder that"),
        ("there.GGUF", "is a model in llama.cpp's format"),
        ("there.bin", "of PyTorch perhaps"),
        ("there.txt", "is no .edgebert file: it does not begin like a safetensors file"),
        ("empty.edgebert", "is empty, expected an .edgebert file"),
    ],
)
def test_what_is_no_model(name, fault, tmp_path, monkeypatch):
    for there in ("there.safetensors", "there.onnx", "there.GGUF", "there.bin", "there.txt"):
        (tmp_path / there).write_text("something else")
    (tmp_path / "empty.edgebert").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtifactError, match=fault):
        edgebert.load(name)


def test_folders_without_a_model(tmp_path):
    (tmp_path / "up" / "model").mkdir(parents=True)
    (tmp_path / "up" / "m.edgebert").write_text("")
    (tmp_path / "up" / "model" / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"up has no config.json, .*; it holds m.edgebert; model/: name that"):
        edgebert.load(tmp_path / "up")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"as transformers' save_pretrained writes it$"):
        edgebert.load(tmp_path / "empty")


def test_a_name_of_edgebert_is_no_path(converted, tmp_path, monkeypatch):
    """A folder that is called so is named with a separator, or as a path."""
    copied("encoder", tmp_path / "minilm")
    monkeypatch.chdir(tmp_path)
    bundled = Path(edgebert.__file__).parent / "models" / "minilm.edgebert"
    assert find_model("minilm") == bundled
    assert find_model("sentence-transformers/all-MiniLM-L6-v2") == bundled
    assert find_model("./minilm") == find_model(Path("minilm")) != bundled
    assert converted == ["minilm"]
