"""What a sentence-transformers folder adds to a model: pooling, Dense modules, normalisation, length, prompts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from edgebert.checkpoint import late_interaction
from edgebert.checkpoint.fields_models import FIELDS, OF_TOKENS, check_fields
from edgebert.checkpoint.late_interaction import LateSettings
from edgebert.checkpoint.modules import DenseModule, read_dense, read_logit_score, read_pooling, read_splade
from edgebert.checkpoint.sparse import IDF, read_routes
from edgebert.checkpoint.text_files import read_json
from edgebert.checkpoint.values import count_of, flag_of, object_of
from edgebert.errors import CheckpointError, UnsupportedModelError
from edgebert.heads.pooling import Pipeline
from edgebert.heads.splade import Splade

__all__ = ["SentenceSettings", "read_sentence_settings"]

_OLD_ENCODERS = ("BERT", "RoBERTa", "DistilBERT", "CamemBERT", "XLMRoBERTa", "XLMRoberta", "MPNet")
_ENCODERS = ("Transformer", "MLMTransformer", *_OLD_ENCODERS)
"""How modules that hold an encoder are called: the second before a SpladePooling, the others in folders of before 2020.
"""

_BEHIND_POOLING = ("Dense", "Normalize", "Dropout")
_SPARSE = "SpladePooling"
_MASK = "MultiVectorMask"
_SCORE = "LogitScore"
_PIPELINE = ("Transformer", "Pooling", *_BEHIND_POOLING, _SPARSE, _MASK, _SCORE)
_SETTINGS_FILES = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""Where the settings of the encoder's module may stand; as in sentence-transformers, the first that says anything."""

_OF_CHATS = ("restore_suffix", "truncation", "max_length")
"""Arguments of a chat template that say how much of a text is seen."""
_FORMATS = ("flat", "structured")
"""Of messages: texts, or lists of objects with one."""
_LOADING = ("model_max_length", "trust_remote_code", "revision", "cache_dir", "token", "local_files_only", "use_fast")
"""Arguments that say where files come from, and the length, which is read here."""


@dataclasses.dataclass(frozen=True)
class SentenceSettings:
    """How a text becomes a vector; the defaults are those of a plain folder.

    Attributes
    ----------
    encoder : str
        The subfolder that has the encoder and its tokenizer; empty for the folder itself.
    pipeline : Pipeline
        What comes behind the encoder.
    dense : tuple of DenseModule
        The Dense modules of the pipeline, with their weights.
    sparse : Splade or None
        How a model for sparse vectors makes them.
    query_weights : Path or None
        The file, or the folder of the module, with the weights of a query's words.
    late_interaction : LateSettings or None
        How a model for late interaction makes vectors of tokens.
    words_of_score : tuple of int
        Of a cross-encoder that writes: the ids whose logits, the second taken off the first, are its score.
    chats : str
        Of what form messages are in which pairs are put into a chat template; empty where they are not.
    chat_args : dict
        What that is given beside the pair.
    max_length : int or None
        In tokens; None where the folder does not say.
    lowercase : bool
        Whether texts are put into lower case first.
    prompts : dict of str to str
        Texts to put before others, by name.
    default_prompt : str
        The name of the one that is always put there, if any.
    include_prompt : bool
        Whether the tokens of a prompt count when a text's are pooled.
    activation_fn : str
        What stands behind a cross-encoder's logits, by torch's name; empty where the folder does not say.
    tokenizer_args, config_args : dict
        What replaces fields of ``tokenizer_config.json`` and of ``config.json``.
    unknown : tuple of str
        Fields that stand in no table of `edgebert.checkpoint.fields_models`.
    is_cross_encoder : bool
        Whether the folder says that it is one.
    is_pipeline : bool
        Whether there is a list of modules, with a pooling among them.
    """

    encoder: str = ""
    pipeline: Pipeline = dataclasses.field(default_factory=Pipeline)
    dense: tuple[DenseModule, ...] = ()
    sparse: Splade | None = None
    query_weights: Path | None = None
    late_interaction: LateSettings | None = None
    words_of_score: tuple[int, ...] = ()
    chats: str = ""
    chat_args: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    max_length: int | None = None
    lowercase: bool = False
    prompts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default_prompt: str = ""
    include_prompt: bool = True
    activation_fn: str = ""
    tokenizer_args: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    config_args: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    is_cross_encoder: bool = False
    is_pipeline: bool = False

    @property
    def pooling(self) -> str:
        """The pooling's name, in an .edgebert file and in messages."""
        return self.pipeline.pooling

    @property
    def normalize(self) -> bool:
        """Whether vectors have length one."""
        return self.pipeline.normalize


