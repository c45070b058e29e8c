"""How redacted texts are written: plain texts as they came in, tables in their kind, and a report of what was found."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from edgebert.cli.formats import Row, RowFormat, csv_line
from edgebert.cli.lines import output_format, row_writer
from edgebert.cli.options import LineOptions
from edgebert.cli.terminal import Terminal, escape
from edgebert.errors import OutputError
from edgebert.output import check_folder, make_folder_of, open_output, print_text

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
        A file, or the folder of `targets`; None for standard output.
    is_terminal : bool
    targets : dict of str to str
        How messages call each of several plain files -> where it goes; empty where all go to one.
    """

    options: LineOptions
    format: str
    path: str | None
    is_terminal: bool
    targets: dict[str, str] = {}  # noqa: RUF012 (never changed)


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
        return Place(options, options.format or output_format(options, inputs.reading.kind), path, terminal)
    suffix = PurePath(path or "").suffix.lower().removeprefix(".")
    wanted = options.format or (suffix if suffix in _TABLES else "text")
    if wanted not in ("text", "jsonl"):
        raise click.UsageError(
            f"Plain text is written as text or jsonl, not as {wanted}: name another OUT or --format."
        )
    if path is not None and wanted == "text" and (len(inputs.files) > 1 or os.path.isdir(path)):
        return Place(options, wanted, path, terminal, _targets(options, path))
    if path is not None:
        check_folder(path)
    return Place(options, wanted, path, terminal)


def _targets(options: LineOptions, folder: str) -> dict[str, str]:
    """Return where in a folder each file goes: one that was named by its name, those of a folder as they lie in that.

    Raises
    ------
    OutputError
        When there is no such folder, or a file gets no path of its own in it, or that of one that is read.
    """
    from edgebert.tables.files import find_files
    from edgebert.tables.stream import shown_name

    files, folder = options.inputs.files, str(PurePath(folder))
    if not os.path.isdir(folder):
        raise OutputError(f"{folder} is no folder, expected one for {len(files)} files: make it first")
    if "-" in files:
        raise OutputError("standard input has no name for a file in a folder: let -o be a file")
    whole = os.path.join(os.path.realpath(folder), "")
    targets: dict[str, str] = {}
    sources: dict[str, str] = {}
    for name in options.files:
        is_folder = os.path.isdir(name)
        is_around = is_folder and whole.startswith(os.path.join(os.path.realpath(name), ""))
        for file in find_files([name], options.globs):
            if is_around and os.path.realpath(file).startswith(whole):
                raise OutputError(
                    f"{file} is in {folder} already, and would be redacted again: name a folder outside of {name} with"
                    " -o, or choose the files with --glob"
                )
            target = os.path.join(folder, os.path.relpath(file, name) if is_folder else os.path.basename(file))
            if target in sources:
                raise OutputError(f"{sources[target]} and {file} have one name, expected two in the folder {folder}")
            if shown_name(file) in targets:
                raise OutputError(f"{shown_name(file)} is there twice, expected every file once: name it once")
            targets[shown_name(file)], sources[target] = target, file
    _check_targets(sources, folder)
    return targets


def _check_targets(sources: Mapping[str, str], folder: str) -> None:
    """Check that files can be made at paths in a folder, each of which is to have one of `sources`."""
    read = {(status.st_dev, status.st_ino) for status in map(os.stat, filter(os.path.exists, sources.values()))}
    for target, file in sources.items():
        if os.path.exists(target) and (os.stat(target).st_dev, os.stat(target).st_ino) in read:
            raise OutputError(f"{target} is a file that the texts come from; name another folder with -o")
        parent = os.path.dirname(target)
        while parent != folder:
            if parent in sources or (os.path.lexists(parent) and not os.path.isdir(parent)):
                raise OutputError(f"{parent} is to be a folder, for {file}, and is a file; name another folder with -o")
            parent = os.path.dirname(parent)


def check_report(place: Place, report: str) -> None:
    """Check that a report can be written, and takes the place of nothing that is redacted.

    Raises
    ------
    click.UsageError
        When it would: the report has the personal data in it.
    OutputError
    """
    for target in place.targets.values() or ([] if place.path is None else [place.path]):
        exist = os.path.exists(target) and os.path.exists(report)
        if os.path.realpath(target) == os.path.realpath(report) or (exist and os.path.samefile(target, report)):
            names = report if report == target else f"{report} (as {target})"
            raise click.UsageError(f"--report and -o would both write {names}, expected two files.")
    check_folder(report)


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
    elif place.targets:
        files: dict[str, list[Redacted]] = {file: [] for file in place.targets}
        for each in results:
            files[each.chunk.file].append(each)
        for file, target in place.targets.items():
            make_folder_of(target)
            _write_bytes(target, files[file])
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
