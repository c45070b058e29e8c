"""``edgebert redact``: texts without the personal data in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click

from edgebert.cli import model_option
from edgebert.cli.help import command
from edgebert.cli.options import LineOptions, check_apart, line_options, output_option, split_list
from edgebert.cli.parameters import FileName, Text
from edgebert.cli.progress import between, show_progress
from edgebert.cli.terminal import note
from edgebert.cli.texts import open_texts
from edgebert.cli.written import tell_no_rows
from edgebert.errors import InputError
from edgebert.watch import watched

if TYPE_CHECKING:
    from edgebert.cli.redacted import Redacted
    from edgebert.model import Model
    from edgebert.redact import Found, Redactor, Settings
    from edgebert.tables.chunks import Chunk

__all__ = ["redact"]

_KEY = "EDGEBERT_REDACT_KEY"


@command(
    short_help="Replace personal data in texts.",
    examples=[
        "edgebert redact letter.txt -o public.txt",
        "edgebert redact letters.csv --column text -o public.csv --report found.csv",
        "edgebert redact letter.txt --stand-ins --keep CITY,STATE",
    ],
)
@output_option(
    "Write to this file, whole or not at all; of several plain texts to this folder, as they lie in theirs."
    "  [default: standard output]"
)
@click.option(
    "--format",
    type=click.Choice(["text", "csv", "tsv", "jsonl", "parquet"]),
    help="[default: by the suffix of OUT, else as FILES are]",
)
@click.option(
    "--report",
    type=FileName(),
    metavar="REPORT",
    help="Write what was found, and where, to REPORT.jsonl or REPORT.csv. It has the personal data in it.",
)
@click.option(
    "--keep",
    type=Text(),
    callback=split_list,
    metavar="LABEL,...",
    help="Labels to leave as they are: CITY,STATE.",
)
@click.option(
    "--only", type=Text(), callback=split_list, metavar="LABEL,...", help="Labels to replace.  [default: all]"
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.3,
    show_default=True,
    help="How sure the model has to be that a word is personal data: less finds more, and more that is none.",
)
@click.option(
    "--patterns/--no-patterns",
    default=True,
    show_default=True,
    help="Whether rules find what has a form, too: e-mail addresses, phone, card and account numbers.",
)
@click.option(
    "--stand-ins",
    is_flag=True,
    help="Put values that look alike and are nobody's in the place of personal data, not labels; without --key"
    " different values have different ones.",
)
@click.option(
    "--key",
    type=Text(),
    envvar=_KEY,
    metavar="SECRET",
    help="Makes stand-ins the same in every run with this secret; two values, such as house numbers, may then have one."
    f"  [default: {_KEY}, else they count up]",
)
@line_options(windows=False, layouts=False, split="files", rows=False)
def redact(
    options: LineOptions,
    report: str | None,
    keep: tuple[str, ...] | None,
    only: tuple[str, ...] | None,
    threshold: float,
    patterns: bool,
    stand_ins: bool,
    key: str | None,
) -> None:
    """Replace personal data by labels like [SURNAME], or by stand-ins.

    Texts come from FILES, from standard input (-), or from --text. Everything else stays as it is, byte for byte.
    Of a table the column with the texts is redacted, and no other; what is written has all rows and columns, and is a
    table of the same kind, or of the one that OUT's name says.

    A model finds names, addresses and numbers; rules find e-mail addresses, URLs of persons, phone numbers, IBANs,
    card and social security numbers, IP addresses. What is found in one place is replaced in all places of all FILES,
    so they are read to their end before anything is written. NO TOOL FINDS EVERYTHING: read the result before you
    pass it on. REPORT alone has what was replaced.

    \b
    text   the texts with what is replaced in them
    jsonl  of plain text: an object for each text with text (redacted) and
           entities, which say what stands there now; of a table its rows
    csv    and tsv, parquet: the table with its column of texts redacted

    \b
    edgebert redact letters.txt -o redacted.txt
    edgebert redact tickets.csv --stand-ins --keep CITY,STATE -o public.csv
    """
    from edgebert.cli import redacted

    if stand_ins is False and key is not None:
        if click.get_current_context().get_parameter_source("key") is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError("--key goes with --stand-ins.")
        key = None
    if key is not None and not key:
        raise click.UsageError(f"--key is empty, expected a secret; or leave it and {_KEY} out.")
    if report is not None and PurePath(report).suffix.lower() not in redacted.REPORTS:
        raise click.UsageError(f"--report is {report}, expected a name that ends in {' or '.join(redacted.REPORTS)}.")
    model_option.check_model("redact", options.model)
    place = redacted.output_of(options)
    for output in (place.path, report):
        check_apart(options.inputs.files, output)
    if report is not None:
        redacted.check_report(place, report)
    with open_texts(options.inputs) as source:
        model = model_option.open_model("redact", options.model, **options.settings)
        from edgebert.redact import Redactor, Settings

        settings = Settings((), None, threshold, patterns, stand_ins, key)
        redactor = Redactor(model, _checked(model, settings, keep, only))
        found = []
        with show_progress(source.total, visible=not place.is_terminal) as advance:
            there = 0, 0
            for chunk in source:
                here, there = there, (source.done, there[1] + len(chunk.texts))
                with watched(between(advance, here, there)):
                    found.append((chunk, redactor.find(chunk.texts)))
                advance(*there)
    results = redacted.rows_of((chunk, _covered(redactor, chunk, spans)) for chunk, spans in found)
    redacted.write(place, results, found[-1][0])
    if report is not None:
        redacted.write_report(report, results)
    if results:
        _say(results)
    else:
        tell_no_rows(options.inputs.files, "replaced")


def _checked(model: Model, settings: Settings, keep: tuple[str, ...] | None, only: tuple[str, ...] | None) -> Settings:
    """Return settings with the labels that the user named.

    Raises
    ------
    InputError
        When one of them is not found by the model and the rules, or none is left.
    """
    from edgebert.redact import labels_of

    model.require("redact")
    labels = labels_of(model, patterns=settings.patterns)
    for option, named in (("--keep", keep), ("--only", only)):
        for label in named or ():
            if label not in labels:
                raise InputError(f"{option} has the label {label!r}, expected some of {', '.join(labels)}")
    if not {*(only or labels)} - {*(keep or ())}:
        raise InputError(f"--keep and --only leave no label to replace, of {', '.join(labels)}")
    return settings._replace(keep=keep or (), only=only)


def _covered(redactor: Redactor, chunk: Chunk, found: Sequence[Sequence[Found]]) -> list[dict[str, Any]]:
    return [redactor.cover(text, spans) for text, spans in zip(chunk.texts, found, strict=True)]


def _say(results: Sequence[Redacted]) -> None:
    """Say on stderr what was replaced, what was not looked at, and that a person has to look."""
    from edgebert.cli.redacted import other_columns
    from edgebert.tables.columns import listed_names

    entities = [each for result in results for each in result.entities]
    counts = Counter(each["entity_group"] for each in entities)
    sources = Counter(each["source"] for each in entities)
    texts = "1 text" if len(results) == 1 else f"{len(results):,} texts"
    lines = [f"nothing was found in {texts}"]
    if entities:
        labels = ", ".join(f"{count:,} {label}" for label, count in counts.most_common())
        by = _listed(
            (sources["model"], "by the model"),
            (sources["rule"], "by rules"),
            (sources["repeat"], "where it stood again"),
        )
        lines = [f"replaced {len(entities):,} in {texts}: {labels}", f"found {by}"]
    others = other_columns(result.chunk for result in results)
    if others:
        lines.append(f"these columns are as they were: {listed_names(others)}")
    lines.append("no tool finds everything: read the result before you pass it on")
    for line in lines:
        note(line)


def _listed(*counts: tuple[int, str]) -> str:
    return ", ".join(f"{count:,} {what}" for count, what in counts if count)