def read_sentence_settings(folder: Path) -> SentenceSettings:
    """Read ``modules.json`` and what it names; the defaults where there is none.

    Raises
    ------
    CheckpointError
        A file is missing or malformed.
    UnsupportedModelError
        A module, a pooling or a setting that edgebert does not run.
    """
    settings, unknown = _of_model(folder)
    sparse_by, late = settings.pop("sparse_by"), settings.pop("late_interaction")
    if not (folder / "modules.json").is_file():
        late, more = late_interaction.of_stanford(folder)
        unknown += more
        # Without modules, sentence-transformers reads nothing but what stands behind a cross-encoder.
        idf = folder / IDF
        return SentenceSettings(
            sparse=Splade(query_weights=True) if idf.is_file() else None,
            query_weights=idf if idf.is_file() else None,
            activation_fn=settings["activation_fn"],
            is_cross_encoder=settings["is_cross_encoder"],
            late_interaction=late,
            pipeline=Pipeline(normalize=late is not None),
            max_length=late.document_length if late else None,
            unknown=tuple(unknown),
        )
    modules, query_weights, more = _modules(folder, late=late is not None)
    unknown += more
    encoder = str(modules[0][1])
    encoder = "" if encoder == "." else encoder
    of_encoder, more = _of_encoder(folder / encoder)
    unknown += more
    sparse_by += of_encoder.pop("sparse_by", [])
    told = of_encoder.pop("late_interaction", {})
    if late and not settings["is_pylate"]:
        late = late._replace(**told)
    elif told.get("filled_length"):
        raise UnsupportedModelError(
            f"{folder} has query_expansion, which fills queries up, but makes one vector of each; edgebert does not"
        )
    pooling, include_prompt = "mean", True
    dense: list[DenseModule] = []
    normalized, sparse = False, None
    words_of_score: tuple[int, ...] = ()
    for kind, path in modules[1:]:
        where = folder / path
        if kind == "Pooling":
            pooling, include_prompt, more = read_pooling(where / "config.json")
        elif kind == "Dense":
            module, more = read_dense(where, unit_input=normalized, of_tokens=late is not None)
            dense.append(module)
            normalized = False
        elif kind == _SPARSE:
            sparse, more = read_splade(where / "config.json")
            sparse = sparse._replace(most_words=settings["most_words"], query_weights=query_weights is not None)
        elif kind == _SCORE:
            words_of_score, more = read_logit_score(where / "config.json")
        elif kind == _MASK and late:
            masked, more = late_interaction.of_mask(where / "config.json")
            late = late._replace(**masked)
        else:
            file = where / "config.json"
            values = read_json(file, dict) if file.is_file() else {}  # old versions wrote none
            more = check_fields(values, FIELDS[f"{kind}/config.json{OF_TOKENS if late else ''}"], where=str(file))
            normalized |= kind == "Normalize"
        unknown += more
    steps = tuple(module.step for module in dense)
    del settings["most_words"]
    normalized |= settings.pop("is_pylate")  # it does so without a module that says it
    if late:
        longest = of_encoder.get("max_length")
        late = late._replace(query_length=late.query_length or longest)
        of_encoder["max_length"] = late.document_length or longest
    if (writes := of_encoder.pop("writes", [])) and not words_of_score:
        raise UnsupportedModelError(
            f"{folder} has {' and '.join(writes)}, but there is no {_SCORE} among its modules; edgebert writes no text"
        )
    if of_encoder.get("chats") and not settings["is_cross_encoder"]:
        raise UnsupportedModelError(
            f"{folder} puts texts into a chat template (message in its modality_config); edgebert does so for the pairs"
            " of cross-encoders alone"
        )
    if sparse is None and sparse_by:
        raise UnsupportedModelError(
            f"{'; '.join(sparse_by)}, but there is no {_SPARSE} among its modules; expected one"
        )
    return SentenceSettings(
        encoder=encoder,
        pipeline=Pipeline(pooling, steps, normalized, settings.pop("truncate_dim")),
        dense=tuple(dense),
        sparse=sparse,
        query_weights=query_weights,
        late_interaction=late,
        words_of_score=words_of_score,
        include_prompt=include_prompt,
        unknown=tuple(unknown),
        is_pipeline=len(modules) > 1,
        **settings,
        **of_encoder,
    )


