"""Convert a trained checkpoint to an .edgebert file, with a receipt of what that cost."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.arguments import checked_callable, checked_choice, checked_flag, checked_path, listed_texts
from edgebert.artifact import write_artifact
from edgebert.batch import pack
from edgebert.checkpoint import Checkpoint, open_checkpoint
from edgebert.engine.backend import open_backend
from edgebert.engine.threads import default_threads
from edgebert.errors import AccuracyError, ArtifactError, CheckpointError, InputError, OutputError, shown
from edgebert.evaluate.compare import Side, compare, cosines, text_hash, token_budget
from edgebert.evaluate.float32 import Float32Layers
from edgebert.evaluate.spans import OF_CALIBRATION, span_texts
from edgebert.exact import mean
from edgebert.families import encoder_of
from edgebert.heads import HEADS
from edgebert.heads.chain import Chain, transform
from edgebert.heads.pooling import dense_name
from edgebert.heads.splade import QUERY_WEIGHTS
from edgebert.kernels import reference
from edgebert.kernels.plan import whole_vectors
from edgebert.layout import EMBEDDINGS, TOKENIZER, pack_tokenizer
from edgebert.model_file import ModelFile
from edgebert.output import check_folder
from edgebert.quantize.calibrate import calibration_windows, default_texts, evaluation_texts, inputs_of_spans
from edgebert.quantize.encoder import OnProgress, quantize_encoder
from edgebert.quantize.law import SCHEME
from edgebert.quantize.linear import Report, half_or_whole, quantize_linear
from edgebert.tokens import TextTokenizer
from edgebert.windows import fitting_ids

__all__ = ["SUFFIX", "convert", "convert_checkpoint"]

SUFFIX = ".edgebert"
DEFAULT_AGREEMENT = 0.99
_WORST_LAYERS = 5


def convert(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    calibrate: Sequence[str] | None = None,
    evaluate: Sequence[str] | None = None,
    min_agreement: float | None = None,
    force: bool = False,
    embeddings: str = "int8",
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
    min_agreement : float, optional
        Refuse to write a model that agrees less with fp32: as the share of decisions that stay the same (labels, tags,
        words) or, without a head or for sparse vectors, the mean cosine of the texts' vectors. By default 0.99, give or
        take two standard deviations of what so many decisions can tell.
    force : bool
        Write it all the same; its receipt says so.
    embeddings : str
        What the word embeddings are kept in: ``"int8"``, or ``"int4"`` in half of the size.
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
        When an option has no such value, there are no texts, or those to measure on are among those to calibrate on.
    OutputError
        When the file cannot be written.
    """
    # Before a download, which may take long. The suffix keeps a slip from replacing the source's own weights.
    checked_path(source, "source")
    target = checked_path(output, "output")
    check_folder(str(target))
    if target.suffix != SUFFIX:
        raise OutputError(f"cannot convert to {output}: expected a name that ends in {SUFFIX}")
    checked_choice(embeddings, "embeddings", EMBEDDINGS)
    checked_flag(force, "force")
    checked_callable(on_progress, "on_progress")
    _check_agreement(min_agreement)
    calibrate = None if calibrate is None else listed_texts(calibrate, "calibrate")
    evaluate = None if evaluate is None else listed_texts(evaluate, "evaluate")
    return convert_checkpoint(
        open_checkpoint(source),
        target,
        calibrate=calibrate,
        evaluate=evaluate,
        min_agreement=min_agreement,
        force=force,
        embeddings=embeddings,
        on_progress=on_progress,
    )


def convert_checkpoint(
    checkpoint: Checkpoint,
    output: Path,
    *,
    calibrate: Sequence[str] | None = None,
    evaluate: Sequence[str] | None = None,
    min_agreement: float | None = None,
    force: bool = False,
    embeddings: str = "int8",
    on_progress: OnProgress | None = None,
) -> Path:
    """Convert a model that is open already, with options that are right: all else is as `convert` says."""
    tokenizer = TextTokenizer.for_model(checkpoint.info)
    calibrate = default_texts(tokenizer) if calibrate is None else calibrate
    evaluate = evaluation_texts() if evaluate is None else evaluate
    _check_texts(calibrate, evaluate)
    tensors, report = _quantize(checkpoint, tokenizer, calibrate, embeddings, on_progress)
    backend = open_backend(checkpoint.info.config, tensors, default_threads(), token_budget(checkpoint.info.config))
    comparison = compare(checkpoint, Side(backend, tensors), evaluate)
    reached = comparison.agreement if min_agreement is not None else comparison.agreement_at_best
    min_agreement = DEFAULT_AGREEMENT if min_agreement is None else min_agreement
    accepted = reached >= min_agreement
    receipt = {
        "calibration": {"texts": len(calibrate), "sha256": text_hash(calibrate)},
        "evaluation": comparison.figures,
        "agreement": round(comparison.agreement, 6),
        "min_agreement": min_agreement,
        "below_min_agreement": not accepted,
        "embeddings": _embedding_line(checkpoint, tensors, embeddings),
        "worst_layers": dict(sorted(report.errors.items(), key=lambda item: -item[1])[:_WORST_LAYERS]),
        "finer_groups": report.finer,
        "depths": report.int16_steps,
        "bytes_before": checkpoint.size_bytes,
        "bytes_after": sum(array.nbytes for array in tensors.values()),
    }
    if not accepted and not force:
        worst = next(iter(receipt["worst_layers"].items()))  # type: ignore[attr-defined]
        raise AccuracyError(
            f"{checkpoint.info.source} in int8 agrees {comparison.agreement:.6f} with fp32{comparison.judged_by},"
            f" expected at least {min_agreement}; the worst layer is {worst[0]} with an error of {worst[1]:.1e};"
            " nothing was written. Measure it on texts like those that it will meet (--evaluate), calibrate it on"
            " others of them (--calibrate), ask for less (--min-agreement), or --force it"
        )
    metadata = {"scheme": SCHEME, **checkpoint.info.to_json(), "embeddings": embeddings, "receipt": receipt}
    write_artifact(output, tensors, metadata, lambda path: _check_written(path, checkpoint.info.source))
    return output


