"""The option ``-m``: which model answers a command, found or converted first, and said where nobody named it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import edgebert
from edgebert.bundled import BUNDLED, default_for
from edgebert.cli.progress import show_steps
from edgebert.cli.terminal import note
from edgebert.cli.wording import command_of

if TYPE_CHECKING:
    from edgebert.model import Model

__all__ = ["check_model", "find_model_shown", "open_model"]

_ADVICE = {
    "fill_mask": (
        "google-bert/bert-base-uncased",
        "distilbert/distilbert-base-uncased",
        'fill-mask -m {} --text "Paris is the [MASK] of France."',
    ),
    "score": (
        "google-bert/bert-base-uncased",
        "distilbert/distilbert-base-uncased",
        'score -m {} --text "The cat sat on the mat."',
    ),
    "answer": (
        "distilbert/distilbert-base-cased-distilled-squad",
        "deepset/roberta-base-squad2",
        'answer -m {} -q "Who wrote it?" --text "Ann wrote the report."',
    ),
    "next_sentence": (
        "google-bert/bert-base-uncased",
        "google-bert/bert-base-cased",
        "next-sentence -m {} pairs.tsv",
    ),
    "embed_sparse": (
        "naver/splade-v3-distilbert",
        "rasyosef/splade-tiny",
        "embed --sparse -m {} notes.txt -o notes.jsonl",
    ),
    "embed_tokens": (
        "lightonai/GTE-ModernColBERT-v1",
        "colbert-ir/colbertv2.0",
        "embed --tokens -m {} notes.txt -o notes.jsonl",
    ),
    "gliner": (
        "urchade/gliner_medium-v2.1",
        "knowledgator/gliner-pii-base-v1.0",
        "tag -m {} letters.txt --labels person,place",
    ),
}
"""Task that no model of edgebert's own can do -> two of the hub that can, and a command."""
_METHODS = {"search": "embed", "redact": "tag", "gliner": "tag"}
"""Task -> the method of `edgebert.Model` that it needs, where that is called otherwise."""


def check_model(task: str, name: str | None) -> None:
    """Refuse a task for which no model is named and none comes with edgebert, before anything is read.

    Parameters
    ----------
    task : str
        The method of `edgebert.Model`, ``"search"`` or ``"redact"``.
    name : str or None
        What the user named with ``-m``.

    Raises
    ------
    UsageError
    """
    if name is not None and not name.strip():
        raise click.UsageError(
            f"-m is {name!r}, expected an .edgebert file, a model folder, org/name of a model on the hub, or one of"
            f" {', '.join(model.name for model in BUNDLED)}."
        )
    if name is None and default_for(task) is None:
        first, second, command = _ADVICE[task]
        raise click.UsageError(
            f"{command_of(task)} needs a model of its kind, and none comes with edgebert: name one with -m, for"
            f" example {first} or {second}, which is downloaded and converted once: edgebert {command.format(first)}"
        )


def open_model(task: str, name: str | None, **options: Any) -> Model:
    """Load the model that a task is to ask, with a bar while it is converted; say on stderr which, if nobody named it.

    Parameters
    ----------
    task : str
        As for `check_model`.
    name : str or None
        What the user named with ``-m``.
    **options
        Those of `edgebert.load`.

    Raises
    ------
    UsageError
        As `check_model`.
    EdgebertError
        As `edgebert.load`; InputError when the model cannot do it.
    """
    check_model(task, name)
    if name is not None:
        model = edgebert.load(find_model_shown(name), **options)
        _check_serves(model, task, name)
        return model
    own = default_for(task)
    assert own is not None  # or `check_model` has refused it
    model = edgebert.load(own.path, **options)
    if task != "classify":  # whose default is the one that everybody knows
        note(f"with {own.title}, which comes with edgebert")
    return model


def _check_serves(model: Model, task: str, name: str) -> None:
    """Refuse a model that cannot do what it is asked, in the names of commands.

    Raises
    ------
    InputError
    """
    method = _METHODS.get(task, task)
    try:
        model.require(method)
    except edgebert.InputError as error:
        from edgebert.heads import HEADS

        tasks = [each for head in model.info["heads"] for each in HEADS[head].tasks]
        if model.info.get("gliner"):
            tasks = ["gliner"]
        elif not tasks:
            tasks = ["embed_tokens", "rank"] if model.info.get("late_interaction") else ["embed", "rank", "search"]
        serves = ", ".join(map(command_of, tasks))
        own = default_for(task)
        if own is not None:
            remedy = f"leave -m out for {own.title}, which comes with edgebert"
        else:
            remedy = f"name another one, for example {_ADVICE[task][0]} or {_ADVICE[task][1]}"
        raise edgebert.InputError(f"{name} is no model for {command_of(task)}: it is for {serves}; {remedy}") from error


def find_model_shown(name: str) -> Path:
    """Return the .edgebert file of a model as `edgebert.loading.find_model` does, with a bar while it is converted."""
    from edgebert.loading import find_model

    with show_steps("layers") as show:
        told = False

        def on_progress(done: int, total: int) -> None:
            nonlocal told
            if not told:  # what is kept already is not converted
                note(f"{name} is converted and kept, which takes a while, once")
            told = True
            show(done, total)

        return find_model(name, on_progress)