def _modules(folder: Path, *, late: bool) -> tuple[list[tuple[str, PurePosixPath]], Path | None, list[str]]:
    """Return the kind and the path of each module, in an order that edgebert runs; and the unknown fields.

    Those of a model for late interaction make vectors of tokens: they have no Pooling. Of modules with a Router, those
    that documents go through; between both stands the folder of the weights that queries have instead, if they have.
    """
    file = folder / "modules.json"
    listed = read_json(file, list)
    unknown: list[str] = []
    query_weights = None
    if [str(module.get("type")).rpartition(".")[2] for module in listed if isinstance(module, dict)] == ["Router"]:
        unknown += check_fields(listed[0], FIELDS["modules.json"], where=str(file))
        within = str(listed[0].get("path", ""))
        routed, query_weights, more = read_routes(folder / within)
        listed = [{**module, "path": str(PurePosixPath(within, module["path"]))} for module in routed]
        unknown += more
    foreign: list[str] = []
    modules: list[tuple[str, PurePosixPath]] = []
    for module in listed:
        try:
            name, path = str(module["type"]), PurePosixPath(module["path"])
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"{file} has a module without its type or path") from error
        unknown += check_fields(module, FIELDS["modules.json"], where=str(file))
        if path.is_absolute() or ".." in path.parts:
            raise CheckpointError(f"{file} has a module in {str(path)!r}, expected a folder in {folder}")
        kind = name.rpartition(".")[2]
        modules.append((_PIPELINE[0] if kind in _ENCODERS else kind, path))
        # A class of the same name, of code that comes with the model, may do anything.
        if kind not in (*_PIPELINE, *_ENCODERS) or (folder / f"{name.partition('.')[0]}.py").is_file():
            foreign.append(kind if kind not in _PIPELINE else name)
    kinds = [kind for kind, _ in modules]
    if foreign:
        raise UnsupportedModelError(
            f"{folder} has sentence-transformers modules {', '.join(foreign)}; edgebert runs {', '.join(_PIPELINE)}"
        )
    pooled = kinds[1:2] in ([], ["Pooling"]) and set(kinds[2:]) <= set(_BEHIND_POOLING)
    ordered = kinds[:1] == ["Transformer"] and (pooled or kinds[1:] in ([_SPARSE], [_SCORE]))
    if late:
        ordered = kinds[:1] == ["Transformer"] and set(kinds[1:]) <= {*_BEHIND_POOLING, _MASK}
    if not ordered:
        raise UnsupportedModelError(
            f"{folder} has sentence-transformers modules in the order {', '.join(kinds) or 'of none'}; edgebert runs"
            f" Transformer, Pooling, and any of {', '.join(_BEHIND_POOLING)} behind them; or Transformer, {_SPARSE} or"
            f" {_SCORE}"
        )
    if query_weights is not None and _SPARSE not in kinds:
        raise UnsupportedModelError(f"{folder} has weights for the words of queries, but no {_SPARSE} for documents")
    return modules, query_weights, unknown


