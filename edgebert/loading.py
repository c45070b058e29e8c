"""From an .edgebert file to a model that answers."""

from __future__ import annotations

import os

from edgebert.arguments import checked_path
from edgebert.bundled import default_model
from edgebert.engine.backend import open_backend
from edgebert.engine.devices import choose_device
from edgebert.engine.threads import default_threads
from edgebert.memory import memory_limit
from edgebert.model import Model
from edgebert.model_file import ModelFile
from edgebert.runner import token_budget

__all__ = ["DEFAULT_MODEL", "default_model", "load"]

DEFAULT_MODEL = default_model("classify")
"""The sentiment classifier that comes with the package."""


def load(
    path: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    max_memory: str | int | None = None,
    device: str | None = None,
) -> Model:
    """Load a model.

    Parameters
    ----------
    path : path, optional
        An .edgebert file; the sentiment classifier that comes with edgebert by default.
    threads : int, optional
        Threads to compute with; by default ``EDGEBERT_NUM_THREADS``, else the processors that this process may use.
    max_memory : str or int, optional
        Most resident memory of this process: ``"200MB"``, ``"1.5GB"``, ``"512MiB"``, or a number of bytes; by default
        ``EDGEBERT_MAX_MEMORY``, else no limit. What the process has already counts. Fewer tokens are then computed at a
        time, with the same results. What the caller gives and gets (very long texts, many vectors) is not bounded by
        that: where it takes the process over the limit, there is one `MemoryWarning`.
    device : str, optional
        ``"cpu"``; ``"cuda"``, an NVIDIA GPU (needs ``edgebert[cuda]``); ``"auto"``, a GPU where one can be used. By
        default ``EDGEBERT_DEVICE``, else the processor.

    Raises
    ------
    ArtifactError
        When the file is missing, damaged, or of a newer format.
    InputError
        When `path` is no path.
    SettingError
        When an option or a setting of the environment cannot be used, or when `max_memory` is too little, with what
        would do.
    """
    file = DEFAULT_MODEL if path is None else checked_path(path, "path")
    limit = memory_limit(max_memory)
    chosen, _ = choose_device(device)
    source = ModelFile(file)
    config = source.info.config
    backend = open_backend(config, source.tensors, default_threads(threads), token_budget(config), chosen)
    reload = (load, (None if path is None else os.path.abspath(file), threads, max_memory, device))
    return Model(source, backend, max_memory=limit, reload=reload)
