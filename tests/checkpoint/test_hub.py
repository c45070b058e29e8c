"""Models from a hub: a fake one on a loopback port, with a cache of its own, in a fresh process each time.

In a process of its own because huggingface_hub reads its environment when it is imported.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edgebert.checkpoint import open_checkpoint
from tests.checkpoint.fake_hub import FakeHub
from tests.checkpoint.folders import arrays_of, copy_model
from tests.checkpoint.test_weights import write_shards
from tests.golden import GOLDEN

ROOT = Path(__file__).parents[2]
OPEN = """
import json, sys
from edgebert.checkpoint import open_checkpoint
from edgebert.errors import CheckpointError
try:
    checkpoint = open_checkpoint(sys.argv[1])
except CheckpointError as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error)}))
else:
    total = sum(float(abs(values).sum()) for values in checkpoint.tensors.values())
    print(json.dumps({"name": checkpoint.info.source, "sha256": checkpoint.info.source_sha256, "total": total,
                      "normalize": checkpoint.info.pipeline.normalize, "card": checkpoint.info.card}))
"""


@pytest.fixture
def hub(tmp_path):
    """A hub with ``org/name``: the encoder as a sentence-transformers model, and the classifier as v1."""
    main = copy_model("encoder", tmp_path / "main")
    kinds = ("Transformer", "Pooling", "Normalize")
    modules = [
        {
            "idx": i,
            "name": str(i),
            "path": f"{i}_{kind}" if i else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for i, kind in enumerate(kinds)
    ]
    (main / "modules.json").write_text(json.dumps(modules))
    (main / "1_Pooling").mkdir()
    (main / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    (main / "README.md").write_text("---\nlicense: mit\n---\n# Card\n")
    (main / "pytorch_model.bin").write_bytes(b"not needed")
    (main / "onnx").mkdir()
    (main / "onnx" / "model.onnx").write_bytes(b"not needed")
    (main / "onnx" / "model.safetensors").write_bytes(b"not needed")
    v1 = copy_model("classifier", tmp_path / "v1")
    old = tmp_path / "old"  # old folders have the encoder in one of its own
    copy_model("encoder", old / "0_Transformer")
    module = {"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}
    (old / "modules.json").write_text(json.dumps([module]))
    late = GOLDEN / "late_interaction" / "stanford"
    sentences = GOLDEN / "sentences" / "encoder"
    models = {"org/name": {"main": main, "v1": v1}, "bert-tiny": {"main": v1}, "org/old": {"main": old}}
    spans = GOLDEN / "gliner" / "span"
    models |= {"org/late": {"main": late}, "org/sentences": {"main": sentences}, "org/spans": {"main": spans}}
    with FakeHub(models) as hub:
        yield hub


@pytest.fixture
def fetch(hub, tmp_path):
    """A function that opens a name in a fresh process and returns what came of it."""
    home = tmp_path / "home"
    work = tmp_path / "work"
    work.mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}

    def run(source, **settings):
        environment = {
            **kept,
            "HF_HOME": str(home),
            "HF_ENDPOINT": hub.url,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "PYTHONPATH": str(ROOT),
            **settings,
        }
        done = subprocess.run(
            [sys.executable, "-c", OPEN, source],
            env=environment,
            cwd=work,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert "\n" not in answer.get("message", "")
        return answer

    return run


def test_a_name_is_fetched_with_what_is_needed_and_nothing_else(hub, fetch):
    local = open_checkpoint(GOLDEN / "encoder")
    answer = fetch("org/name")
    assert answer == {
        "name": "org/name",
        "sha256": local.info.source_sha256,
        "total": sum(float(abs(values).sum()) for values in local.tensors.values()),
        "normalize": True,
        "card": "# Card",
    }
    assert hub.fetched() == {
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
        "modules.json",
        "1_Pooling/config.json",
        "README.md",
        "model.safetensors",
    }


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("org/late", {"artifact.metadata"}),
        ("org/sentences", {"sentence_bert_config.json"}),
        ("org/spans", {"gliner_config.json"}),
    ],
)
def test_what_says_how_texts_are_embedded_is_fetched(hub, fetch, name, files):
    assert fetch(name)["name"] == name
    assert files <= hub.fetched()


def test_a_revision(hub, fetch):
    for revision in ("v1", hub.commit("org/name", "v1")):
        answer = fetch(f"org/name@{revision}")
        assert answer["name"] == f"org/name@{revision}"
        assert answer["sha256"] == open_checkpoint(GOLDEN / "classifier").info.source_sha256


def test_an_encoder_in_a_folder_of_its_own(hub, fetch):
    assert fetch("org/old")["sha256"] == open_checkpoint(GOLDEN / "encoder").info.source_sha256
    assert "0_Transformer/model.safetensors" in hub.fetched()


def test_a_name_of_one_word(fetch):
    assert fetch("bert-tiny")["sha256"] == open_checkpoint(GOLDEN / "classifier").info.source_sha256


def test_shards(hub, fetch):
    folder = hub.repos["org/name"]["main"]
    names = write_shards(folder, arrays_of("encoder"))
    answer = fetch("org/name")
    assert answer["sha256"] == open_checkpoint(folder).info.source_sha256
    assert {*names, "model.safetensors.index.json"} <= hub.fetched()


def test_the_token_is_sent(hub, fetch):
    fetch("org/name", HF_TOKEN="hf_secret")
    assert {authorization for _, _, authorization in hub.requests} == {"Bearer hf_secret"}


def test_a_folder_of_that_name_comes_first(hub, fetch, tmp_path):
    copy_model("classifier", tmp_path / "work" / "org" / "name")
    answer = fetch("org/name")
    assert (answer["name"], answer["sha256"]) == ("name", open_checkpoint(GOLDEN / "classifier").info.source_sha256)
    assert hub.requests == []


def test_offline_it_comes_from_the_cache(hub, fetch):
    first = fetch("org/name")
    hub.requests.clear()
    assert fetch("org/name", HF_HUB_OFFLINE="1") == first
    assert hub.requests == []


def test_an_unreachable_hub_leaves_the_cache(fetch):
    first = fetch("org/name")
    assert fetch("org/name", HF_ENDPOINT=closed_port()) == first


def test_offline_and_not_in_the_cache(hub, fetch, tmp_path):
    answer = fetch("org/name", HF_HUB_OFFLINE="1")
    assert answer["error"] == "DownloadError"
    assert "'org/name' is no folder here, and could not be had from http://127.0.0.1" in answer["message"]
    assert "HF_HUB_OFFLINE is set, and it is not in the cache" in answer["message"]
    assert str(tmp_path / "home") in answer["message"]
    assert hub.requests == []


@pytest.mark.parametrize("source", ["org/other", "other", "org/name@v2"])
def test_what_the_hub_does_not_have(fetch, source):
    answer = fetch(source)
    assert answer["error"] == "DownloadError"
    assert f"{source!r} is no folder here, and could not be had from http://127.0.0.1" in answer["message"]
    reason = "the model has no revision 'v2'" if "@" in source else "there is no such model, or it is private"
    assert reason in answer["message"]


@pytest.mark.parametrize("source", ["org/na--me", "org/.name", "org/name-"])
def test_what_is_no_name(hub, fetch, source):
    answer = fetch(source)
    assert answer["error"] == "DownloadError"
    assert "that is no name of a model" in answer["message"]
    assert hub.requests == []


def test_a_gated_model(hub, fetch):
    hub.gated = True
    answer = fetch("org/name")
    assert answer["error"] == "DownloadError"
    assert "terms accepted there first, then set HF_TOKEN" in answer["message"]


def closed_port():
    """Return an address at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_an_unreachable_hub(fetch):
    answer = fetch("org/name", HF_ENDPOINT=closed_port())
    assert answer["error"] == "DownloadError"
    assert "check the connection, the proxy and HF_ENDPOINT" in answer["message"]


