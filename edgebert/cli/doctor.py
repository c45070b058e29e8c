"""``edgebert doctor``: what this computer is to edgebert, and whether it computes what it should."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from edgebert.cli.drawing import paragraph
from edgebert.cli.help import command
from edgebert.cli.terminal import Terminal
from edgebert.output import print_text

if TYPE_CHECKING:
    from edgebert.doctor import Finding

__all__ = ["doctor"]

_INDENT = 18
_COLOURS = {"good": "green", "note": "yellow", "fault": "red"}


@command(
    short_help="Look at this computer, and say what could be better.",
    examples=[
        "edgebert doctor",
    ],
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Look at the processor, the kernels, the threads and the memory, and compute something whose answer is known.

    Each finding is good, a note (it works, and could be better), or a fault, with what to do about it. With a fault the
    exit code is 1.
    """
    from edgebert.doctor import FAULT, examine

    findings, terminal = [], Terminal.at_stdout()
    for finding in examine():
        findings.append(finding)
        if not as_json:
            print_text(_lines(finding, terminal))
    if as_json:
        print_text(json.dumps([finding._asdict() for finding in findings], ensure_ascii=False, indent=2) + "\n")
    context.exit(int(any(finding.state == FAULT for finding in findings)))


def _lines(finding: Finding, terminal: Terminal | None) -> str:
    """Return a finding, and below it what to do."""
    state = finding.state
    if terminal is not None and terminal.colour:
        state = click.style(state, fg=_COLOURS[state], bold=True)
    head = f"{finding.name:<10} {state}{' ' * (7 - len(finding.state))}"
    indent = " " * _INDENT
    lines = [(indent if i else head) + line for i, line in enumerate(paragraph(finding.text, terminal, _INDENT))]
    if finding.advice:
        advice = paragraph(finding.advice, terminal, _INDENT + 3)
        lines += [indent + ("   " if i else "-> ") + line for i, line in enumerate(advice)]
    return "".join(f"{line}\n" for line in lines)
