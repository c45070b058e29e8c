"""``edgebert doctor``: what this computer is to edgebert, and whether it computes what it should."""

from __future__ import annotations

import json

import click

from edgebert.cli.help import command
from edgebert.cli.terminal import escape
from edgebert.output import print_text

__all__ = ["doctor"]


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

    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            advice = f"\n{'':<18}-> {escape(finding.advice)}" if finding.advice else ""
            print_text(f"{finding.name:<10} {finding.state:<6} {escape(finding.text)}{advice}\n")
    if as_json:
        print_text(json.dumps([finding._asdict() for finding in findings], ensure_ascii=False, indent=2) + "\n")
    context.exit(int(any(finding.state == FAULT for finding in findings)))
