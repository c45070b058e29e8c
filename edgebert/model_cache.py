"""What was converted because somebody named a folder or a model of the hub, kept to be loaded at once the next time.

Models lie in ``$XDG_CACHE_HOME/edgebert/models``, each once, named by what it was made from. Beside them is a note for
each name that somebody used, with the file that it stands for, and what tells that this is still so: the hub's commit,
or the sizes and times of a folder's files. So a second load reads no weights but those of the file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgebert import __version__
from edgebert.engine.kernel_file import cache_folder
from edgebert.errors import AccuracyError, OutputError
from edgebert.output import open_output

if TYPE_CHECKING:
    from edgebert.checkpoint import Checkpoint

__all__ = ["KeptModel", "forget", "is_kept", "kept_models", "model_of_folder", "model_of_hub"]

OnProgress = Callable[[int, int], object]


class KeptModel(NamedTuple):
    """A name, and the model that is kept for it.

    Attributes
    ----------
    name : str
        ``org/name``, ``org/name@revision``, or the path of a folder.
    file : Path
        The .edgebert file, which other names may share.
    state : str
        What the name stood for when it was converted: a commit of the hub, or what a folder's files looked like.
    serves : str
        What it can be asked: commands of edgebert.
    version : str
        The version of edgebert that made it.
    note : Path
        Where all this is written; it was last changed when the model was last loaded.
    """

    name: str
    file: Path
    state: str
    serves: str
    version: str
    note: Path

    @property
    def last_used(self) -> float:
        """When it was last loaded [seconds since 1970]."""
        return self.note.stat().st_mtime


def model_of_folder(folder: Path, on_progress: OnProgress | None = None) -> Path:
    """Return the .edgebert file of a model folder, which is converted unless that was done before.

    Raises
    ------
    EdgebertError
        What `edgebert.convert` raises; OutputError when the cache cannot be written.
    """
    name, state = str(folder.resolve()), _state_of(folder)
    kept = _find(name)
    if kept is not None and kept.state == state:
        return _used(kept)

    from edgebert.checkpoint import open_checkpoint

    return _keep(name, state, open_checkpoint(folder), on_progress)


def model_of_hub(name: str, on_progress: OnProgress | None = None) -> Path:
    """Return the .edgebert file of a model of the hub, which is downloaded and converted unless that was done before.

    Without a revision that is a commit, the hub is asked whether there is a newer one; where it cannot be reached, or
    HF_HUB_OFFLINE is set, what is kept is used.

    Parameters
    ----------
    name : str
        ``org/name`` or ``org/name@revision``.
    on_progress : callable, optional

    Raises
    ------
    EdgebertError
        What `edgebert.convert` raises; OutputError when the cache cannot be written.
    """
    kept = _find(name)
    from edgebert.checkpoint.source import locate, newest_commit

    if kept is not None and newest_commit(name) in (None, kept.state):
        return _used(kept)

    from edgebert.checkpoint import open_checkpoint

    place = locate(name)
    state = place.folder.name  # the hub's cache names folders by their commit
    pinned = dataclasses.replace(place, name=f"{place.repo}@{state}")
    return _keep(name, state, open_checkpoint(pinned), on_progress)


def is_kept(path: Path) -> bool:
    """Tell whether a file is one of those that are kept here."""
    with contextlib.suppress(RuntimeError):  # there is no home folder
        return path.parent == _folder()
    return False


def kept_models() -> list[KeptModel]:
    """Return every name whose model is kept, in the order of names."""
    try:
        notes = sorted(_notes().glob("*.json"))
    except RuntimeError:  # there is no home folder
        return []
    return sorted(filter(None, map(_read, notes)), key=lambda kept: (kept.name, kept.version))


def forget(names: list[KeptModel]) -> int:
    """Remove names, and every file that no name stands for then: a run that was broken off may have left one.

    Returns
    -------
    int
        Bytes that came free.

    Raises
    ------
    OutputError
    """
    freed = 0
    try:
        for kept in names:
            kept.note.unlink(missing_ok=True)
        needed = {kept.file for kept in kept_models()}
        for file in {*_folder().glob("*.edgebert")} - needed:
            size = file.stat().st_size
            file.unlink()
            freed += size
    except OSError as error:
        raise OutputError(f"{error.filename} could not be removed: {error.strerror or error}") from error
    return freed


def _folder() -> Path:
    return cache_folder() / "models"


def _notes() -> Path:
    return _folder() / "names"


def _note_of(name: str) -> Path:
    """Return where the note of a name is; each version of edgebert has its own, for it may make other bytes."""
    return _notes() / f"{hashlib.sha256(f'{__version__} {name}'.encode()).hexdigest()[:32]}.json"


def _find(name: str) -> KeptModel | None:
    try:
        return _read(_note_of(name))
    except RuntimeError:  # there is no home folder
        return None


def _read(note: Path) -> KeptModel | None:
    """Read a note; None where there is none, or what it tells of is gone: then the model is converted again."""
    try:
        told = json.loads(note.read_bytes())
        name, file, state, serves, version = (str(told[key]) for key in ("name", "file", "state", "serves", "version"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    path = _folder() / Path(file).name
    return KeptModel(name, path, state, serves, version, note) if path.is_file() else None


def _used(kept: KeptModel) -> Path:
    with contextlib.suppress(OSError):  # a cache that cannot be written serves all the same
        os.utime(kept.note)
    return kept.file


def _state_of(folder: Path) -> str:
    """Return what changes when somebody writes to a model folder: a hash of its files' names, sizes and times."""
    seen = hashlib.sha256()
    for path in _files(folder):
        with contextlib.suppress(FileNotFoundError):  # somebody is writing there
            status = path.stat()
            seen.update(os.fsencode(f"{path.relative_to(folder)} {status.st_size} {status.st_mtime_ns}\n"))
    return seen.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and of the folders in it, where sentence-transformers keeps its modules."""
    for pattern in ("*", "*/*"):
        yield from sorted(path for path in folder.glob(pattern) if path.is_file())


def _keep(name: str, state: str, checkpoint: Checkpoint, on_progress: OnProgress | None) -> Path:
    """Convert a model unless another name has led to the same one before; write down what the name stands for."""
    from edgebert.quantize.convert import convert_checkpoint

    before = _find(name)
    with _reported(name):
        file = _writable_folder() / f"{_key(checkpoint)}.edgebert"
        if not file.is_file():
            convert_checkpoint(checkpoint, file, on_progress=on_progress)
        told = {"name": name, "file": file.name, "state": state, "serves": _serves(checkpoint), "version": __version__}
        with open_output(str(_note_of(name))) as note:
            note.write(json.dumps(told, indent=1).encode())
    if before is not None and before.file not in {kept.file for kept in kept_models()}:
        with contextlib.suppress(OSError):  # of a folder that was trained on: nothing stands for the old one any more
            before.file.unlink()
    return file


def _writable_folder() -> Path:
    """Return the folder of the models; raise OSError where it cannot be written, before a model is converted."""
    try:
        folder, notes = _folder(), _notes()
    except RuntimeError as error:
        raise FileNotFoundError(errno.ENOENT, "there is no home folder") from error
    notes.mkdir(parents=True, exist_ok=True)
    for each in (folder, notes):
        if not os.access(each, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(each))
    return folder


@contextlib.contextmanager
def _reported(name: str) -> Iterator[None]:
    """Say what to do where the model of a name cannot be kept."""
    try:
        yield
    except AccuracyError as error:
        raise AccuracyError(f"{error}: edgebert convert {name} M.edgebert --force; then name that file") from error
    except (OSError, OutputError) as error:
        fault = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else error
        raise OutputError(
            f"{name} has to be converted, and edgebert's cache cannot keep it ({fault}): set XDG_CACHE_HOME to a folder"
            f" that can be written and has space, or convert it yourself: edgebert convert {name} M.edgebert"
        ) from error


def _serves(checkpoint: Checkpoint) -> str:
    """Return the commands that a model is for."""
    from edgebert.heads import HEADS

    info = checkpoint.info
    tasks = [task for head in info.heads for task in HEADS[head].tasks if task != "rank" or len(info.labels) == 1]
    return ", ".join(task.replace("_", "-") for task in tasks or ("embed", "rank", "search"))


def _key(checkpoint: Checkpoint) -> str:
    """Return a hash of all that decides what a converted file holds but the name of its source."""
    from edgebert.artifact import FORMAT_VERSION
    from edgebert.quantize.law import SCHEME

    told: dict[str, Any] = {**checkpoint.info.to_json(), "tokenizer": checkpoint.info.tokenizer, "source": ""}
    made_by = [__version__, FORMAT_VERSION, SCHEME]
    return hashlib.sha256(json.dumps([made_by, told], sort_keys=True).encode()).hexdigest()[:32]
