"""``edgebert info``: what a model is for, how good it is, and what its makers say of it."""

from __future__ import annotations

import json
from typing import Any

import click

from edgebert.cli.drawing import listed, paragraph
from edgebert.cli.help import command
from edgebert.cli.parameters import ModelName
from edgebert.cli.terminal import Terminal, escape
from edgebert.output import print_text

__all__ = ["info"]


@command(
    short_help="Tell what a model is for, and how good it is.",
    examples=[
        "edgebert info                     # the model that comes with edgebert",
        "edgebert info my.edgebert --all   # its layers, and its whole card",
    ],
)
@click.argument("model", required=False, type=ModelName(), metavar="[MODEL]")
@click.option("--all", "everything", is_flag=True, help="Tell everything: sizes, layers, the whole model card.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, the model card in it.")
def info(model: str | None, everything: bool, as_json: bool) -> None:
    """Tell what a model is for, how good it is, and what its makers say of it.

    MODEL is what -m takes elsewhere; by default the sentiment model that comes with edgebert.
    """
    from edgebert.artifact import damaged
    from edgebert.cli.model_option import find_model_shown
    from edgebert.loading import DEFAULT_MODEL
    from edgebert.model_file import ModelFile

    file = ModelFile(DEFAULT_MODEL if model is None else find_model_shown(model))
    if as_json:
        facts = {**file.facts, "model_card": file.info.card}
        print_text(json.dumps(facts, ensure_ascii=False, indent=2) + "\n")
        return
    tell = _everything if everything else _summary
    try:
        text = tell(file.facts, file.info.card, "" if model is None else f" -m {model}", Terminal.at_stdout())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(file.path, "its receipt is none") from error
    print_text(text)


def _summary(facts: dict[str, Any], card: str, named: str, terminal: Terminal | None) -> str:
    """Return what people ask about a model first."""
    from edgebert.cli.purpose import example, how_good, length, makers, purpose, summary_of
    from edgebert.cli.receipt import short_rows
    from edgebert.cli.written import size_of

    size = f"{size_of(facts['size_bytes'])}, {facts['parameters'] / 1e6:.1f} million parameters"
    rows = [
        ("try", example(facts, named)),
        ("length", length(facts)),
        ("size", size),
        ("made from", facts["source"]),
        *makers(facts, card),
        *([("prompts", ", ".join(facts["prompts"]))] if facts["prompts"] else []),
    ]
    parts = [
        "".join(f"{line}\n" for line in paragraph(f"{purpose(facts)} {how_good(facts['receipt'])}", terminal)),
        listed(rows, terminal),
        listed(short_rows(facts["receipt"]), terminal),
    ]
    about = summary_of(card)
    if about:
        parts.append("".join(f"{line}\n" for line in paragraph(about, terminal)))
    return "\n".join([*parts, "--all tells everything, with the whole model card.\n"])


def _everything(facts: dict[str, Any], card: str, named: str, terminal: Terminal | None) -> str:  # noqa: ARG001 (as `_summary`)
    """Return all facts, all of the receipt, and the model card."""
    from edgebert.cli.receipt import receipt_rows

    rows = [(key, _words(value)) for key, value in facts.items() if key != "receipt"]
    parts = [listed([row for row in rows if row[1]], terminal), listed(receipt_rows(facts["receipt"]), terminal)]
    if card:
        # A card comes from whoever made the model: its lines stay, whatever else could drive a terminal goes.
        parts.append("".join(f"{escape(line)}\n" for line in card.replace("\t", "    ").splitlines()))
    return "\n".join(parts)


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)
