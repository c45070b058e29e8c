"""From the start of a process to its first answer: ``edgebert classify --text``, and the same with ONNX Runtime.

::

    python -m benchmarks.startup --peers OUT_DIR --peer-python PYTHON

OUT_DIR is what `benchmarks.prepare` has filled, from a model of the size of edgebert's own (MiniLM-L6). The peer does a
little less: it reads a tokenizer and a model, encodes one text and reads off its first token, without a classifier.
Both run with the kernels, the bytecode and the files at hand: a first run comes before those that count.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.environment import print_environment
from benchmarks.latency import figure
from benchmarks.tables import print_table, write_json
from edgebert.memory import peak_bytes

__all__ = ["Start", "start"]

TEXT = "What a lovely little film, and how well it is acted."

_PEER = """
import sys
import numpy as np
import onnxruntime
from tokenizers import Tokenizer
folder, model, text = sys.argv[1:]
tokenizer = Tokenizer.from_file(folder + "/source/tokenizer.json")
tokenizer.no_padding()
session = onnxruntime.InferenceSession(folder + "/" + model, providers=["CPUExecutionProvider"])
ids = np.array([tokenizer.encode(text).ids])
inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
hidden = session.run(None, inputs)[0]
print(int(hidden[0, 0].argmax()))
"""


class Start(NamedTuple):
    """One process, from start to end.

    Attributes
    ----------
    seconds : float
    peak_bytes : int
        Most resident memory.
    """

    seconds: float
    peak_bytes: int


def start(command: list[str]) -> Start:
    """Run a command that answers and ends; raise RuntimeError when it fails."""
    begin = time.perf_counter()
    # A child's peak counts what this process has, some 30 MB: so it is right for those that take more.
    process = subprocess.Popen(command, cwd=Path.home(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    answer, said = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    process.stderr.close()
    if process.returncode or not answer.strip():
        raise RuntimeError(f"{' '.join(command[:4])} exited with {process.returncode}: {said.decode()[-500:]}")
    return Start(seconds, peak_bytes(usage))


def main() -> None:
    """Start all in turn, and print the table."""
    parser = argparse.ArgumentParser(description="From the start of a process to its first answer.")
    parser.add_argument("--model", type=Path, help="an .edgebert classifier; default the model in the package")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has edgebert")
    parser.add_argument("--peers", type=Path, help="the folder that benchmarks.prepare has filled")
    parser.add_argument("--peer-python", default=sys.executable, help="the interpreter that has onnxruntime")
    parser.add_argument("--rounds", type=int, default=20, help="default 20")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    environment = print_environment()
    own = [args.python, "-m", "edgebert", "classify", "--text", TEXT]
    commands = {"edgebert": own + (["--model", str(args.model.absolute())] if args.model else [])}
    for name in ("ort_int8", "ort_int8_full") if args.peers else ():
        commands[name] = [args.peer_python, "-c", _PEER, str(args.peers.absolute()), f"{name}.onnx", TEXT]
    commands["python alone"] = [args.python, "-c", "print(1)"]
    for command in commands.values():
        start(command)
    found: dict[str, list[Start]] = {name: [] for name in commands}
    for _ in range(args.rounds):
        for name, command in commands.items():
            found[name].append(start(command))
    seconds = {name: figure([each.seconds for each in starts]) for name, starts in found.items()}
    peaks = {name: max(each.peak_bytes for each in starts) for name, starts in found.items()}
    rows = [
        [name, f"{1e3 * seconds[name]:.0f}", f"{seconds['edgebert'] / seconds[name]:.2f}", f"{peaks[name] / 1e6:.0f}"]
        for name in commands
    ]
    print_table(["start to answer", "milliseconds", "edgebert's time over its", "peak MB"], rows)
    results = [{"command": name, "seconds": seconds[name], "peak_bytes": peaks[name]} for name in commands]
    write_json(args.json, environment, startup=results)


if __name__ == "__main__":
    main()