def _check_agreement(value: float | None) -> None:
    if value is not None and not (isinstance(value, (int, float)) and type(value) is not bool and 0 <= value <= 1):
        raise InputError(f"min_agreement is {shown(value)}, expected a number from 0 to 1")


def _check_written(path: Path, source: str) -> None:
    """Refuse a file that `edgebert.load` would refuse."""
    try:
        TextTokenizer.for_model(ModelFile(path).info)
    except ArtifactError as error:
        fault = str(error).replace(str(path), "its file")
        raise CheckpointError(f"{source} makes no file that could be loaded, nothing was written: {fault}") from error


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


def _quantize(
    checkpoint: Checkpoint,
    tokenizer: TextTokenizer,
    texts: Sequence[str],
    embeddings: str,
    on_progress: OnProgress | None,
) -> tuple[dict[str, np.ndarray], Report]:
    """Quantize every tensor of a checkpoint; names and shapes are those of `edgebert.layout`."""
    weights, config, sparse = checkpoint.tensors, checkpoint.info.config, checkpoint.info.sparse
    masks = checkpoint.info.mask_token if "masked_lm" in checkpoint.info.heads and sparse is None else ""
    gliner = checkpoint.info.gliner
    spans = span_texts(tokenizer, gliner, texts, OF_CALIBRATION) if gliner else []
    windows = [own.window for own in spans] or calibration_windows(tokenizer, texts, masks)
    batch = pack(*fitting_ids(windows, config), config.padding)
    encoder, hidden, report = quantize_encoder(encoder_of(config), weights, batch, embeddings, on_progress)
    mask = tokenizer.id_of(checkpoint.info.mask_token) if checkpoint.info.mask_token else None
    tensors = {TOKENIZER: pack_tokenizer(checkpoint.info.tokenizer), **encoder}
    known = inputs_of_spans(weights, checkpoint.info, spans, np.split(hidden, batch.cu_seqlens[1:-1])) if gliner else {}
    for part in checkpoint.info.parts.values():
        weight, bias = weights[f"{part.name}.weight"], weights[f"{part.name}.bias"]
        if part.kind == "int8":
            x = known.get(part.name)
            if x is None:  # it reads masked words alone; all of them for sparse vectors
                read = np.arange(0) if sparse else HEADS["masked_lm"].reads(batch, mask)
                before = Chain(transform(config), weights, config, Float32Layers())
                x = before(hidden[read] if len(read) else hidden)
            tensors |= quantize_linear(part.name, x, weight, bias, whole_vectors(part.N), report)[0]
            continue
        tensors[f"{part.name}.weight"] = half_or_whole(weight) if part.kind == "float16" else weight
        tensors[f"{part.name}.bias"] = bias
    for i in range(len(checkpoint.info.pipeline.dense)):
        name = dense_name(i)
        tensors[f"{name}.weight"] = half_or_whole(weights[f"{name}.weight"])
        tensors[f"{name}.bias"] = weights[f"{name}.bias"]
    if sparse and sparse.query_weights:
        tensors[QUERY_WEIGHTS] = weights[QUERY_WEIGHTS]
    return tensors, report


def _embedding_line(checkpoint: Checkpoint, tensors: Mapping[str, np.ndarray], kind: str) -> dict[str, Any]:
    """Return the receipt's line on the word embeddings: how they are kept, and their cosines to fp32."""
    name = encoder_of(checkpoint.info.config).embeddings.words.name
    exact = checkpoint.tensors[f"{name}.weight"]
    every = np.arange(len(exact))
    kept = reference.embed_words(tensors, name, every)[:, : exact.shape[1]]
    factor = tensors.get(f"{name}.factor")
    if factor is not None:  # or else the largest columns alone would count
        kept, exact = (rows / factor[: exact.shape[1]] for rows in (kept, exact))
    found = cosines(kept, exact)[np.abs(exact).max(axis=1) > 0]  # a padding token may be all zero
    if not len(found):
        raise CheckpointError(
            f"{checkpoint.info.source} has no word embedding that is not zero; its weights are damaged"
        )
    return {
        "kind": kind,
        "bytes": tensors[f"{name}.weight"].nbytes + tensors[f"{name}.scale"].nbytes,
        "cosine_mean": round(float(mean(found)), 6),
        "cosine_worst": round(float(found.min()), 6),
        **({} if factor is None else {"columns_with_factors": int((factor != 1).sum())}),
    }
