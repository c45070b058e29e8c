"""What kind of file it is: by its name, or by how it begins if it is none that has texts."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import PurePath

from edgebert.errors import InputError

__all__ = ["SUFFIXES", "common_kind", "refuse_binary"]

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
"""Of a file's name -> its kind of table."""

_SAVE = "save its text as .txt first"
_TABLE = "save the sheet as .csv first"
# Whole, so that no text begins so: "Rar! I loved it" is one.
_BEGINNINGS = {
    b"%PDF-1": ("a PDF", _SAVE),
    b"%PDF-2": ("a PDF", _SAVE),
    b"{\\rtf1": ("an RTF document", _SAVE),
    b"\xd0\xcf\x11\xe0": ("a document of an old Office program", f"{_SAVE}, or a sheet as .csv"),
    b"PK\x03\x04": ("a zip archive", "unpack it first"),
    b"\x1f\x8b": ("compressed by gzip", "unpack it first"),
    **{b"BZh%d1AY&SY" % level: ("compressed by bzip2", "unpack it first") for level in range(1, 10)},
    b"\xfd7zXZ\0": ("compressed by xz", "unpack it first"),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "unpack it first"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "unpack it first"),
    b"Rar!\x1a\x07": ("a RAR archive", "unpack it first"),
    b"\x89PNG": ("an image", "let a program for character recognition make text of it first"),
    b"\xff\xd8\xff": ("an image", "let a program for character recognition make text of it first"),
    b"GIF87a": ("an image", "let a program for character recognition make text of it first"),
    b"GIF89a": ("an image", "let a program for character recognition make text of it first"),
    b"II*\0": ("an image", "let a program for character recognition make text of it first"),
    b"MM\0*": ("an image", "let a program for character recognition make text of it first"),
    b"PAR1\x15": ("a Parquet file", "give it a name that ends in .parquet, or say --input parquet"),
    b"SQLite format 3\0": ("a database", "save a table of it as .csv first"),
}
_ZIPPED = {
    ".docx": ("a Word document", _SAVE),
    ".odt": ("a document of LibreOffice", _SAVE),
    ".pptx": ("a presentation", _SAVE),
    ".odp": ("a presentation", _SAVE),
    ".epub": ("an e-book", _SAVE),
    ".xlsx": ("an Excel workbook", _TABLE),
    ".xlsm": ("an Excel workbook", _TABLE),
    ".ods": ("a sheet of LibreOffice", _TABLE),
}
"""Documents that are zip archives of other files."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def common_kind(files: Sequence[str]) -> str | None:
    """Return the kind of table that the names of all files say; None where they are plain text.

    Raises
    ------
    InputError
        When they are of several kinds, or JSON, which may be a single array.
    """
    kinds: dict[str | None, str] = {}  # -> the first such file
    for file in files:
        suffix = PurePath(file).suffix.lower()
        if suffix == ".json":
            raise InputError(
                f"{file} is JSON, expected JSON Lines: an object a line. Write it so (jq -c '.[]' does), and name it"
                " .jsonl; if it is so already, say --input jsonl"
            )
        kinds.setdefault(SUFFIXES.get(suffix), file)
    if len(kinds) > 1:
        (one, first), (other, second) = list(kinds.items())[:2]
        kind, another = one or "plain text", other or "plain text"
        raise InputError(
            f"{first} is {kind} and {second} is {another}, expected files of one kind: name them in two runs, choose"
            " among those of a folder with --glob, or read all in one way with --input"
        )
    return next(iter(kinds), None)


def refuse_binary(start: bytes, name: str) -> None:
    """Refuse what is no text.

    Parameters
    ----------
    start : bytes
        How it begins.
    name : str
        What messages call it.

    Raises
    ------
    InputError
        When it begins as a known kind of file does, or there are NUL bytes in it.
    """
    suffix = PurePath(name).suffix.lower()
    for beginning, (what, remedy) in _BEGINNINGS.items():
        if start.startswith(beginning):
            if beginning.startswith(b"PK"):
                what, remedy = _ZIPPED.get(suffix, (what, remedy))
            raise InputError(f"{name} is {what}, edgebert reads text: {remedy}")
    # UTF-16 has NULs too; what is said of text that is not UTF-8 helps more.
    if b"\0" in start and not start.startswith(_UTF16):
        if suffix == ".edgebert":
            raise InputError(f"{name} is a model, expected texts: name the model with -m")
        raise InputError(f"{name} is no text (it has NUL bytes), edgebert reads text in UTF-8: {_SAVE}")
