"""Throw random cases at edgebert: ``python -m tools.fuzz artifacts checkpoints images calls --count N --seed S``.

The exit status is 1 where it finds something. One case again, with all that it says:
``python -m tools.fuzz artifacts --seed S --only 1234``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

# Before NumPy: its threads would not be there in a forked child.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from tools.fuzz.frame import Finding, Tally, run

KINDS = ("artifacts", "checkpoints", "images", "calls")
"""Modules here, each with ``prepare(folder)``, which loads all that its cases need, and ``draw``."""


def main(arguments: list[str] | None = None) -> int:
    """Run the fuzzer; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], metavar="KIND", help=f"{', '.join(KINDS)}; or all")
    parser.add_argument("--count", type=int, default=2000, help="cases of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one case")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="children at a time")
    options = parser.parse_args(arguments)
    indices = range(options.count) if options.only is None else range(options.only, options.only + 1)
    found = 0
    for kind in options.kinds or KINDS:
        # In memory, where there is such a place: thousands of small files are written.
        room = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        with tempfile.TemporaryDirectory(prefix="edgebert-fuzz-", dir=room) as folder:
            module = importlib.import_module(f"tools.fuzz.{kind}")
            module.prepare(Path(folder))
            begin = time.perf_counter()
            tally = run(module.draw, options.seed, indices, jobs=options.jobs, aloud=options.only is not None)
            report(kind, options.seed, tally, time.perf_counter() - begin)
        found += len(tally.findings)
    return 1 if found else 0


def report(kind: str, seed: int, tally: Tally, seconds: float) -> None:
    """Print what came of the cases of a kind."""
    refused = ", ".join(f"{count} {name}" for name, count in tally.refused.most_common())
    print(
        f"{kind}: {tally.cases} cases in {seconds:.1f} s: {tally.answered} answered, refused {refused or 'none'};"
        f" {len(tally.findings)} findings",
        flush=True,
    )
    alike: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in tally.findings:
        alike[finding.kind, finding.place].append(finding)
    for (what, place), findings in sorted(alike.items(), key=lambda item: -len(item[1])):
        first = min(findings, key=lambda finding: finding.index)
        print(f"  {len(findings)} x {what}: {place}")
        print(f"      {first.about or 'see'}  python -m tools.fuzz {kind} --seed {seed} --only {first.index}")


if __name__ == "__main__":
    sys.exit(main())
