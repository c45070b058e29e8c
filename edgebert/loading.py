"""From what the user names to a model that answers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from edgebert.arguments import checked_path
from edgebert.bundled import BUNDLED, bundled_model, default_model
from edgebert.engine.backend import open_backend
from edgebert.engine.devices import choose_device
from edgebert.engine.threads import default_threads
from edgebert.errors import ArtifactError, shown
from edgebert.memory import memory_limit
from edgebert.model import Model
from edgebert.model_file import ModelFile
from edgebert.runner import token_budget

__all__ = ["DEFAULT_MODEL", "default_model", "find_model", "load"]

DEFAULT_MODEL = default_model("classify")
"""The sentiment classifier that comes with the package."""
_SUFFIX = ".edgebert"
_OTHER_FORMATS = {
    ".safetensors": "the weights of a model alone; name the folder that it lies in, with config.json and the tokenizer",
    ".json": "a part of a model; name the folder that it lies in",
    ".onnx": "a model in ONNX's format",
    ".gguf": "a model in llama.cpp's format",
    ".bin": "a model in another format, of PyTorch perhaps",
    ".pt": "a model in PyTorch's format",
    ".pth": "a model in PyTorch's format",
    ".ckpt": "a model in PyTorch's format",
    ".h5": "a model in TensorFlow's format",
    ".tflite": "a model in TensorFlow's format",
}
_SAVE = "expected an .edgebert file, or a folder that transformers' save_pretrained wrote"


def load(
    path: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    max_memory: str | int | None = None,
    device: str | None = None,
) -> Model:
    """Load a model.

    Parameters
    ----------
    path : path or str, optional
        An .edgebert file; a model folder, or the name of a model on the Hugging Face hub, ``org/name`` or
        ``org/name@revision``; or one that comes with edgebert: ``"sentiment"`` (the default), ``"minilm"``,
        ``"personal-data"``. A folder or a model of the hub is converted the first time, which may take minutes, and
        kept in ``$XDG_CACHE_HOME/edgebert/models``.
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
        When there is no such model, or its file is damaged or of a newer format.
    CheckpointError, AccuracyError, OutputError
        When a folder or a model of the hub cannot be read or converted, or the cache cannot be written.
    InputError
        When `path` is no path.
    SettingError
        When an option or a setting of the environment cannot be used, or when `max_memory` is too little, with what
        would do.
    """
    limit = memory_limit(max_memory)
    chosen, _ = choose_device(device)
    source = _open(DEFAULT_MODEL if path is None else path)
    config = source.info.config
    backend = open_backend(config, source.tensors, default_threads(threads), token_budget(config), chosen)
    reload = (load, (None if path is None else os.path.abspath(source.path), threads, max_memory, device))
    return Model(source, backend, max_memory=limit, reload=reload)


def _open(name: str | os.PathLike[str]) -> ModelFile:
    path = find_model(name)
    try:
        return ModelFile(path)
    except ArtifactError:
        from edgebert.model_cache import is_kept

        if not is_kept(path) or path == Path(name):
            raise
        # What is kept can be made again.
        with contextlib.suppress(OSError):
            path.unlink()
        return ModelFile(find_model(name))


def find_model(name: str | os.PathLike[str], on_progress: Callable[[int, int], object] | None = None) -> Path:
    """Return the .edgebert file of what the user names as a model, as `load` takes it.

    A name of edgebert's own models is always that one: ``./minilm`` is a folder that is called so.

    Parameters
    ----------
    name : path or str
    on_progress : callable, optional
        Called with (layers done, layers in all) while a model is converted.

    Raises
    ------
    ArtifactError, CheckpointError, AccuracyError, OutputError, InputError
        As `load`.
    """
    path = checked_path(name, "path")
    if str(path).startswith("~"):
        with contextlib.suppress(RuntimeError):  # the home of a user who is not there
            path = path.expanduser()
    bundled = bundled_model(name) if isinstance(name, str) else None
    if bundled is not None and name == bundled.name:
        return bundled.path
    if path.suffix == _SUFFIX and not os.path.isdir(path):
        if bundled_model(path.stem) and not os.path.exists(path):
            raise ArtifactError(f"there is no file {path}; {path.stem} comes with edgebert: name it without {_SUFFIX}")
        return path
    if os.path.isdir(path):  # as Path.is_dir, which fails on names that are too long
        from edgebert.model_cache import model_of_folder

        return model_of_folder(path, on_progress)
    if os.path.isfile(path):
        if path.suffix.lower() in _OTHER_FORMATS:
            raise ArtifactError(f"{path} is {_OTHER_FORMATS[path.suffix.lower()]}; {_SAVE}")
        return path
    if bundled is not None:
        return bundled.path
    if isinstance(name, str) and _may_be_on_the_hub(name):
        from edgebert.model_cache import model_of_hub

        return model_of_hub(name, on_progress)
    raise ArtifactError(_no_model(str(name)))


def _may_be_on_the_hub(name: str) -> bool:
    from edgebert.checkpoint.source import HUB_NAME

    parsed = HUB_NAME.fullmatch(name)
    known = Path(name).suffix.lower() in _OTHER_FORMATS
    return parsed is not None and "/" in parsed["repo"] and not name.startswith(".") and not known


def _no_model(name: str) -> str:
    """Say that there is nothing of a name, and what there is."""
    import difflib

    names = [model.name for model in BUNDLED]
    near = difflib.get_close_matches(name[:40].lower(), names, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return (
        f"there is no model {shown(name)}: expected an .edgebert file, a model folder, a name of the Hugging Face hub"
        f" with its organisation (org/name or org/name@revision), or one of {', '.join(names)}{meant}"
    )
