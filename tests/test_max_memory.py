"""A limit to memory: what it may look like, that it is kept, and that it changes no result."""

import json
import sys
import warnings

import numpy as np
import pytest

import edgebert
from edgebert import memory
from edgebert.errors import MemoryWarning, SettingError
from edgebert.loading import DEFAULT_MODEL
from edgebert.memory import memory_limit, parse_size, peak_memory, resident_memory
from tests.cli.command import run

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="what is resident is read from /proc")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("200MB", 200_000_000),
        ("200 mb", 200_000_000),
        ("1.5GB", 1_500_000_000),
        ("512MiB", 512 * 2**20),
        ("0.5gib", 2**29),
        ("123456789", 123_456_789),
        (123_456_789, 123_456_789),
        ("64kB", 64_000),
        ("10 B", 10),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size
    assert memory_limit(text, {"EDGEBERT_MAX_MEMORY": "1GB"}) == size


@pytest.mark.parametrize(
    "text", ["", "MB", "-1GB", "1,5GB", "200M", "200 MB of it", "0MB", "1e9", None, True, 2.5, 0, -5]
)
def test_what_is_no_size(text):
    with pytest.raises(SettingError, match=r"expected a size such as 200MB, 1\.5GB or 512MiB, or a number"):
        parse_size(text)


def test_the_environment(monkeypatch):
    assert memory_limit(None, {}) is None
    assert memory_limit(None, {"EDGEBERT_MAX_MEMORY": ""}) is None
    assert memory_limit(None, {"EDGEBERT_MAX_MEMORY": "1GB"}) == 10**9
    monkeypatch.setenv("EDGEBERT_MAX_MEMORY", "much")
    with pytest.raises(SettingError, match="EDGEBERT_MAX_MEMORY is 'much', expected a size"):
        edgebert.load()


def test_how_many_tokens_a_limit_leaves(monkeypatch):
    """Worked out by hand: 100 MB resident, 6 MB of slack, 4 MB fixed, 1000 bytes a token."""
    monkeypatch.setattr(memory, "resident_memory", lambda: 100_000_000)
    for limit, tokens in ((110_500_000, 500), (110_500_999, 500), (110_100_000, 100), (120_000_000, 900)):
        assert memory.MemoryLimit(limit, 1000, 4_000_000).token_budget(100, 900) == tokens
    for limit in (110_099_999, 1_000_000):
        with pytest.raises(SettingError, match="needs at least 111 MB here"):
            memory.MemoryLimit(limit, 1000, 4_000_000).token_budget(100, 900)
    # What it asks for will do.
    assert memory.MemoryLimit(111_000_000, 1000, 4_000_000).token_budget(100, 900) == 900


def test_the_reference_keeps_no_limit(golden_files, monkeypatch):
    monkeypatch.setenv("EDGEBERT_FAMILY", "reference")
    with pytest.raises(SettingError, match="is not kept with EDGEBERT_FAMILY=reference; leave one of both out"):
        edgebert.load(golden_files["encoder"], max_memory="1GB")


# Loads a model under a limit, uses it on short and long texts, and says what it took.
USE = """
import json, sys, warnings
import edgebert
from edgebert.memory import peak_memory
warnings.simplefilter("error", edgebert.MemoryWarning)
warnings.simplefilter("ignore", edgebert.TruncationWarning)
model = edgebert.load(sys.argv[1], threads=2, max_memory=sys.argv[2] or None)
texts = ["a lovely little film, and more words to say about it " * n for n in (1, 2, 4, 40)] * 60
vectors = model.embed(texts)
if model.labels:
    model.classify(texts)
print(json.dumps([model._runner._budget, peak_memory(), float(vectors.sum())]))
"""


@pytest.fixture
def use(run_python):
    """Return a function from a model and a limit to (token budget, peak, what the vectors sum to)."""
    small = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"

    def measure(model, limit):
        # A process's peak counts what its parent had when it was started, so something small starts it.
        command = f"[sys.executable, '-I', '-S', '-c', {small!r}, sys.executable, '-c', {USE!r}, *sys.argv[1:]]"
        code = f"import subprocess, sys; print(subprocess.check_output({command}, text=True))"
        return json.loads(run_python(code, model, limit).stdout)

    return measure


def fewest_megabytes(model):
    """Return the least limit that a process with this model accepts, as it says itself [MB]."""
    done = run("embed", "--text", "a", "--model", model, "--threads", "2", "--max-memory", "40MB")
    assert done.returncode == 1
    said = done.stderr.decode()
    assert "edgebert: error: --max-memory is 40 MB, and this model needs at least " in said
    assert "give it that, or fewer threads, or take a smaller model" in said
    return int(said.split("at least ")[1].split()[0])


@needs_linux
@pytest.mark.parametrize(
    "which",
    [pytest.param("default", marks=pytest.mark.slow), pytest.param("minilm", marks=pytest.mark.needs_models)],
)
def test_the_process_stays_under_it(use, request, which):
    """From the least that will do to more than is of use; the vectors are the same, bit by bit."""
    model = DEFAULT_MODEL if which == "default" else request.getfixturevalue("minilm")
    budget, free, expected = use(model, "")
    assert budget == 1024
    fewest = fewest_megabytes(model)
    assert fewest * 1e6 < free + 10e6  # no more is asked for than it takes without a limit, but for the slack
    budgets = []
    for megabytes in (fewest, fewest + 6, fewest + 40):
        budget, peak, vectors = use(model, f"{megabytes}MB")
        assert peak <= megabytes * 1e6
        assert vectors == expected
        budgets.append(budget)
    assert budgets == sorted(budgets)
    assert budgets[-1] == 1024
    if which == "minilm":  # the default model's longest text alone takes half of the usual budget
        assert budgets[0] < 1024


@needs_linux
def test_a_command_stays_under_it(tmp_path):
    (tmp_path / "texts.txt").write_text("a lovely little film, and more words to say about it\n" * 3000)
    done = run("classify", tmp_path / "texts.txt", "--max-memory", "1MB", "--threads", "1")
    assert done.returncode == 1
    assert b"needs at least" in done.stderr
    done = run("classify", tmp_path / "texts.txt", EDGEBERT_MAX_MEMORY="250MB")
    assert done.returncode == 0
    assert done.stdout.count(b"\n") == 3000
    assert done.stderr == b""


@needs_linux
def test_what_the_caller_holds_is_told_once(golden_files):
    """The limit is kept by computing less at a time; what else the process holds is not edgebert's to bound."""
    model = edgebert.load(golden_files["encoder"], threads=1, max_memory=resident_memory() + 60_000_000)
    mine = np.ones(300_000_000, np.uint8)
    with pytest.warns(MemoryWarning, match=r"resident, more than its max_memory of .* MB: what it"):
        model.hidden_states([[1, 2, 3]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.hidden_states([[1, 2, 3]])
    assert mine.sum() == 300_000_000
    assert peak_memory() >= resident_memory() // 2
