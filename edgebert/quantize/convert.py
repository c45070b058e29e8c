"""Convert a trained checkpoint to an .edgebert file, with a receipt of what that cost."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.artifact import write_artifact
from edgebert.batch import TextTokenizer
from edgebert.checkpoint import Checkpoint, open_checkpoint
from edgebert.destination import check_folder
from edgebert.engine.backend import open_backend
from edgebert.engine.processor import default_threads
from edgebert.errors import AccuracyError, InputError, OutputError
from edgebert.evaluate.compare import Side, compare, text_hash, token_budget
from edgebert.layout import TOKENIZER, pack_tokenizer
from edgebert.quantize.calibrate import calibration_batch, default_texts, evaluation_texts
from edgebert.quantize.encoder import OnProgress, Report, half, quantize_encoder
from edgebert.quantize.law import SCHEME

__all__ = ["SUFFIX", "convert"]

SUFFIX = ".edgebert"
_WORST_LAYERS = 5


def convert(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    calibrate: Sequence[str] | None = None,
    evaluate: Sequence[str] | None = None,
    min_agreement: float = 0.99,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> Path:
    """Convert a Hugging Face model to an .edgebert file.

    Parameters
    ----------
    source : path or str
        A model folder, or a hub name ``org/name`` or ``org/name@revision``.
    output : path
        The file to write, named ``*.edgebert``; whole or not at all.
    calibrate : sequence of str, optional
        Texts like those that the model will meet, to quantize it for; by default a small general text and words of
        the model's own vocabulary.
    evaluate : sequence of str, optional
        Texts to measure the result on, others than those; by default another small general text.
    min_agreement : float
        Refuse to write a model that agrees less with fp32: as the share of texts that keep their label or, without
        a classifier, the mean cosine of the texts' vectors.
    force : bool
        Write it all the same; its receipt says so.
    on_progress : callable, optional
        Called with (layers done, layers in all) while the model is quantized.

    Returns
    -------
    Path
        `output`. Its receipt is ``edgebert.load(output).info["receipt"]``.

    Raises
    ------
    CheckpointError
        When the source is missing, incomplete, damaged or unsupported.
    AccuracyError
        When the result agrees less than `min_agreement` with fp32.
    InputError
        When there are no texts, or those to measure on are among those to calibrate on.
    OutputError
        When the file cannot be written.
    """
    # Before a download, which may take long. The suffix keeps a slip from replacing the source's own weights.
    check_folder(os.fspath(output))
    if Path(output).suffix != SUFFIX:
        raise OutputError(f"cannot convert to {output}: expected a name that ends in {SUFFIX}")
    started = time.monotonic()
    checkpoint = open_checkpoint(source)
    tokenizer = TextTokenizer(checkpoint.tokenizer_json, checkpoint.max_length)
    calibrate = default_texts(tokenizer) if calibrate is None else list(calibrate)
    evaluate = evaluation_texts() if evaluate is None else list(evaluate)
    _check_texts(calibrate, evaluate)
    tensors, report = _quantize(checkpoint, tokenizer, calibrate, on_progress)
    backend = open_backend(checkpoint.config, tensors, default_threads(), token_budget(checkpoint.config))
    comparison = compare(checkpoint, Side(backend, tensors), evaluate)
    accepted = comparison.agreement >= min_agreement
    receipt = {
        "calibration": {"texts": len(calibrate), "sha256": text_hash(calibrate)},
        "evaluation": comparison.figures,
        "agreement": round(comparison.agreement, 6),
        "min_agreement": min_agreement,
        "below_min_agreement": not accepted,
        "worst_layers": dict(sorted(report.errors.items(), key=lambda item: -item[1])[:_WORST_LAYERS]),
        "finer_groups": report.finer,
        "bytes_before": checkpoint.size_bytes,
        "bytes_after": sum(array.nbytes for array in tensors.values()),
        "seconds": round(time.monotonic() - started, 1),
    }
    if not accepted and not force:
        worst = next(iter(receipt["worst_layers"].items()))  # type: ignore[attr-defined]
        raise AccuracyError(
            f"{checkpoint.name} in int8 agrees {comparison.agreement:.6f} with fp32, expected at least {min_agreement};"
            f" the worst layer is {worst[0]} with an error of {worst[1]:.1e}; nothing was written. Calibrate on texts"
            " like those that it will meet, ask for less, or force it"
        )
    write_artifact(output, tensors, {**_describe(checkpoint), "receipt": receipt})
    return Path(output)


def _check_texts(calibrate: Sequence[str], evaluate: Sequence[str]) -> None:
    """Refuse to measure on what was calibrated on."""
    for name, texts in (("calibrate on", calibrate), ("evaluate on", evaluate)):
        if not texts:
            raise InputError(f"there are no texts to {name}, expected at least one")
    both = set(calibrate) & set(evaluate)
    if both:
        raise InputError(
            f"{len(both)} of {len(evaluate)} texts to evaluate on are among those to calibrate on; take others, or the"
            " figures would flatter the model"
        )


def _describe(checkpoint: Checkpoint) -> dict[str, Any]:
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


def _quantize(
    checkpoint: Checkpoint, tokenizer: TextTokenizer, texts: Sequence[str], on_progress: OnProgress | None
) -> tuple[dict[str, np.ndarray], Report]:
    """Quantize every tensor of a checkpoint; names and shapes are those of `edgebert.layout`."""
    encoder, report = quantize_encoder(
        checkpoint.config, checkpoint.tensors, calibration_batch(tokenizer, texts), on_progress
    )
    tensors = {TOKENIZER: pack_tokenizer(checkpoint.tokenizer_json), **encoder}
    if checkpoint.head != "none":
        tensors["pooler.dense.weight"] = half("pooler.dense.weight", checkpoint.tensors["pooler.dense.weight"])
        for name in ("pooler.dense.bias", "classifier.weight", "classifier.bias"):
            tensors[name] = checkpoint.tensors[name]
    return tensors, report
