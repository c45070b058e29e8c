"""Trained weights in: a Hugging Face or sentence-transformers folder, checked and ready to convert."""

from __future__ import annotations

import dataclasses
import itertools
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.checkpoint.architecture import heads_of, labels_of, problem_type_of
from edgebert.checkpoint.behind import tensors_of
from edgebert.checkpoint.card import read_card
from edgebert.checkpoint.chat import pair_texts
from edgebert.checkpoint.faults import listed
from edgebert.checkpoint.fields import check_files
from edgebert.checkpoint.fields_models import check_fields, config_fields
from edgebert.checkpoint.gliner import ENCODER, read_gliner
from edgebert.checkpoint.late_interaction import LateSettings, resolve
from edgebert.checkpoint.names import heads_among, match, renamed, within
from edgebert.checkpoint.sentence_transformers import SentenceSettings, read_sentence_settings
from edgebert.checkpoint.source import Source, fetch_weights, locate
from edgebert.checkpoint.sparse import read_query_weights
from edgebert.checkpoint.stored import StoredTensor
from edgebert.checkpoint.text_files import read_json
from edgebert.checkpoint.tokenizer import last_id, read_tokenizer, read_truncation_side
from edgebert.checkpoint.tokenizer_classes import class_of
from edgebert.checkpoint.tokenizer_settings import ROLES, read_tokenizer_settings
from edgebert.checkpoint.weights import Tensors, sha256_of, stored_tensors, weight_files
from edgebert.config import BertConfig
from edgebert.errors import CheckpointError, CheckpointWarning, UnsupportedModelError
from edgebert.families import encoder_of, family_of
from edgebert.heads import architecture_of
from edgebert.heads.late_interaction import LateInteraction
from edgebert.heads.masked_lm import MaskedLM
from edgebert.heads.pooling import poolings_of
from edgebert.heads.splade import QUERY_WEIGHTS
from edgebert.model_info import ModelInfo
from edgebert.tokens import TextTokenizer

__all__ = ["Checkpoint", "open_checkpoint"]

_PROBES = ("a", " a ", "A.", "a?\n", "\n\nA", "1", "(a)")
"""Texts that begin and end in different ways."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A trained model, checked; its weights are read when asked for.

    Attributes
    ----------
    info : ModelInfo
    size_bytes : int
        Of the weight files.
    tensors : Mapping
        BERT's name -> array [dtype=float32, shape by `edgebert.checkpoint.names.expected_tensors`].
        Each look-up reads the tensor and keeps nothing; it raises `CheckpointError` for NaN and
        infinite values.
    """

    info: ModelInfo
    size_bytes: int
    tensors: Mapping[str, np.ndarray]

    @property
    def path(self) -> Path:
        """The name of what it was opened from."""
        return Path(self.info.source)

    @property
    def facts(self) -> dict[str, Any]:
        """What is to be told of it, in the order of reading."""
        return {"source": self.info.source, "architecture": architecture_of(self.info.heads)}

    def check_unchanged(self) -> None:
        """Do nothing: what was read of a checkpoint is in memory."""


