"""How redacted texts are written: plain texts as they came in, tables in their kind, and a report of what was found."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from edgebert.cli.formats import Row, RowFormat, csv_line
from edgebert.cli.lines import output_format, row_writer
from edgebert.cli.options import LineOptions
from edgebert.cli.terminal import Terminal, escape
from edgebert.errors import OutputError
from edgebert.output import check_folder, open_output, print_text

if TYPE_CHECKING:
    from edgebert.tables.chunks import Chunk

__all__ = [
    "REPORTS",
    "Place",
    "Redacted",
    "check_report",
    "other_columns",
    "output_of",
    "rows_of",
    "write",
    "write_report",
]

REPORTS = (".jsonl", ".csv")
"""What the name of a report ends in."""
_REPORT = ("file", "line", "start", "end", "label", "score", "source", "word", "replacement")
_TABLES = ("csv", "tsv", "jsonl", "parquet")


class Place(NamedTuple):
    """Where redacted texts go.

    Attributes
    ----------
    options : LineOptions
    format : str
        ``"text"``, or a kind of table.
    path : str or None
        A file, None for standard output; a folder where `is_folder`.
    is_folder : bool
    is_terminal : bool
    """

    options: LineOptions
    format: str
    path: str | None
    is_folder: bool
    is_terminal: bool


class Redacted(NamedTuple):
    """A text of a chunk, and what `Redactor.cover` made of it."""

    chunk: Chunk
    at: int
    text: str
    entities: list[dict[str, Any]]

    @property
    def shown_entities(self) -> list[dict[str, Any]]:
        """What stands in the place of personal data and where, in `text`; nothing of what was there."""
        found, moved = [], 0
        for each in self.entities:
            start = each["start"] + moved
            end = start + len(each["replacement"])
            moved = end - each["end"]
            shown = {name: value for name, value in each.items() if name != "word"}
            found.append({**shown, "start": start, "end": end})
        return found


def output_of(options: LineOptions) -> Place:
    """Find where redacted texts go, and in which form, before anything is read.

    Raises
    ------
    click.UsageError
        When the form that was asked for is not one for these texts.
    OutputError
        When several plain texts would go to one file, or two of them to one.
    """
    inputs = options.inputs
    path = None if options.output == "-" else options.output
    terminal = path is None and Terminal.at_stdout() is not None
    if inputs.is_table:
        if options.format == "text":
            raise click.UsageError("--format text is for plain text, and this is a table: csv, tsv, jsonl or parquet.")
        return Place(options, options.format or output_format(options, inputs.reading.kind), path, False, terminal)
    suffix = PurePath(path or "").suffix.lower().removeprefix(".")
    wanted = options.format or (suffix if suffix in _TABLES else "text")
    if wanted not in ("text", "jsonl"):
        raise click.UsageError(
            f"Plain text is written as text or jsonl, not as {wanted}: name another OUT or --format."
        )
    is_folder = False
    if path is not None and wanted == "text" and (len(inputs.files) > 1 or os.path.isdir(path)):
        _check_names(inputs.files, path)
        is_folder = True
    elif path is not None:
        check_folder(path)
    return Place(options, wanted, path, is_folder, terminal)


def _check_names(files: Sequence[str], folder: str) -> None:
    """Check that there is a folder, and that every file gets a name of its own in it, which is none of theirs."""
    if not os.path.isdir(folder):
        raise OutputError(f"{folder} is no folder, expected one for {len(files)} files: make it first")
    names: dict[str, str] = {}
    for file in files:
        if file == "-":
            raise OutputError("standard input has no name for a file in a folder: let -o be a file")
        target, name = _in_folder(file, folder), PurePath(file).name
        if os.path.exists(target) and any(os.path.samefile(target, each) for each in files if each != "-"):
            raise OutputError(f"{target} is a file that the texts come from; name another folder with -o")
        if name in names:
            raise OutputError(f"{names[name]} and {file} have one name, expected two in the folder {folder}")
        names[name] = file


def check_report(place: Place, report: str) -> None:
    """Check that a report can be written, and takes the place of nothing that is redacted.

    Raises
    ------
    click.UsageError
        When it would: the report has the personal data in it.
    OutputError
    """
    targets = [] if place.path is None else [place.path]
    if place.is_folder:
        targets = [_in_folder(file, str(place.path)) for file in place.options.inputs.files]
    for target in targets:
        exist = os.path.exists(target) and os.path.exists(report)
        if os.path.realpath(target) == os.path.realpath(report) or (exist and os.path.samefile(target, report)):
            names = report if report == target else f"{report} (as {target})"
            raise click.UsageError(f"--report and -o would both write {names}, expected two files.")
    check_folder(report)


def _in_folder(file: str, folder: str) -> str:
    """Return where in a folder a redacted file goes."""
    return str(PurePath(folder, PurePath(file).name))


def other_columns(chunks: Iterable[Chunk]) -> list[str]:
    """Return the columns of tables that texts do not come from; what stands beside a path in jsonl by its path.

    Parameters
    ----------
    chunks : iterable of Chunk
        Any of them more than once.
    """
    from edgebert.tables.jsonl import ObjectRows

    found: dict[str, None] = {}
    for rows in {id(chunk): chunk.rows for chunk in chunks}.values():
        if rows is not None:
            # Only of jsonl there is something beside the columns: rows of their own keys, and keys within.
            for record in rows.objects if isinstance(rows, ObjectRows) else [dict.fromkeys(rows.columns)]:
                found.update(dict.fromkeys(_beside(record, rows.chosen[0])))
    return [*found]


def _beside(record: dict[str, Any], path: str) -> Iterator[str]:
    """Yield the keys that are not at a path of keys, nor on the way to it."""
    key, _, rest = ("", "", "") if path in record else path.partition(".")
    for name, value in record.items():
        if name == key and isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in _beside(value, rest))
        elif name != path and not (name == key and value is None):
            yield name


def rows_of(covered: Iterable[tuple[Chunk, Sequence[dict[str, Any]]]]) -> list[Redacted]:
    """Return the texts of chunks, redacted."""
    return [
        Redacted(chunk, at, each["text"], each["entities"])
        for chunk, all_of in covered
        for at, each in enumerate(all_of)
    ]


def write(place: Place, results: Sequence[Redacted], last: Chunk) -> None:
    """Write redacted texts; `last` is what was read last: it has the columns of a table without rows.

    Raises
    ------
    OutputError
    """
    if place.format != "text":
        _write_rows(place, results, last)
    elif place.is_terminal:
        terminal = Terminal.at_stdout() or Terminal()
        print_text("".join(_shown(each, terminal) for each in results))
    elif place.is_folder:
        files: dict[str, list[Redacted]] = {}
        for each in results:
            files.setdefault(each.chunk.file, []).append(each)
        for file, of_file in files.items():
            _write_bytes(_in_folder(file, str(place.path)), of_file)
    else:
        _write_bytes(place.path, results)


def _write_bytes(path: str | None, results: Sequence[Redacted]) -> None:
    with open_output(path) as output:
        output.write(b"".join(map(_bytes, results)))


def _bytes(result: Redacted) -> bytes:
    """Return a text with what stood before and behind it in its file; given ones are lines."""
    chunk, at = result.chunk, result.at
    before = chunk.before if at == 0 else b""
    return before + result.text.encode("utf-8", "replace") + (b"\n" if chunk.ends is None else chunk.ends[at])


def _shown(result: Redacted, terminal: Terminal) -> str:
    """Return a text for people: what was replaced in colour, and nothing that could drive the terminal."""
    pieces, text, at = [], result.chunk.texts[result.at], 0
    for each in result.entities:
        replacement = _safe(each["replacement"])
        pieces += [
            _safe(text[at : each["start"]]),
            click.style(replacement, fg="black", bg="yellow") if terminal.colour else replacement,
        ]
        at = each["end"]
    behind = b"" if result.chunk.ends is None else result.chunk.ends[result.at]
    whole = "".join([*pieces, _safe(text[at:]), _safe(behind.decode("utf-8", "replace"))])
    return whole if whole.endswith("\n") else whole + "\n"


def _safe(text: str) -> str:
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(escape, line.split("\t"))) for line in lines)


def _write_rows(place: Place, results: Sequence[Redacted], last: Chunk) -> None:
    from edgebert.coverage import Coverage

    form = RowFormat(
        records=lambda _: [{}],
        document=lambda row: {"text": row.answer.text, "entities": row.answer.shown_entities},
        columns=(),
        sheet=(),
        texts=(),  # the text as it was is for the report alone
        replacement=lambda row: row.answer.text if row.answer.entities else None,
        coverage=False,
    )
    if place.options.inputs.is_table:
        form = form._replace(document=lambda _: {})
    options = dataclasses.replace(place.options, format=place.format)
    with open_output(place.path) as output:
        writer = row_writer(options, form)(None, output)  # type: ignore[arg-type] # it is for forms that depend on it
        unseen = Coverage(0, 0, False)
        rows = [
            Row(i, each.chunk.texts[each.at], each, unseen, each.chunk, each.at)
            for i, each in enumerate(results, start=1)
        ]
        writer.write(rows)
        writer.finish(last)


def write_report(path: str, results: Sequence[Redacted]) -> None:
    """Write what was found: a line of csv below a header, or an object of jsonl, for each place.

    Raises
    ------
    OutputError
    """
    records = [record for each in results for record in _records(each)]
    if PurePath(path).suffix.lower() == ".csv":
        text = "".join(csv_line([*cells]) for cells in (_REPORT, *(record.values() for record in records)))
    else:
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    with open_output(path) as output:
        output.write(text.encode("utf-8", "replace"))


def _records(result: Redacted) -> Iterator[dict[str, Any]]:
    chunk, at = result.chunk, result.at
    text, line, before = chunk.texts[at], chunk.lines[at], 0
    for each in result.entities:
        if chunk.rows is None:  # a row of a table is one place, however many lines are in its cell
            line += text.count("\n", before, each["start"])
            before = each["start"]
        values = (each[name] for name in ("start", "end", "entity_group", "score", "source", "word", "replacement"))
        yield dict(zip(_REPORT, (chunk.file, line, *values), strict=True))
