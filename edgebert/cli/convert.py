"""``edgebert convert``: a trained model becomes one .edgebert file, with a receipt."""

from __future__ import annotations

import time
from pathlib import Path

import click

import edgebert
from edgebert.cli.drawing import listed
from edgebert.cli.help import command
from edgebert.cli.options import errors_option
from edgebert.cli.parameters import FileName
from edgebert.cli.progress import show_steps
from edgebert.cli.receipt import receipt_rows, short_rows
from edgebert.cli.terminal import Terminal, escape
from edgebert.cli.texts import read_texts
from edgebert.cli.written import size_of
from edgebert.output import print_text

__all__ = ["convert"]


@command(
    short_help="Quantize a trained model into one .edgebert file.",
    examples=[
        "edgebert convert ./my-bert my.edgebert",
        "edgebert convert sentence-transformers/all-MiniLM-L6-v2 minilm.edgebert",
    ],
)
@click.argument("source", type=FileName())
@click.argument("output", type=FileName(), metavar="OUTPUT.edgebert")
@click.option(
    "--calibrate",
    type=FileName(),
    metavar="TEXTS",
    help="A file of texts like those that the model will meet, one a line, to quantize it for.",
)
@click.option("--evaluate", type=FileName(), metavar="TEXTS", help="A file of other texts to measure the result on.")
@errors_option
@click.option(
    "--min-agreement",
    type=click.FloatRange(0, 1),
    help="Write nothing if a head decides less alike (without a head: if the mean cosine is less)."
    "  [default: 0.99, give or take what so few decisions can tell]",
)
@click.option(
    "--embeddings",
    type=click.Choice(["int8", "int4"]),
    default="int8",
    show_default=True,
    help="What the word embeddings are kept in; int4 takes half of the space.",
)
@click.option("--force", is_flag=True, help="Write it all the same; its receipt says so.")
@click.option("--all", "everything", is_flag=True, help="Print all of the receipt: the worst layers, too.")
def convert(
    source: str,
    output: str,
    calibrate: str | None,
    evaluate: str | None,
    errors: str,
    min_agreement: float | None,
    embeddings: str,
    force: bool,
    everything: bool,
) -> None:
    """Quantize a trained model to int8, in one file, and measure it against fp32.

    SOURCE is a model folder as Hugging Face's tools save it (config.json, tokenizer, model.safetensors),
    or the name of one on the hub: org/name or org/name@revision.
    The hub's cache, mirror and offline settings are honoured (HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE).

    The receipt, which is printed in short and kept in the file (edgebert info), comes from a small general text
    unless --evaluate names another. It tells for each of the model's heads how much of what it decides
    (the label of a text, the tag of a token, the word in a masked place, the span of an answer) stays the same.
    """
    started = time.monotonic()
    with show_steps("layers") as on_progress:
        path = edgebert.convert(
            source,
            output,
            calibrate=None if calibrate is None else read_texts(calibrate, errors),
            evaluate=None if evaluate is None else read_texts(evaluate, errors),
            min_agreement=min_agreement,
            force=force,
            embeddings=embeddings,
            on_progress=on_progress,
        )
    from edgebert.model_file import ModelFile

    written = ModelFile(path)
    receipt = written.facts["receipt"]
    origin = f"{size_of(receipt['bytes_before'])} in {source if Path(source).is_dir() else written.facts['source']}"
    size = size_of(path.stat().st_size)
    print_text(escape(f"{path}: {size}, from {origin}, in {time.monotonic() - started:.1f} s") + "\n")
    print_text(listed((receipt_rows if everything else short_rows)(receipt), Terminal.at_stdout()))
