"""``edgebert convert``: a trained model becomes one .edgebert file."""

from __future__ import annotations

import time
from pathlib import Path

import click

import edgebert
from edgebert.cli.progress import show_progress
from edgebert.cli.terminal import escape
from edgebert.destination import print_text

__all__ = ["convert"]


@click.command()
@click.argument("source")
@click.argument("output", metavar="OUTPUT.edgebert")
def convert(source: str, output: str) -> None:
    """Quantize a trained model to int8, in one file.

    SOURCE is a model folder as Hugging Face's tools save it (config.json, tokenizer, model.safetensors),
    or the name of one on the hub: org/name or org/name@revision.
    The hub's cache, mirror and offline settings are honoured (HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE).
    """
    started = time.monotonic()
    with show_progress(total=None, visible=True, label="layers") as advance:
        path = edgebert.convert(source, output, on_progress=lambda done, _: advance(0, done))
    seconds = time.monotonic() - started
    # The name of one on the hub is no folder here, and says nothing of its size.
    before = sum(file.stat().st_size for file in Path(source).glob("*.safetensors"))
    origin = f"{_megabytes(before)} in {source}" if before else source
    print_text(escape(f"{path}: {_megabytes(path.stat().st_size)}, from {origin}, in {seconds:.1f} s") + "\n")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
