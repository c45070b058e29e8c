"""Engines in processes of their own, asked in turn, so that a noisy moment of the machine meets them all.

Between requests a worker is stopped by a signal: threads that an engine leaves spinning take no time from the
others, and go on as they were when the worker's turn comes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.engines import ENGINES, thread_environment
from benchmarks.hold import HOLDS, hold

__all__ = ["Entry", "Worker", "WorkerError", "add_peer_options", "entries", "open_workers", "print_engines"]

_ROOT = Path(__file__).parent.parent
_STOPS = hasattr(signal, "SIGSTOP")


class WorkerError(Exception):
    """An engine that could not be started, or that died."""


class Entry(NamedTuple):
    """One column of a table: what to start, and in which environment.

    Attributes
    ----------
    name : str
        As printed.
    engine : str
        A key of `ENGINES`.
    model : Path
    python : str
        The interpreter that has the engine.
    variables : dict
        Environment variables on top of this process's.
    """

    name: str
    engine: str
    model: Path
    python: str
    variables: dict[str, str]


class Worker:
    """A running engine.

    Parameters
    ----------
    entry : Entry
    threads : int

    Raises
    ------
    WorkerError
        When the engine is not installed or cannot load the model.
    """

    def __init__(self, entry: Entry, threads: int) -> None:
        self.entry = entry
        self._complaints = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        command = [entry.python, "-m", "benchmarks.worker", entry.engine, str(entry.model.absolute())]
        command += ["--threads", str(threads)]
        self._process = subprocess.Popen(
            command,
            cwd=_ROOT,
            env={**thread_environment(threads), **entry.variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )
        try:
            self.facts: dict[str, str] = self._answer()["facts"]
        except BaseException:
            self.close()
            raise

    def ask(self, **request: Any) -> dict[str, Any]:
        """Let the worker run, send one request and return its answer."""
        if _STOPS:
            self._process.send_signal(signal.SIGCONT)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the missing answer says it better
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._complaints.seek(0)
            said = self._complaints.read().strip().splitlines() or ["it said nothing"]
            raise WorkerError(f"{self.entry.name} died: {said[-1]}")
        if _STOPS:
            self._process.send_signal(signal.SIGSTOP)
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.entry.name}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._complaints.close()


@contextlib.contextmanager
def open_workers(entries: list[Entry], threads: int) -> Iterator[list[Worker]]:
    """Start the engines that can be started; name the others and leave them out.

    edgebert is never left out: when it cannot be started, `WorkerError` is raised.
    """
    with contextlib.ExitStack() as stack:
        workers = []
        for entry in entries:
            try:
                worker = Worker(entry, threads)
            except WorkerError as error:
                if entry.engine == "edgebert":
                    raise
                print(f"left out: {error}", flush=True)
                continue
            stack.callback(worker.close)
            workers.append(worker)
        yield workers


def print_engines(workers: list[Worker]) -> None:
    """Print the version of every engine."""
    for worker in workers:
        facts = " ".join(f"{name} {value}" for name, value in worker.facts.items())
        print(f"{worker.entry.name:<24}{facts}")
    print(flush=True)


def add_peer_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the engines: those of every comparison."""
    parser.add_argument("--model", type=Path, required=True, help="the .edgebert file")
    parser.add_argument("--peers", type=Path, help="the folder that benchmarks.prepare has filled")
    parser.add_argument("--peer-python", default=sys.executable, help="the interpreter that has the peers")
    peers = [name for name in ENGINES if name != "edgebert"]
    parser.add_argument("--engines", default=",".join(peers), help=f"peers to measure, of {', '.join(peers)}")
    parser.add_argument("--hold", choices=HOLDS, help="let edgebert and the peers use no newer instructions than these")


def entries(args: argparse.Namespace, families: list[str] | None = None) -> list[Entry]:
    """Return what to start for the options of `add_peer_options`: edgebert first.

    Parameters
    ----------
    args : Namespace
    families : list of str, optional
        Instruction families to force, an entry each, after edgebert's own choice.
    """
    held = {"EDGEBERT_FAMILY": args.hold} if args.hold else {}
    found = [Entry("edgebert", "edgebert", args.model, sys.executable, held)]
    for family in families or []:
        forced = {"EDGEBERT_FAMILY": family}
        found.append(Entry(f"edgebert {family}", "edgebert", args.model, sys.executable, forced))
    variables = hold(args.hold, args.peer_python, args.peers / "held") if args.hold and args.peers else {}
    for name in args.engines.split(",") if args.peers else []:
        if name not in ENGINES:
            raise SystemExit(f"error: --engines names {name!r}, expected some of {', '.join(ENGINES)}")
        model = args.peers / ENGINES[name][1]
        if not model.exists():
            print(f"left out: {name}: {model} does not exist; run benchmarks.prepare")
            continue
        found.append(Entry(name, name, model, args.peer_python, variables))
    return found
