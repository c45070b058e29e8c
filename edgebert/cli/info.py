"""``edgebert info``: what a model is, and what its makers say of it."""

from __future__ import annotations

import json
from typing import Any

import click

from edgebert.cli.completion import FileName
from edgebert.cli.help import command
from edgebert.cli.receipt import receipt_lines
from edgebert.cli.terminal import escape
from edgebert.output import print_text

__all__ = ["info"]


@command(
    short_help="Tell what a model is for, and how good it is.",
    examples=[
        "edgebert info                  # the model that comes with edgebert",
        "edgebert info my.edgebert --all",
    ],
)
@click.argument("model", required=False, type=FileName(), metavar="[MODEL]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, the model card in it.")
def info(model: str | None, as_json: bool) -> None:
    """Print the facts about a model, then its model card.

    MODEL is an .edgebert file; by default the sentiment model that comes with edgebert.
    """
    from edgebert.artifact import damaged
    from edgebert.loading import DEFAULT_MODEL
    from edgebert.model_file import ModelFile

    file = ModelFile(DEFAULT_MODEL if model is None else model)
    if as_json:
        facts = {**file.facts, "model_card": file.info.card}
        print_text(json.dumps(facts, ensure_ascii=False, indent=2) + "\n")
        return
    values = {key: _words(value) for key, value in file.facts.items() if key != "receipt"}
    width = max(map(len, values))
    lines = [f"{key:<{width}}  {escape(value)}" for key, value in values.items() if value]
    try:
        lines += ["", *map(escape, receipt_lines(file.facts["receipt"]))]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(file.path, "its receipt is none") from error
    if file.info.card:
        # A card comes from whoever made the model: its lines stay, whatever else could drive a terminal goes.
        lines += ["", *(escape(line) for line in file.info.card.replace("\t", "    ").splitlines())]
    print_text("\n".join(lines) + "\n")


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)