def open_checkpoint(source: str | os.PathLike[str] | Source) -> Checkpoint:
    """Open a trained model, checking everything but the weights' values.

    Parameters
    ----------
    source : str, PathLike or Source
        A folder; or, where there is no such folder, ``org/name`` or ``org/name@revision`` on
        the Hugging Face hub, which is downloaded into its cache. Or what `locate` made of one of these.

    Raises
    ------
    CheckpointError
        Something is missing, damaged or contradicts the rest; all faulty tensors are named at once.
    UnsupportedModelError
        An architecture, a module or a tokenizer that edgebert does not run.
    DownloadError
        The model could not be fetched.
    """
    place = source if isinstance(source, Source) else locate(source)
    folder = place.folder
    sentence = read_sentence_settings(folder)
    encoder, spans = folder / sentence.encoder, read_gliner(folder)
    if not spans and not (encoder / "config.json").is_file():
        raise CheckpointError(_no_model_folder(place.name, folder))
    check_files(encoder)
    values = spans.encoder if spans else {**read_json(encoder / "config.json", dict), **sentence.config_args}
    family = family_of(values, source=place.name)
    where = f"encoder_config of {spans.path.name}" if spans else "config.json"
    unknown = check_fields(values, config_fields(family.model_type), where=where)
    config = family.read_config(values)
    _check_dense(sentence, config.hidden_size)
    settings = read_tokenizer_settings(encoder, sentence.tokenizer_args)
    tokenizer_json, mask_token = read_tokenizer(encoder, settings, values, config, lowercase=sentence.lowercase)
    truncation_side = read_truncation_side(encoder, settings)
    if spans and (folder / "modules.json").is_file():
        raise CheckpointError(f"{place.name} has a modules.json beside {spans.path.name}, expected one of both")
    gliner = spans and spans.resolve(tokenizer_json, config)
    _warn_of_fields(place.name, [*unknown, *sentence.unknown, *(spans.unknown if spans else ())])
    round_pairs = None
    if sentence.chats:
        own = class_of(encoder, settings, values)
        round_pairs = _round_pairs(encoder, sentence, {role: own.token(role, settings) for role in ROLES})
        _check_pairs(place.name, tokenizer_json, round_pairs)

    fetch_weights(place)  # after all that could refuse the model
    files = weight_files(encoder)
    stored = stored_tensors(files)
    of_encoder = _of_encoder(stored) if gliner else stored
    found, faults = renamed(of_encoder, family)
    late = sentence.late_interaction
    bare = late or gliner or sentence.words_of_score
    heads, foreign = ((), "") if bare else heads_of(values, heads_among(found, config), family)
    if config.refused_id is not None and MaskedLM.name in heads:
        heads = tuple(head for head in heads if head != MaskedLM.name)
        warnings.warn(
            f"{place.name} weighs all words by how many are masked (token_dropout), which edgebert does not: it is"
            " taken without its head for masked words",
            CheckpointWarning,
            stacklevel=2,
        )
    if foreign or late:
        found, faults = renamed(within(stored, family), family)
    unused = config.padding or 0  # position embeddings before the padding's
    tied = values.get("tie_word_embeddings") is not False
    try:
        matched = match(found, config, heads, family, unused, source=place.name, tied=tied, faults=faults)
    except CheckpointError as error:
        if not foreign:
            raise
        raise UnsupportedModelError(
            f"{place.name} is a {foreign}, which is no encoder of edgebert's: {error}"
        ) from error
    if sentence.sparse and "masked_lm" not in matched.heads:
        raise CheckpointError(
            f"{place.name} is for sparse vectors, but a {architecture_of(matched.heads)}, expected the head for masked"
            " words, which makes them: a class ForMaskedLM in config.json, and its weights"
        )
    _check_last_token(place.name, matched.heads, config, tokenizer_json, values)
    absent = [head for head in heads if head not in matched.heads]
    _warn_of_heads(place.name, foreign, [] if sentence.is_pipeline else absent)
    behind = tensors_of(stored, matched, sentence, gliner, config, place.name)
    heads = behind.match.heads
    labels = labels_of(values, behind.match.num_labels)
    if sentence.query_weights:
        behind.made[QUERY_WEIGHTS], more = read_query_weights(sentence.query_weights, tokenizer_json, config.vocab_size)
        _warn_of_fields(place.name, more)
    card = read_card(folder / "README.md")
    info = ModelInfo(
        config=config,
        heads=heads,
        labels=labels,
        problem_type=_problem_type(values, len(labels), sentence) if "sequence_classification" in heads else "",
        pipeline=behind.pipeline,
        sparse=sentence.sparse,
        late_interaction=late and _late_interaction(late, settings, tokenizer_json, mask_token, config),
        gliner=gliner,
        pair_texts=round_pairs,
        prompts=sentence.prompts,
        default_prompt=sentence.default_prompt,
        include_prompt=sentence.include_prompt,
        mask_token=mask_token,
        max_length=_max_length(sentence.max_length, settings, config),
        truncation_side=truncation_side,
        source=place.name,
        source_sha256=sha256_of(files),
        card=card.text,
        licence=card.licence,
        languages=card.languages,
        tokenizer=tokenizer_json,
    )
    positions = encoder_of(config).embeddings.positions
    unused_rows = {f"{positions.name}.weight": unused} if positions else {}
    weights = Tensors(behind.tensors, unused_rows, behind.zeros, behind.made)
    return Checkpoint(info, sum(path.stat().st_size for path in files), weights)


