"""The fuzzer notices what must not happen, goes on after it, and draws the same cases again."""

from __future__ import annotations

import json
import os
import random
import signal
import time

import numpy as np
import pytest

from edgebert.errors import InputError
from tests.selection import few
from tools.fuzz import __main__ as command
from tools.fuzz import artifacts
from tools.fuzz.damage import change_bytes, change_json, change_values, json_text
from tools.fuzz.frame import Finding, Tally, run

SECONDS, MEMORY = 2.0, 100_000_000


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def leave():
    os._exit(3)


def hang():
    time.sleep(60)


def hang_in_a_handler():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pass


def hog():
    return len(np.ones(2 * MEMORY, np.uint8))


def foreign():
    raise IndexError("far out")


class Panic(BaseException):
    """Like those of Rust."""


def panic():
    raise Panic("at the disco")


def refuse():
    raise InputError("not this")


PLANTED = {
    crash: ("crash", "SIGSEGV"),
    leave: ("crash", "exit 3"),
    hang: ("hang", "hang"),
    hang_in_a_handler: ("hang", "hang"),
    hog: ("memory", "MemoryError at "),
    foreign: ("exception", "IndexError: 'far out' at "),
    panic: ("exception", "Panic: 'at the disco' at "),
    (lambda: [{"score": np.float32("nan")}]): ("nan", "nan answered"),
    (lambda: (1, {"a": [np.array([1, -np.inf])]})): ("nan", "-inf answered"),
}


@pytest.mark.parametrize("jobs", few([1, 3]))
def test_what_is_planted_is_found_and_all_else_is_run(jobs):
    """Bad cases among good ones, more than one child has: none is lost, none is run twice."""
    planted = list(PLANTED)
    cases = [case for bad in planted for case in (lambda: 1.5, refuse, bad)] + [lambda: None] * 60

    def draw(rng):
        index = draw.indices[rng.random()]
        return f"case {index}", cases[index]

    draw.indices = {random.Random(f"7:{i}").random(): i for i in range(len(cases))}
    tally = run(draw, 7, range(len(cases)), jobs=jobs, seconds=SECONDS, memory=MEMORY)
    assert tally.cases == len(cases)
    assert tally.answered == len(planted) + 60
    assert tally.refused == {"InputError": len(planted)}
    found = sorted(tally.findings, key=lambda finding: finding.index)
    assert [finding.index for finding in found] == [3 * i + 2 for i in range(len(planted))]
    for finding, (kind, place) in zip(found, PLANTED.values(), strict=True):
        assert finding.kind == kind
        assert finding.place.startswith(place)


def test_a_case_that_cannot_be_drawn_is_found():
    def draw(rng):
        raise ZeroDivisionError

    (finding,) = run(draw, 0, [5]).findings
    assert (finding.index, finding.kind, finding.about) == (5, "exception", "drawing a case")


def test_memory_that_is_given_back_counts_once():
    case = lambda: len(np.ones(MEMORY // 2, np.uint8))  # noqa: E731
    assert run(lambda rng: ("", case), 0, range(20), memory=MEMORY).answered == 20


def test_a_report_names_each_cause_once_and_how_to_see_it(capsys):
    findings = [Finding(9, "crash", "SIGSEGV"), Finding(4, "crash", "SIGSEGV"), Finding(2, "nan", "nan answered", "a")]
    command.report("artifacts", 3, Tally(findings=findings), 1.0)
    told = capsys.readouterr().out
    assert "3 cases in 1.0 s: 0 answered, refused none; 3 findings" in told
    assert "2 x crash: SIGSEGV" in told
    assert "python -m tools.fuzz artifacts --seed 3 --only 4" in told
    assert "--only 9" not in told


def test_the_exit_status_says_whether_something_was_found(monkeypatch, tmp_path):
    class Module:
        """Finds what it is asked to find."""

        @staticmethod
        def prepare(folder):
            """Nothing is needed."""

        @staticmethod
        def draw(rng):
            return "", (foreign if Module.bad else refuse)

    monkeypatch.setattr(command.importlib, "import_module", lambda name: Module)
    for bad in (False, True):
        Module.bad = bad
        assert command.main(["artifacts", "checkpoints", "--count", "3"]) == bad


@pytest.mark.parametrize("value", [{"a": [1, {"b": "text", "c": None}], "d": 2.5}, [1, 2, [3]], {}, "x", 5])
def test_changed_json_is_json_and_mostly_another(value):
    texts = [json_text(change_json(value, random.Random(seed))) for seed in range(200)]
    assert texts == [json_text(change_json(value, random.Random(seed))) for seed in range(200)]
    assert len(set(texts)) > 30
    for text in texts:
        if "[[[[" not in text:  # what is nested as deep as no reader goes
            json.loads(text)


def test_changed_bytes_and_values_are_of_the_same_kind():
    data, same = bytes(range(256)) * 4, 0
    for seed in range(200):
        changed = change_bytes(data, random.Random(seed))
        assert isinstance(changed, bytes)
        same += changed == data
    assert same < 10
    for dtype in (np.float32, np.float16, np.int8, np.int16, np.uint8):
        array = np.arange(60).astype(dtype).reshape(5, 12)
        changed = [change_values(array, random.Random(seed)) for seed in range(100)]
        assert all(each.shape == array.shape and each.dtype == array.dtype for each in changed)
        assert sum((each != array).any() for each in changed) > 80
    assert (array == np.arange(60).astype(dtype).reshape(5, 12)).all()


def test_ctrl_c_ends_it_and_keeps_what_was_found():
    def draw(rng):
        return "", (lambda: time.sleep(0.05))

    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        tally = run(draw, 0, range(10_000), jobs=2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert 0 < tally.answered < 1000
    assert tally.findings == []


def test_one_kind_is_prepared_after_another(tmp_path, monkeypatch):
    """Images are of the models that artifacts are, too: each has them in a folder of its own."""
    monkeypatch.setattr(artifacts, "MODELS", ("encoder",))
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        artifacts.prepare(tmp_path / name)
        assert [path.name for path in (tmp_path / name).glob("*.edgebert")] == ["0.edgebert"]
    assert len(artifacts._files) == 1
