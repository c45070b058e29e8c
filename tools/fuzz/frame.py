"""Run random cases in forked children, with limits on their time and memory, and tell what came of each.

A case is answered, with finite numbers, or refused with an `EdgebertError`; everything else is a finding: a signal,
silence for ten seconds, more memory than a gigabyte, another exception, a NaN. Cases are drawn from a seed and a
number, so that each can be run again alone.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import json
import math
import os
import random
import resource
import selectors
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from edgebert.errors import EdgebertError

__all__ = ["MEMORY", "SECONDS", "Draw", "Finding", "Tally", "run"]

Draw = Callable[[random.Random], tuple[str, Callable[[], object]]]
"""Makes a case: what it is, in words, and the function that runs it."""

SECONDS = 10.0
MEMORY = 1_000_000_000
"""Bytes that a child may have beside what it was born with."""
_BATCH = 50
"""Cases of one child: a fork takes as long as a few cases."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """A case that was neither answered nor refused.

    ``kind`` is "crash", "hang", "memory", "exception" or "nan"; ``place`` tells findings of one cause from others.
    """

    index: int
    kind: str
    place: str
    about: str = ""


@dataclasses.dataclass
class Tally:
    """What came of many cases: how many were answered, how many each error refused, and the findings."""

    answered: int = 0
    refused: Counter[str] = dataclasses.field(default_factory=Counter)
    findings: list[Finding] = dataclasses.field(default_factory=list)

    @property
    def cases(self) -> int:
        """How many there were."""
        return self.answered + self.refused.total() + len(self.findings)


@dataclasses.dataclass
class _Child:
    pid: int
    indices: list[int]
    deadline: float
    unread: bytes = b""
    told: int = 0


def run(
    draw: Draw,
    seed: int,
    indices: Iterable[int],
    *,
    jobs: int = 1,
    seconds: float = SECONDS,
    memory: int = MEMORY,
    aloud: bool = False,
) -> Tally:
    """Run cases.

    Parameters
    ----------
    draw : callable
    seed : int
    indices : iterable of int
        Which cases of this seed.
    jobs : int
        Children at a time.
    seconds : float
        That a case may take.
    memory : int
        That a child may have beside what it was born with [bytes].
    aloud : bool
        Whether children may write to standard error; Rust's panics do.

    Returns
    -------
    Tally
        Of all cases; after Ctrl-C, of those until then.
    """
    left = list(indices)
    tally = Tally()
    with selectors.DefaultSelector() as selector:
        children: dict[int, _Child] = {}

        def start() -> None:
            own, left[:] = left[:_BATCH], left[_BATCH:]
            reader, writer = os.pipe()
            sys.stdout.flush()
            sys.stderr.flush()
            pid = os.fork()
            if pid == 0:
                os.close(reader)
                _be_child(draw, seed, own, writer, memory, aloud)
            os.close(writer)
            children[reader] = _Child(pid, own, time.monotonic() + seconds)
            selector.register(reader, selectors.EVENT_READ)

        def end(reader: int, child: _Child, kind: str = "") -> None:
            selector.unregister(reader)
            os.close(reader)
            del children[reader]
            _, status = os.waitpid(child.pid, 0)
            if child.told == len(child.indices):
                return
            number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            place = signal.Signals(number).name if number else f"exit {os.WEXITSTATUS(status)}"
            tally.findings.append(Finding(child.indices[child.told], kind or "crash", kind or place))
            left[:0] = child.indices[child.told + 1 :]

        try:
            while left or children:
                while left and len(children) < jobs:
                    start()
                wait = min(child.deadline for child in children.values()) - time.monotonic()
                for key, _ in selector.select(max(wait, 0)):
                    reader, child = key.fd, children[key.fd]
                    data = os.read(reader, 1 << 16)
                    if not data:
                        end(reader, child)
                        continue
                    *lines, child.unread = (child.unread + data).split(b"\n")
                    for line in lines:
                        _take(tally, child.indices[child.told], json.loads(line))
                        child.told += 1
                    if lines:
                        child.deadline = time.monotonic() + seconds
                for reader, child in list(children.items()):
                    if time.monotonic() > child.deadline:
                        os.kill(child.pid, signal.SIGKILL)
                        end(reader, child, "hang")
        except KeyboardInterrupt:  # what was found so far counts
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # `timeout` sends it twice
            for child in children.values():
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
            signal.signal(signal.SIGINT, before)
    return tally


def _take(tally: Tally, index: int, outcome: Mapping[str, str]) -> None:
    if outcome["kind"] == "answered":
        tally.answered += 1
    elif outcome["kind"] == "refused":
        tally.refused[outcome["place"]] += 1
    else:
        tally.findings.append(Finding(index, outcome["kind"], outcome["place"], outcome["about"]))


def _be_child(draw: Draw, seed: int, indices: list[int], writer: int, memory: int, aloud: bool) -> None:
    """Run cases, and write a line about each; never return."""
    try:
        with open("/proc/self/statm", "rb") as file:
            size = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (size + memory, size + memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if not aloud:
            faulthandler.disable()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        warnings.simplefilter("ignore")
        for index in indices:
            outcome = _outcome(draw, random.Random(f"{seed}:{index}"))
            os.write(writer, json.dumps(outcome).encode() + b"\n")
    finally:
        os._exit(0)


def _outcome(draw: Draw, rng: random.Random) -> dict[str, str]:
    about = "drawing a case"
    try:
        about, function = draw(rng)
        answer = function()
    except EdgebertError as error:
        return {"kind": "refused", "place": type(error).__name__, "about": about}
    except MemoryError as error:
        return {"kind": "memory", "place": f"MemoryError at {_place(error)}", "about": about[:2000]}
    except BaseException as error:
        told = f"{type(error).__name__}: {str(error)[:200]!a}"
        return {"kind": "exception", "place": f"{told} at {_place(error)}", "about": about[:2000]}
    if (found := _not_finite(answer)) is not None:
        return {"kind": "nan", "place": f"{found} answered", "about": about[:2000]}
    return {"kind": "answered", "place": "", "about": about}


def _place(error: BaseException) -> str:
    """Return where an exception was raised: the innermost place in edgebert, and the innermost of all."""
    frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    own = [frame for frame in frames if "/edgebert/" in frame]
    return " < ".join(dict.fromkeys([*frames[-1:], *own[-1:]]))


def _not_finite(answer: Any) -> float | None:
    """Return a number within an answer that is NaN or infinite; None where there is none."""
    if isinstance(answer, np.ndarray):
        found = answer[~np.isfinite(answer)] if answer.dtype.kind == "f" else answer[:0]
        return float(found[0]) if len(found) else None
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    if isinstance(answer, (list, tuple)):
        return next((found for each in answer if (found := _not_finite(each)) is not None), None)
    return float(answer) if isinstance(answer, (float, np.floating)) and not math.isfinite(answer) else None
