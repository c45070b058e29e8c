"""The tensors behind the encoder that are no head's of Hugging Face: Dense modules, projections, GLiNER's layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from edgebert.checkpoint.gliner import tensors_behind
from edgebert.checkpoint.late_interaction import projection
from edgebert.checkpoint.modules import DenseModule
from edgebert.checkpoint.names import Match
from edgebert.checkpoint.sentence_transformers import SentenceSettings
from edgebert.checkpoint.stored import FLOAT_DTYPES, StoredTensor
from edgebert.checkpoint.weights import Tensors
from edgebert.config import BertConfig
from edgebert.errors import CheckpointError, UnsupportedModelError
from edgebert.families import encoder_of
from edgebert.heads.classification import SequenceClassification
from edgebert.heads.gliner import Gliner
from edgebert.heads.pooling import Pipeline, dense_name

__all__ = ["Behind", "tensors_of"]


@dataclasses.dataclass
class Behind:
    """What a model has behind its encoder.

    Attributes
    ----------
    match : Match
        The tensors of the encoder and of Hugging Face's heads; with a head that is made of the decoder of words.
    pipeline : Pipeline
    tensors : dict of str to StoredTensor
        All that stand in a file, by their names here.
    zeros : dict of str to tuple of int
        The shapes of those that are zero.
    made : dict of str to ndarray
        Those that are made of others.
    """

    match: Match
    pipeline: Pipeline
    tensors: dict[str, StoredTensor]
    zeros: dict[str, tuple[int, ...]]
    made: dict[str, np.ndarray]


def tensors_of(
    stored: Mapping[str, StoredTensor],
    match: Match,
    sentence: SentenceSettings,
    gliner: Gliner | None,
    config: BertConfig,
    source: str,
) -> Behind:
    """Find what a model has behind its encoder.

    Parameters
    ----------
    stored : mapping of str to StoredTensor
        All tensors beside the encoder's config, by their own names.
    match : Match
    sentence : SentenceSettings
    gliner : Gliner or None
    config : BertConfig
    source : str
        What messages call the model.

    Raises
    ------
    CheckpointError
        Something is missing, or does not fit.
    """
    behind = Behind(match, sentence.pipeline, dict(match.tensors), dict(match.zeros), {})
    if sentence.words_of_score:
        _add_score(behind, stored, sentence.words_of_score, config, source)
    if gliner:
        tensors, behind.made, zeros = tensors_behind(stored, gliner, config.hidden_size, source)
        behind.tensors |= tensors
        behind.zeros |= zeros
    for i, module in enumerate(sentence.dense):
        _add_dense(behind, dense_name(i), module)
    if sentence.late_interaction and not sentence.is_pipeline:
        step, behind.tensors[f"{dense_name(0)}.weight"] = projection(stored, source)
        behind.pipeline = dataclasses.replace(sentence.pipeline, dense=(step,))
        behind.zeros[f"{dense_name(0)}.bias"] = (step.N,)
    return behind


def _add_dense(behind: Behind, name: str, module: DenseModule) -> None:
    own = module.tensors()
    behind.tensors |= {f"{name}.{part}": own[part] for part in ("weight", "bias") if part in own}
    if not module.bias:
        behind.zeros[f"{name}.bias"] = (module.N,)
    if module.residual:
        behind.made[f"{name}.weight"] = module.weight_with_residual(own)
        del behind.tensors[f"{name}.weight"]


def _add_score(
    behind: Behind, stored: Mapping[str, StoredTensor], words: tuple[int, ...], config: BertConfig, source: str
) -> None:
    """Make a classifier with one label of the decoder's rows for one word, or for two, the second taken off."""
    before = config.head_layers
    if before.pooler or before.transform or before.pooling != "lasttoken":
        raise UnsupportedModelError(
            f"{source} makes its score of words, and has more layers before them than edgebert expects there: it runs"
            " models that write, such as Qwen3"
        )
    decoder = next((tensor for name, tensor in stored.items() if name.endswith("lm_head.weight")), None)
    if decoder is None:
        decoder = behind.tensors[f"{encoder_of(config).embeddings.words.name}.weight"]
    count, width = decoder.shape if len(decoder.shape) == 2 else (0, 0)
    if width != config.hidden_size or not all(own < count for own in words) or decoder.dtype not in FLOAT_DTYPES:
        raise CheckpointError(
            f"{source} makes its score of the words {', '.join(map(str, words))}, but its decoder of words is"
            f" {decoder.dtype} {decoder.shape}; expected a row for each, of {config.hidden_size}"
        )
    size = width * FLOAT_DTYPES[decoder.dtype].itemsize
    rows = {
        f"row {own} of the decoder": StoredTensor(decoder.dtype, (1, width), decoder.path, decoder.offset + own * size)
        for own in words
    }
    first, *second = Tensors(rows).values()
    behind.made["classifier.weight"] = first - second[0] if second else first
    behind.zeros["classifier.bias"] = (1,)
    behind.match = behind.match._replace(heads=(SequenceClassification.name,), num_labels=1)
