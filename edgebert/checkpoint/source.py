"""From what the user names to a folder on this machine: a local one, or one from the hub.

Where downloads go, from which mirror they come, with which token, and whether the network may be
used is huggingface_hub's matter (``HF_HOME``, ``HF_ENDPOINT``, ``HF_TOKEN``, ``HF_HUB_OFFLINE``).
"""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

from edgebert.checkpoint.weights import INDEX, SINGLE
from edgebert.errors import CheckpointError, DownloadError, shown

__all__ = ["HUB_NAME", "Source", "fetch_weights", "locate", "newest_commit"]

HUB_NAME = re.compile(r"(?P<repo>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PATIENCE = 5.0
"""Seconds to wait for the hub's word on a model that is there already."""
_DESCRIPTION = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "adapter_config.json",  # refused
    INDEX,
    "modules.json",
    "sentence_*_config.json",
    "config_sentence_transformers.json",
    "?_*/*.json",  # of the modules of sentence-transformers, among them the encoder's in old folders
    "?_*/vocab.txt",
    "router_config.json",
    "idf.json",
    "artifact.metadata",
    "gliner_config.json",
    "chat_template.jinja",
    "query_?_*/*.json",  # of the modules of a router
    "document_?_*/*.json",
    "document_?_*/vocab.txt",
    "*.py",  # never run: a module that needs it is refused
    "README.md",
]
_WEIGHTS = [SINGLE, "model-*-of-*.safetensors", f"?_*/{SINGLE}", f"query_?_*/{SINGLE}", f"document_?_*/{SINGLE}"]


@dataclasses.dataclass(frozen=True)
class Source:
    """A model folder; for one of the hub, ``repo`` names it, and its weights may still be missing."""

    name: str
    folder: Path
    repo: str = ""


def locate(source: str | os.PathLike[str]) -> Source:
    """Return the folder that a user's word stands for, downloading everything but the weights.

    Parameters
    ----------
    source : str or PathLike
        A folder; or, where there is no such folder, ``org/name`` or ``org/name@revision`` on the hub.

    Raises
    ------
    CheckpointError
        It is a file, or can only be a path and there is nothing.
    DownloadError
        The hub does not have it, or cannot be reached and its cache has it not.
    """
    word = os.fspath(source)
    try:
        path = Path(word).expanduser()
        if word and path.is_dir():
            return Source(path.resolve().name, path)
        if path.is_file():
            raise CheckpointError(f"{word} is a file, expected the model folder with config.json that it lies in")
    except (OSError, RuntimeError) as error:  # too long a name; the home of a user who is not there
        raise CheckpointError(
            f"no such folder: {shown(word)} ({error}); expected a model folder, or org/name of one on the hub"
        ) from error
    parsed = HUB_NAME.fullmatch(word)
    if not isinstance(source, str) or not parsed or word.startswith(".") or word.endswith(".safetensors"):
        raise CheckpointError(f"no such folder: {shown(word)}; expected a model folder, or org/name of one on the hub")
    repo, revision = parsed["repo"], parsed["revision"]
    return Source(word, _download(word, repo, revision, _DESCRIPTION), repo)


def fetch_weights(source: Source) -> None:
    """Download the weights of a source that `locate` took from the hub; nothing to do for a folder.

    They come last, and from the commit that the rest came from: so a folder in the cache that
    has weights is complete, however a download before it ended.

    Raises
    ------
    DownloadError
        The hub cannot be reached, or the connection broke.
    """
    if source.repo:
        _download(source.name, source.repo, source.folder.name, _WEIGHTS)


def newest_commit(name: str) -> str | None:
    """Return the commit that a name of the hub stands for now; None where the hub cannot be asked.

    Parameters
    ----------
    name : str
        ``org/name`` or ``org/name@revision``; of a revision that is a commit, nobody is asked.

    Raises
    ------
    DownloadError
        The hub answers that it has no such model, or not for this user.
    """
    parsed = HUB_NAME.fullmatch(name)
    repo, revision = (parsed["repo"], parsed["revision"]) if parsed else (name, None)
    if revision and _COMMIT.fullmatch(revision):
        return revision
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return None
    from huggingface_hub import HfApi, utils

    try:
        return HfApi().model_info(repo, revision=revision, timeout=_PATIENCE).sha
    except (utils.RepositoryNotFoundError, utils.RevisionNotFoundError, utils.HFValidationError) as error:
        raise DownloadError(
            f"{name!r} could not be had from {constants.ENDPOINT}: {_reason(error, revision)}"
        ) from error
    except Exception:  # no connection, by the names of requests, httpx or the system
        return None


def _download(name: str, repo: str, revision: str | None, patterns: list[str]) -> Path:
    """Return the snapshot's folder, named by its commit, with the files that the patterns match."""
    # Imported here: a local folder needs none of it, and it takes as long as the rest together.
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.utils import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repo, revision=revision, allow_patterns=patterns))
        # Old versions return what an interrupted download left; weights come last, so they tell.
        if constants.HF_HUB_OFFLINE and not any(folder.glob("model*.safetensors")):
            raise LocalEntryNotFoundError(f"{folder} is not whole")
        return folder
    except Exception as error:  # of requests or httpx by version, of the disk, of its own: no common base
        raise DownloadError(
            f"{name!r} is no folder here, and could not be had from {constants.ENDPOINT}: {_reason(error, revision)}"
        ) from error


def _reason(error: Exception, revision: str | None) -> str:
    """Return why a download failed, and what to do, in one line."""
    from huggingface_hub import constants, utils

    if isinstance(error, utils.GatedRepoError):
        return "its authors want their terms accepted there first, then set HF_TOKEN"
    if isinstance(error, utils.RepositoryNotFoundError):
        return "there is no such model, or it is private and needs HF_TOKEN"
    if isinstance(error, utils.RevisionNotFoundError):
        return f"the model has no revision {revision!r}"
    if isinstance(error, utils.HFValidationError):
        return f"that is no name of a model ({_line(error)})"
    if constants.HF_HUB_OFFLINE:
        return f"HF_HUB_OFFLINE is set, and it is not in the cache {constants.HF_HUB_CACHE}, or not whole"
    if isinstance(error, utils.LocalEntryNotFoundError):
        return f"{_line(error.__cause__ or error)}; check the connection, the proxy and HF_ENDPOINT"
    return f"{_line(error)}; run it again to go on from where it stopped"


def _line(error: BaseException) -> str:
    """Return an exception's type and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
