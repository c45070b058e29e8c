"""The exceptions that edgebert raises on purpose.

::

    EdgebertError
    |-- CheckpointError            a trained model cannot be read
    |   |-- UnsupportedModelError  it can be read, but edgebert has no encoder for it
    |   `-- DownloadError          it could not be fetched from the hub
    |-- ArtifactError              an .edgebert file is missing, damaged or too new
    |-- InputError                 texts, token ids or options that no model could take
    |-- OutputError                a result could not be written
    |-- AccuracyError              a quantized model is further from fp32 than was asked for
    `-- SettingError               an environment variable or a machine setting

Each message says what is wrong, what was expected, what was found, and what to do.
Anything else that escapes is a bug.
"""

__all__ = [
    "AccuracyError",
    "ArtifactError",
    "CheckpointError",
    "CheckpointWarning",
    "DownloadError",
    "EdgebertError",
    "InputError",
    "MemoryWarning",
    "OutputError",
    "SettingError",
    "TruncationWarning",
    "UnsupportedModelError",
    "shown",
]

_MOST_SHOWN = 200


class EdgebertError(Exception):
    """Base of every error that edgebert raises on purpose."""


class CheckpointError(EdgebertError):
    """A trained model (a Hugging Face folder) is missing, incomplete or damaged."""


class UnsupportedModelError(CheckpointError):
    """A complete model of an architecture that edgebert does not run."""


class DownloadError(CheckpointError):
    """A model could not be fetched from the hub."""


class ArtifactError(EdgebertError):
    """An .edgebert file is missing, damaged, or of a format that this version does not read."""


class InputError(EdgebertError, ValueError):
    """Texts, token ids or options that cannot be computed with."""


class OutputError(EdgebertError):
    """A result could not be written; nothing half-written was left behind."""


class AccuracyError(EdgebertError):
    """A quantized model agrees less with its original than was asked for; it was not written."""


class SettingError(EdgebertError, ValueError):
    """An environment variable or a machine setting has a value that cannot be used."""


class CheckpointWarning(UserWarning):
    """A model folder has something that edgebert does not follow, or that was taken for something else than it says."""


class TruncationWarning(UserWarning):
    """Texts were longer than the model takes, and what did not fit was not seen."""


class MemoryWarning(UserWarning):
    """The process has more memory resident than ``max_memory`` allows, because of what it holds besides the model."""


def shown(value: object) -> str:
    """Return how a value looks in a message: whatever it is, and in few characters."""
    try:
        text = repr(value)
    except Exception:  # the caller's own code
        text = f"<a {type(value).__name__}>"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]} ..."
