"""Convert a trained checkpoint to an .edgebert file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from edgebert.artifact import write_artifact
from edgebert.batch import TextTokenizer
from edgebert.checkpoint import Checkpoint, open_checkpoint
from edgebert.destination import check_folder
from edgebert.errors import OutputError
from edgebert.layout import TOKENIZER
from edgebert.quantize.calibrate import calibration_batch, default_texts
from edgebert.quantize.encoder import OnProgress, half, quantize_encoder
from edgebert.quantize.law import SCHEME

__all__ = ["SUFFIX", "convert", "quantize_checkpoint"]

SUFFIX = ".edgebert"


def convert(
    source: str | os.PathLike[str], output: str | os.PathLike[str], *, on_progress: OnProgress | None = None
) -> Path:
    """Convert a Hugging Face model to an .edgebert file.

    Parameters
    ----------
    source : path or str
        A model folder, or a hub name ``org/name`` or ``org/name@revision``.
    output : path
        The file to write, named ``*.edgebert``; whole or not at all.
    on_progress : callable, optional
        Called with (layers done, layers in all) while the model is quantized.

    Returns
    -------
    Path
        `output`.

    Raises
    ------
    CheckpointError
        When the source is missing, incomplete, damaged or unsupported.
    OutputError
        When the file cannot be written.
    """
    # Before a download, which may take long. The suffix keeps a slip from replacing the source's own weights.
    check_folder(os.fspath(output))
    if Path(output).suffix != SUFFIX:
        raise OutputError(f"cannot convert to {output}: expected a name that ends in {SUFFIX}")
    checkpoint = open_checkpoint(source)
    write_artifact(output, quantize_checkpoint(checkpoint, on_progress), describe(checkpoint))
    return Path(output)


def describe(checkpoint: Checkpoint) -> dict[str, object]:
    """Return the metadata of a checkpoint's .edgebert file."""
    return {
        "scheme": SCHEME,
        "config": checkpoint.config.to_dict(),
        "head": checkpoint.head,
        "labels": list(checkpoint.labels),
        "problem_type": checkpoint.problem_type,
        "pooling": checkpoint.pooling,
        "normalize": checkpoint.normalize,
        "max_length": checkpoint.max_length,
        "source": checkpoint.name,
        "source_sha256": checkpoint.sha256,
        "model_card": checkpoint.model_card,
    }


def quantize_checkpoint(checkpoint: Checkpoint, on_progress: OnProgress | None = None) -> dict[str, np.ndarray]:
    """Quantize every tensor of a checkpoint; names and shapes are those of `edgebert.layout`."""
    tokenizer = TextTokenizer(checkpoint.tokenizer_json, checkpoint.max_length)
    tensors = {TOKENIZER: np.frombuffer(checkpoint.tokenizer_json.encode(), np.uint8)}
    tensors |= quantize_encoder(
        checkpoint.config, checkpoint.tensors, calibration_batch(tokenizer, default_texts(tokenizer)), on_progress
    )
    if checkpoint.head != "none":
        tensors["pooler.dense.weight"] = half("pooler.dense.weight", checkpoint.tensors["pooler.dense.weight"])
        for name in ("pooler.dense.bias", "classifier.weight", "classifier.bias"):
            tensors[name] = checkpoint.tensors[name]
    return tensors