def _of_model(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return what config_sentence_transformers.json says, and its unknown fields."""
    path = folder / "config_sentence_transformers.json"
    values = read_json(path, dict) if path.is_file() else {}
    late = late_interaction.of_model(values, path)
    unknown = check_fields(values, FIELDS[path.name], where=str(path))
    prompts, default = values.get("prompts") or {}, values.get("default_prompt_name") or ""
    if not isinstance(prompts, dict) or not all(text is None or isinstance(text, str) for text in prompts.values()):
        raise CheckpointError(f"{path} has prompts that are no texts by name")
    prompts = {name: text for name, text in prompts.items() if text is not None}
    if not isinstance(default, str) or (default and default not in prompts):
        raise CheckpointError(f"{path} has default_prompt_name {default!r}, but no such prompt")
    truncate_dim = count_of(values, "truncate_dim", "values of a vector", path)
    activation_fn = values.get("activation_fn")
    if activation_fn is not None and not isinstance(activation_fn, str):
        raise CheckpointError(f"{path} has activation_fn {activation_fn!r}, expected the name of a class")
    return {
        "prompts": prompts,
        "default_prompt": default,
        "truncate_dim": truncate_dim or 0,
        "most_words": count_of(values, "max_active_dims", "words of a vector", path) or 0,
        "activation_fn": activation_fn or "",
        "is_cross_encoder": values.get("model_type") == "CrossEncoder",
        "late_interaction": late,
        "is_pylate": late is not None and values.get("model_type") != late_interaction.MODEL_TYPES[1],
        "sparse_by": [f"{path.name} has model_type 'SparseEncoder'"] * (values.get("model_type") == "SparseEncoder"),
    }, unknown


def _of_encoder(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return what the settings beside the encoder say, and their unknown fields."""
    files = [folder / name for name in _SETTINGS_FILES if (folder / name).is_file()]
    for path in files:
        values = read_json(path, dict)
        if values:
            break
    else:
        return {}, []
    where = str(path)
    unknown = check_fields(values, FIELDS["sentence_bert_config.json"], where=where)
    for name in ("model_args", "model_kwargs"):
        unknown += check_fields(object_of(values, name, path), FIELDS["model_kwargs"], where=f"{name} of {where}")
    modalities = object_of(values, "modality_config", path)
    text = modalities.get("text", {"method": "forward", "method_output_name": "last_hidden_state"})
    if not isinstance(text, dict) or (text.get("method"), text.get("method_output_name")) not in (
        ("forward", "last_hidden_state"),
        ("forward", "logits"),
    ):
        raise UnsupportedModelError(
            f"{where} has modality_config {modalities!r}; edgebert reads the last_hidden_state or the logits of forward"
        )
    tokenizer_args = {**object_of(values, "tokenizer_args", path), **object_of(values, "processor_kwargs", path)}
    length = count_of(values, "max_seq_length", "tokens", path)
    # Of what sentence-transformers says to a tokenizer in several places, the last wins.
    if "model_max_length" in tokenizer_args:
        length = count_of(tokenizer_args, "model_max_length", "tokens", path) or length
    processing = object_of(values, "processing_kwargs", path)
    for name in ("common", "text"):
        fields = object_of(processing, name, path)
        unknown += check_fields(fields, FIELDS["processing_kwargs"], where=f"processing_kwargs of {where}")
        length = count_of(fields, "max_length", "tokens", path) or length
    chat_args, chats = object_of(processing, "chat_template", path), modalities.get("message")
    check_fields(chat_args, FIELDS["chat_template"], where=f"chat_template of {where}")  # others are the template's own
    length = count_of(chat_args, "max_length", "tokens", path) or length
    form = chats.get("format") if isinstance(chats, dict) else None
    if "message" in modalities and form not in _FORMATS:
        raise UnsupportedModelError(
            f"{where} has the format {form!r} of messages, expected {' or '.join(_FORMATS)}: load and save the model"
            " with sentence-transformers, which writes it"
        )
    task = values.get("transformer_task")
    return {
        "sparse_by": [f"{where} has transformer_task 'fill-mask'"] * (task == "fill-mask"),
        "writes": [
            f"{name} {value!r}"
            for name, value in (("transformer_task", "text-generation"), ("module_output_name", "causal_logits"))
            if values.get(name) == value
        ],
        "chats": form or "",
        "chat_args": {name: value for name, value in chat_args.items() if name not in _OF_CHATS},
        "late_interaction": late_interaction.of_encoder(values, path),
        "max_length": length,
        "lowercase": flag_of(values, "do_lower_case", path),
        "tokenizer_args": {name: value for name, value in tokenizer_args.items() if name not in _LOADING},
        "config_args": {
            name: value
            for key in ("config_args", "config_kwargs")
            for name, value in object_of(values, key, path).items()
            if name not in _LOADING
        },
    }, unknown
