"""``edgebert models``: those that come with edgebert, and those that were converted and kept; it removes the latter."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import edgebert
from edgebert.bundled import BUNDLED, Bundled, bundled_model
from edgebert.cli.help import command
from edgebert.cli.terminal import display_width, escape
from edgebert.cli.written import size_of
from edgebert.errors import InputError
from edgebert.output import print_text

if TYPE_CHECKING:
    from edgebert.model_cache import KeptModel

__all__ = ["models"]

_ALL = "all"
_WIDEST = 46
"""Columns that a name may take before it moves what stands behind it."""


@command(
    short_help="List the models that are here, or remove some.",
    examples=["edgebert models", "edgebert models --remove org/name"],
)
@click.option("--remove", metavar="NAME|all", help="Remove a model that was converted and kept, or all of these.")
@click.option(
    "--format",
    "layout",
    type=click.Choice(["table", "jsonl"]),
    default="table",
    show_default=True,
    help="Lines for people, or objects for programs.",
)
def models(remove: str | None, layout: str) -> None:
    """List the models that -m can name without a download: what each is for, its size, when it was last used.

    Some come with edgebert. Others were model folders, or names of the Hugging Face hub, that a command was given:
    these were converted once, and are kept in edgebert's cache ($XDG_CACHE_HOME/edgebert/models) until
    --remove takes them out.

    \b
    edgebert models
    edgebert models --remove dslim/bert-base-NER
    edgebert models --remove all

    jsonl gives an object for each: name, title, for, bytes, last_used (seconds
    since 1970, or null), bundled, file.
    """
    from edgebert.model_cache import kept_models

    kept = kept_models()
    if remove is not None:
        _remove(remove, kept)
        return
    rows = [_bundled_row(model) for model in BUNDLED] + [_kept_row(each) for each in kept]
    if layout == "jsonl":
        print_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return
    print_text("".join(f"{line}\n" for line in _lines(rows)))


def _bundled_row(model: Bundled) -> dict[str, Any]:
    return {
        "name": model.name,
        "title": model.title,
        "for": model.purpose,
        "bytes": model.path.stat().st_size,
        "last_used": None,
        "bundled": True,
        "file": str(model.path),
    }


def _kept_row(kept: KeptModel) -> dict[str, Any]:
    return {
        "name": kept.name,
        "title": kept.name if kept.version == edgebert.__version__ else f"{kept.name}, by edgebert {kept.version}",
        "for": kept.serves,
        "bytes": kept.file.stat().st_size,
        "last_used": round(kept.last_used),
        "bundled": False,
        "file": str(kept.file),
    }


def _lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield two lines for each model, and one on what the kept ones take; names of one file are told as such."""
    titles = [_title(row) for row in rows]
    width = min(max(map(display_width, titles)), _WIDEST)
    sizes: dict[str, int] = {}
    first: dict[str, str] = {}
    for row, title in zip(rows, titles, strict=True):
        if row["bundled"]:
            state = "comes with edgebert"
        else:
            same = f", the same file as {escape(first[row['file']])}" if row["file"] in first else ""
            state = f"last used {time.strftime('%Y-%m-%d %H:%M', time.localtime(row['last_used']))}{same}"
            first.setdefault(row["file"], row["name"])
            sizes[row["file"]] = row["bytes"]
        yield f"{title}{' ' * (width - display_width(title))}  {size_of(row['bytes']):>8}  {state}"
        yield f"  {row['for']}"
    if sizes:
        yield f"{len(sizes)} kept, {size_of(sum(sizes.values()))}, in {escape(str(Path(min(sizes)).parent))}"
    else:
        yield "none kept: what -m names is converted the first time, a folder or org/name"


def _title(row: dict[str, Any]) -> str:
    return escape(
        row["title"] if row["name"] in row["title"] or not row["bundled"] else f"{row['name']}: {row['title']}"
    )


def _remove(name: str, kept: Sequence[KeptModel]) -> None:
    """Remove the kept models of a name, or all; say what it was, and what came free."""
    # A folder is kept by its whole path; also one that is gone by now.
    asked = (name, os.path.realpath(name))
    chosen = [each for each in kept if name == _ALL or each.name in asked]
    if not chosen and name != _ALL:
        if bundled_model(name):
            raise InputError(f"{name} comes with edgebert, expected --remove with a model that was converted and kept")
        there = ", ".join(dict.fromkeys(each.name for each in kept)) or "none"
        raise InputError(f"--remove is {name!r}, but no model of that name is kept; those that are: {there}")
    from edgebert.model_cache import forget

    freed = forget(chosen)
    for each in chosen:
        print_text(f"removed {escape(each.name)}\n")
    print_text(f"{size_of(freed)} came free\n")
