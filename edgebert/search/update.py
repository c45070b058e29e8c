"""Indexes made, and brought up to date: what is new is added, what changed is read again, what is gone is removed."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from typing import TYPE_CHECKING, NamedTuple

from edgebert.errors import OutputError
from edgebert.output import open_output
from edgebert.search.identity import ModelIdentity
from edgebert.search.index import Index
from edgebert.search.store import connect, make_tables, read_only, reported
from edgebert.search.writer import FileFacts, Writer
from edgebert.tables.stream import unreadable

if TYPE_CHECKING:
    import sqlite3

    from edgebert.model_vectors import VectorModel

__all__ = ["Changes", "NoteFile", "has_below", "in_memory", "location", "update"]

_PIECE = 1 << 20

Show = AbstractContextManager[Callable[[int, int], object]]


class NoteFile(NamedTuple):
    """A file that is to be found in an index.

    Attributes
    ----------
    path : str
    options : str
        With which options it is read; with others it counts as changed.
    read : callable
        Its texts, and in which line of it each begins, from 1.
    """

    path: str
    options: str
    read: Callable[[], Iterable[tuple[str, int]]]


class Changes(NamedTuple):
    """What became of the files of an index; `passages` are all that it has now."""

    added: int
    updated: int
    removed: int
    unchanged: int
    passages: int


class _Plan(NamedTuple):
    """What is to be done to an index."""

    added: list[tuple[FileFacts, NoteFile]]
    updated: list[tuple[FileFacts, NoteFile]]
    touched: list[FileFacts]
    removed: list[str]
    unchanged: int


def in_memory(
    model: VectorModel,
    notes: Iterable[tuple[str, Iterable[tuple[str, int]]]],
    advance: Callable[[int, int], object] | None = None,
) -> Index:
    """Make an index that is kept nowhere.

    Parameters
    ----------
    model : Model
    notes : iterable of (str, iterable of (str, int))
        Names, and of each its texts, with the line in which each begins.
    advance : callable, optional
        Is told how many bytes and how many passages were embedded.
    """
    connection = connect(":memory:")
    try:
        make_tables(connection)
        writer = Writer(connection, model, advance)
        for name, texts in notes:
            writer.add(FileFacts(name), texts)
        writer.finish()
        return Index(connection)
    except BaseException:
        connection.close()
        raise


def update(
    path: str,
    model: VectorModel,
    files: Sequence[NoteFile],
    roots: Sequence[str],
    option: str = "",
    show: Callable[[int], Show] | None = None,
) -> Changes:
    """Make an index of files, or bring one up to date; a run that does not end well leaves the one that was there.

    Parameters
    ----------
    path : str
    model : Model
    files : sequence of NoteFile
        All that there are.
    roots : sequence of str
        Files and folders that these come from: what the index has of them and is there no more is removed. What is
        there but not among `files` stays as it was, and so does what the index has from elsewhere.
    option : str
        What ``-m`` was given, by which a search finds the model again.
    show : callable, optional
        Is called with the size of the files that are read [bytes]. It returns a context for the time that this takes,
        whose value is told how many bytes and how many passages were embedded.

    Raises
    ------
    InputError
        When the file is no index, or its model is another one.
    ArtifactError
        When it is damaged.
    OutputError
        When it cannot be written.
    """
    there, before = os.path.lexists(path), _state(path)
    if there:
        with Index.open(path) as index:
            index.model.check(ModelIdentity.of(model), path)
    plan = _planned(path, files, roots, _known(path) if there else {})
    if there and not (plan.added or plan.updated or plan.touched or plan.removed):
        with closing(read_only(path)) as connection, reported(path):
            return Changes(0, 0, 0, plan.unchanged, _count(connection))
    with open_output(path) as output:
        if output.path is None:
            raise OutputError(f"{path} could not be written: it is no file, expected the name of one")
        if there:
            shutil.copyfile(path, output.path)
        size = sum(facts.size for facts, _ in (*plan.added, *plan.updated))
        with (
            closing(connect(output.path)) as connection,
            reported(path, writing=True),
            show(size) if show else nullcontext() as advance,
        ):
            if not there:
                make_tables(connection)
            connection.execute("BEGIN")
            _carry_out(plan, Writer(connection, model, advance), connection, option)
            passages = _count(connection)
            connection.execute("COMMIT")
        if _state(path) != before:
            raise OutputError(
                f"{path} was brought up to date by another run meanwhile, and is left as that made it; run it again"
            )
    return Changes(len(plan.added), len(plan.updated), len(plan.removed), plan.unchanged + len(plan.touched), passages)


def has_below(path: str, root: str) -> bool:
    """Say whether an index has files of a file or folder that was named, be they there or not.

    Raises
    ------
    ArtifactError
        When the index is damaged.
    """
    return any(_is_below(location(name, path), [os.path.abspath(root)]) for name in _known(path))


def _state(path: str) -> tuple[int, int, int] | None:
    """Return what tells that another index has a name now; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def location(path: str, index: str) -> str:
    """Return where a file of an index lies, by its path as seen from the folder of the index."""
    return os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(index)), path))


def _known(path: str) -> dict[str, FileFacts]:
    with closing(read_only(path)) as connection, reported(path):
        rows = connection.execute("SELECT path, size, modified, sha256, options FROM file")
        return {name: FileFacts(name, *facts) for path, *facts in rows for name in [os.fsdecode(path)]}


def _planned(path: str, files: Sequence[NoteFile], roots: Sequence[str], known: dict[str, FileFacts]) -> _Plan:
    plan = _Plan([], [], [], [], 0)
    wanted, unchanged = set(), 0
    for file in files:
        name = _name(file.path, path)
        if name in wanted:  # named twice
            continue
        wanted.add(name)
        before = known.get(name)
        try:
            status = os.stat(file.path)
            size, modified = status.st_size, status.st_mtime_ns
            if before and before[1:3] == (size, modified) and before.options == file.options:
                unchanged += 1
                continue
            facts = FileFacts(name, size, modified, _digest(file.path), file.options)
        except OSError as error:
            raise unreadable(file.path, error) from error
        if before is None:
            plan.added.append((facts, file))
        elif (before.sha256, before.options) == (facts.sha256, facts.options):
            plan.touched.append(facts)
        else:
            plan.updated.append((facts, file))
    below = [os.path.abspath(root) for root in roots]
    places = {name: location(name, path) for name in known if name not in wanted}
    removed = [name for name, place in places.items() if _is_below(place, below) and not os.path.isfile(place)]
    return plan._replace(removed=removed, unchanged=unchanged)


def _carry_out(plan: _Plan, writer: Writer, connection: sqlite3.Connection, option: str) -> None:
    for name in plan.removed:
        writer.remove(name)
    for facts, _ in plan.updated:
        writer.remove(facts.path)
    for facts in plan.touched:
        connection.execute("UPDATE file SET modified = ? WHERE path = ?", (facts.modified, os.fsencode(facts.path)))
    for facts, file in (*plan.updated, *plan.added):
        writer.add(facts, file.read())
    writer.finish(option)


def _count(connection: sqlite3.Connection) -> int:
    ((passages,),) = connection.execute("SELECT count(*) FROM passage")
    return int(passages)


def _name(file: str, index: str) -> str:
    """Return the path of a file as seen from the folder of the index: both can be moved together."""
    try:
        name = os.path.relpath(file, os.path.dirname(os.path.abspath(index)))
    except ValueError:  # on another drive of Windows
        name = os.path.abspath(file)
    return name.replace(os.sep, "/")


def _is_below(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith(root.rstrip(os.sep) + os.sep) for root in roots)


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
