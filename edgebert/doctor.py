"""What edgebert finds on this computer, what that means, and what can be done about it."""

from __future__ import annotations

import os
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

import edgebert
from edgebert.batch import pack
from edgebert.engine import processor
from edgebert.engine.backend import ReferenceBackend, open_backend
from edgebert.engine.devices import CPU, choose_device, cuda_driver
from edgebert.engine.kernel_file import cache_folder, can_compile, find_kernels, this_platform
from edgebert.engine.linker import find_compiler
from edgebert.engine.threads import default_threads, explain_threads
from edgebert.errors import EdgebertError
from edgebert.kernels.simd.families import FAMILIES
from edgebert.loading import DEFAULT_MODEL
from edgebert.model import Model
from edgebert.model_file import ModelFile
from edgebert.runner import token_budget
from edgebert.tokens import TextTokenizer

__all__ = ["Finding", "examine"]

GOOD, NOTE, FAULT = "good", "note", "fault"
_SELF_TEST_SECONDS = 1.5
_TEXT = "What a lovely little film, and how well it is acted."
_COSINE = 0.999
"""How near the kernels' hidden states come to the reference's, whose sums are in another order."""


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes
    ----------
    name : str
    state : str
        ``"good"``, ``"note"`` (it works, and could be better), or ``"fault"``.
    text : str
        What was found.
    advice : str
        What to do; empty for nothing.
    """

    name: str
    state: str
    text: str
    advice: str = ""


def examine() -> Iterator[Finding]:
    """Look at everything, one after the other; the last, a self-test, takes about two seconds.

    What fails is a finding: nothing is raised.
    """
    for name, look in _LOOKS.items():
        try:
            yield look(name)
        except (EdgebertError, OSError) as error:
            yield Finding(name, FAULT, str(error))


def _version(name: str) -> Finding:
    text = f"edgebert {edgebert.__version__}, Python {sys.version.split()[0]}, NumPy {np.__version__}"
    if struct.calcsize("P") != 8:
        return Finding(name, FAULT, f"{text}, 32 bits", "install a system of 64 bits: the kernels are for these")
    return Finding(name, GOOD, text)


def _processor(name: str) -> Finding:
    features = sorted(processor.features())
    text = f"{processor.processor_name()}, {this_platform()}; {' '.join(features) or 'no feature that edgebert uses'}"
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor.exists() and governor.read_text().strip() == "powersave":
        return Finding(name, NOTE, text, "its governor is powersave: 'performance' or 'schedutil' answers sooner")
    return Finding(name, GOOD, text)


def _family(name: str) -> Finding:
    chosen, available = processor.choose_family(), processor.available_families()
    text = f"{chosen}, of {', '.join([*available, processor.REFERENCE])}"
    requested = os.environ.get("EDGEBERT_FAMILY", "").strip()
    if chosen == processor.REFERENCE:
        return Finding(name, NOTE, text, "the reference is slow: unset EDGEBERT_FAMILY and NUMBA_DISABLE_JIT")
    if requested and chosen != available[0]:
        return Finding(name, NOTE, f"{text}, as EDGEBERT_FAMILY says", f"unset it: {available[0]} is faster")
    if chosen != available[0]:
        advice = f"{available[0]} is faster: edgebert compile --target {available[0]} makes its kernels"
        return Finding(name, NOTE, f"{text}, for which there are kernels", advice)
    if not FAMILIES[chosen].needs:
        return Finding(name, NOTE, text, "these kernels use no instruction of this processor that others lack")
    return Finding(name, GOOD, text)


def _kernels(name: str) -> Finding:
    family = processor.choose_family()
    if family == processor.REFERENCE:
        return Finding(name, GOOD, "none: NumPy computes")
    found = find_kernels(family, processor.features())
    if found is None and not can_compile():
        advice = "pip install numba, or compile on another computer and set EDGEBERT_KERNELS"
        return Finding(name, FAULT, f"none for {family}, and Numba is not installed", advice)
    if found is None:
        return Finding(name, NOTE, "to be compiled when first needed, about ten seconds", "edgebert compile, now")
    text = f"{found.path}, {found.form}"
    if found.form == "object":
        compiler = "" if find_compiler(this_platform()) else "install a C compiler (or: pip install ziglang), "
        return Finding(name, NOTE, f"{text}, which llvmlite loads", f"{compiler}then edgebert compile: starts sooner")
    return Finding(name, GOOD, text)


def _threads(name: str) -> Finding:
    threads, why = explain_threads()
    usable = explain_threads(environment={})[0]
    advice = f"{usable} processors may be used: more threads wait for each other" if threads > usable else ""
    return Finding(name, NOTE if advice else GOOD, f"{threads}, {why}", advice)


def _device(name: str) -> Finding:
    device, missing = choose_device()
    if missing:
        return Finding(name, NOTE, f"{device}, though EDGEBERT_DEVICE is auto: {missing}")
    if device == CPU:
        return Finding(name, GOOD, "cpu; --device cuda, or EDGEBERT_DEVICE=cuda or auto, for an NVIDIA GPU")
    from edgebert.cuda.device import Device

    gpu = Device(cuda_driver())
    try:
        major, minor = gpu.capability
        free = gpu.free_memory() / 1e9
        return Finding(name, GOOD, f"{gpu.name}, compute capability {major}.{minor}, {free:.1f} GB free")
    finally:
        gpu.close()


def _cache(name: str) -> Finding:
    try:
        folder = cache_folder()
    except RuntimeError:
        return Finding(name, NOTE, "there is no home folder", "set XDG_CACHE_HOME to a folder that can be written")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        advice = "set XDG_CACHE_HOME to a folder that can be written, or kernels are compiled at every start"
        return Finding(name, NOTE, f"{folder}, which cannot be written: {error.strerror}", advice)
    return Finding(name, GOOD, str(folder))


def _memory(name: str) -> Finding:
    needed = DEFAULT_MODEL.stat().st_size + 60_000_000
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
        available, total = sizes["MemAvailable"], sizes["MemTotal"]
    except (OSError, KeyError, ValueError, IndexError):
        return Finding(name, GOOD, "this system does not say how much there is")
    text = f"{available / 1e9:.1f} of {total / 1e9:.1f} GB available"
    text += f"; the sentiment model takes about {needed / 1e6:.0f} MB"
    if available < needed:
        return Finding(name, FAULT, text, "close other programs, or take a smaller model")
    return Finding(name, GOOD, text)


def _self_test(name: str) -> Finding:
    file = ModelFile(DEFAULT_MODEL)
    config, threads = file.info.config, default_threads()
    backend = open_backend(config, file.tensors, threads, token_budget(config), choose_device()[0])
    model = Model(file, backend)
    (answer,) = model.classify([_TEXT])
    ids = TextTokenizer(file.info.tokenizer, file.info.max_length).single(_TEXT).ids
    batch = pack([ids])
    got, expected = backend.encode(batch), ReferenceBackend(config, file.tensors, len(ids)).encode(batch)
    norms = np.linalg.norm(got, axis=1) * np.linalg.norm(expected, axis=1)
    cosine = float((np.sum(got * expected, axis=1) / norms).min())
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < _SELF_TEST_SECONDS:
        backend.encode(batch)
        count += 1
    rate = count / (time.perf_counter() - begin)
    text = (
        f"{answer['label']} {answer['score']:.3f} for a kind sentence, cosine to the reference {cosine:.6f};"
        f" {rate:.0f} texts of {len(ids)} tokens a second"
    )
    if answer["label"] != "POSITIVE" or not cosine >= _COSINE:
        advice = "the kernels compute something else: EDGEBERT_FAMILY=portable may be right; please report this"
        return Finding(name, FAULT, text, advice)
    return Finding(name, GOOD, text)


_LOOKS: dict[str, Callable[[str], Finding]] = {
    "version": _version,
    "processor": _processor,
    "family": _family,
    "kernels": _kernels,
    "threads": _threads,
    "device": _device,
    "cache": _cache,
    "memory": _memory,
    "self-test": _self_test,
}