@pytest.mark.slow
@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_a_download_that_breaks_off_can_be_taken_up_again(hub, fetch, file):
    hub.cut = file
    answer = fetch("org/name")
    assert answer["error"] == "DownloadError"
    assert "run it again to go on" in answer["message"]
    # What is there by now must not pass for the model.
    answer = fetch("org/name", HF_HUB_OFFLINE="1")
    assert answer["error"] == "DownloadError"
    assert "not in the cache" in answer["message"]
    hub.cut = ""
    answer = fetch("org/name")
    assert (answer["sha256"], answer["normalize"]) == (open_checkpoint(GOLDEN / "encoder").info.source_sha256, True)
    assert fetch("org/name", HF_HUB_OFFLINE="1") == answer


def test_an_unsupported_model_is_refused_without_fetching_its_weights(hub, fetch):
    config = hub.repos["org/name"]["main"] / "config.json"
    config.write_text(json.dumps({"model_type": "gpt2"}))
    answer = fetch("org/name")
    assert answer["error"] == "UnsupportedModelError"
    assert "org/name is a model of type 'gpt2'" in answer["message"]
    assert "model.safetensors" not in hub.fetched()


def test_a_model_in_another_format(hub, fetch):
    folder = hub.repos["org/name"]["main"]
    (folder / "model.safetensors").unlink()
    shutil.rmtree(folder / "onnx")
    answer = fetch("org/name")
    assert answer["error"] == "CheckpointError"
    assert "has no weights, edgebert needs model.safetensors" in answer["message"]


@pytest.mark.slow
def test_the_command_converts_a_name(hub, tmp_path, cache_home):
    """From a mirror, with a connection that breaks at first; then offline, from what is in the cache."""
    output = tmp_path / "m.edgebert"

    def convert(**settings):
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        home = {
            "HF_HOME": str(tmp_path / "home"),
            "HF_ENDPOINT": hub.url,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        command = [sys.executable, "-m", "edgebert", "convert", "org/name@v1", str(output)]
        environment = {**kept, **home, "PYTHONPATH": str(ROOT), **settings}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)

    hub.cut = "model.safetensors"
    broken = convert()
    assert broken.returncode == 1
    assert "edgebert: error: 'org/name@v1' is no folder here, and could not be had from" in broken.stderr
    assert not output.exists()
    hub.cut = ""
    done = convert()
    assert (done.returncode, done.stderr.count("error")) == (0, 0), done.stderr
    first = output.read_bytes()
    assert b"org/name@v1" in first
    output.unlink()
    asked = len(hub.requests)
    assert convert(HF_HUB_OFFLINE="1").returncode == 0
    assert len(hub.requests) == asked
    assert output.exists()