def _of_encoder(stored: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """Return the tensors of the encoder within a GLiNER, by the names that they have in one of their own."""
    return {name.removeprefix(ENCODER): tensor for name, tensor in stored.items() if name.startswith(ENCODER)}


def _round_pairs(encoder: Path, sentence: SentenceSettings, tokens: Mapping[str, str]) -> tuple[str, str, str]:
    prompt, structured = sentence.prompts.get(sentence.default_prompt, ""), sentence.chats == "structured"
    return pair_texts(encoder, sentence.chat_args, tokens, prompt, structured=structured)


def _check_pairs(name: str, tokenizer_json: str, round_pairs: tuple[str, str, str]) -> None:
    """Refuse a template of which a pair has other tokens when its texts are tokenized apart, as windows want it."""
    tokenizer = TextTokenizer(tokenizer_json, 1 << 30, pair_texts=round_pairs)
    before, between, behind = round_pairs
    for first, second in itertools.product(_PROBES, repeat=2):
        head, text = tokenizer.pair(first, second)
        (window,) = tokenizer.windows(text, head)
        whole = tokenizer.content(f"{before}{first}{between}{second}{behind}")
        if window.ids.tolist() != whole.ids.tolist():
            raise UnsupportedModelError(
                f"{name} has a chat template whose words run into those of the texts ({between!r}, {behind!r}): texts"
                " are tokenized apart, expected a special token behind the second, and a line of its own for each"
            )


def _no_model_folder(name: str, folder: Path) -> str:
    """Say that a folder holds no model, and where in it or below it there may be one."""
    files = [path.name for path in sorted(folder.glob("*.edgebert"))]
    folders = [path.parent.name for path in sorted(folder.glob("*/config.json"))]
    there = f"; it holds {listed([*files, *(f'{each}/' for each in folders)])}: name that" if files or folders else ""
    return (
        f"{name} has no config.json, expected a Hugging Face model folder, with config.json, the tokenizer and"
        f" model.safetensors, as transformers' save_pretrained writes it{there}"
    )


def _check_dense(sentence: SentenceSettings, hidden_size: int) -> None:
    """Refuse Dense modules that do not fit the vectors that they get."""
    width = hidden_size * len(poolings_of(sentence.pipeline.pooling))
    for module in sentence.dense:
        if width != module.K:
            raise CheckpointError(f"{module.folder} has in_features {module.K}, expected {width}: what comes before it")
        width = module.N


def _check_last_token(
    name: str, heads: Sequence[str], config: BertConfig, tokenizer_json: str, values: Mapping[str, Any]
) -> None:
    """Refuse a classifier behind the last token whose texts all end in the padding token: it would look before it."""
    if "sequence_classification" not in heads or config.head_layers.pooling != "lasttoken":
        return
    padding = values.get("pad_token_id")
    if padding is not None and last_id(tokenizer_json) == padding:
        raise UnsupportedModelError(
            f"{name} classifies texts by their last token that is not the padding token {padding}, but its tokenizer"
            " ends every text with that; edgebert looks at the very last token: save the tokenizer without it"
        )


def _problem_type(values: Mapping[str, Any], num_labels: int, sentence: SentenceSettings) -> str:
    return problem_type_of(values, num_labels, sentence.activation_fn, is_cross_encoder=sentence.is_cross_encoder)


def _late_interaction(
    late: LateSettings, settings: Mapping[str, Any], tokenizer_json: str, mask_token: str, config: BertConfig
) -> LateInteraction:
    return resolve(late, _max_length(late.query_length, settings, config), tokenizer_json, mask_token, config)


def _warn_of_fields(source: str, unknown: Sequence[str]) -> None:
    """Say which fields of the files are not known to change nothing."""
    if unknown:
        warnings.warn(
            f"{source} has settings that edgebert does not know, and does without: {listed(unknown)}; compare it with"
            " the library that it was made with",
            CheckpointWarning,
            stacklevel=3,
        )


def _warn_of_heads(source: str, foreign: str, absent: Sequence[str]) -> None:
    """Say what a model was taken for, if its class says something else."""
    if foreign:
        warnings.warn(
            f"{source} is a {foreign}, whose head edgebert does not know: it is taken as an encoder, for embeddings",
            CheckpointWarning,
            stacklevel=3,
        )
    if absent:
        warnings.warn(
            f"{source} has no weights of its head {' and '.join(absent)}: it is taken without it",
            CheckpointWarning,
            stacklevel=3,
        )


def _max_length(of_sentences: int | None, settings: Mapping[str, Any], config: BertConfig) -> int:
    """Return the tokens a text may have; transformers writes 1e30 where a tokenizer knows no limit."""
    length = of_sentences or settings.get("model_max_length")
    if type(length) is not int or length < 1:
        return config.max_position_embeddings
    return min(length, config.max_position_embeddings)
