"""What becomes of every field of a model folder's files, the tokenizer's apart: one table a file.

A field is read, or known to change no result, or allowed some values alone: another is refused by name. What stands
in no table is not known to be harmless, and named in a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from edgebert.errors import UnsupportedModelError

__all__ = ["FIELDS", "Field", "check_fields", "config_fields"]

READ, WITHOUT_EFFECT, ONLY = "read", "without effect", "only"


class Field(NamedTuple):
    """What becomes of a field: ``kind`` of the three, why, and for `ONLY` the values that are allowed beside null."""

    kind: str
    reason: str
    allowed: tuple[Any, ...] = ()


def _read(names: str, reason: str) -> dict[str, Field]:
    return {name: Field(READ, reason) for name in names.split()}


def _without_effect(names: str, reason: str) -> dict[str, Field]:
    return {name: Field(WITHOUT_EFFECT, reason) for name in names.split()}


def _only(name: str, allowed: tuple[Any, ...], reason: str) -> dict[str, Field]:
    return {name: Field(ONLY, reason, allowed)}


_CONFIG = {
    **_read("architectures model_type", "which model it is"),
    **_read("vocab_size max_position_embeddings type_vocab_size layer_norm_eps hidden_act", "the encoder's"),
    **_read("hidden_size num_hidden_layers num_attention_heads intermediate_size pad_token_id", "the encoder's"),
    **_read("position_embedding_type is_decoder add_cross_attention", "checked with the encoder's sizes"),
    **_read("id2label problem_type", "the classifier's"),
    **_read("sentence_transformers sbert_ce_default_activation_function", "what stands behind a cross-encoder"),
    **_read("tie_word_embeddings", "whether the decoder of masked words may be the word embeddings"),
    **_only("is_encoder_decoder", (False,), "edgebert runs encoders"),
    **_only("pruned_heads", ({}, []), "edgebert runs layers with all of their attention heads"),
    **_only("quantization_config", (), "its weights are another tool's integers"),
    **_only("compression_config", (), "its weights are another tool's integers"),
    **_only("classifier_activation", ("tanh",), "the family's classifiers have another"),
    **_without_effect("label2id num_labels _num_labels", "id2label says the same, and the weights how many there are"),
    **_without_effect(
        "attention_probs_dropout_prob hidden_dropout_prob classifier_dropout initializer_range initializer_factor"
        " gradient_checkpointing tf_legacy_loss finetuning_task layerdrop label_smoothing",
        "for training",
    ),
    **_without_effect("chunk_size_feed_forward", "saves memory, with the same results"),
    **_without_effect(
        "_name_or_path name_or_path transformers_version torch_dtype dtype tokenizer_class language adapters"
        " _attn_implementation attn_implementation _attn_implementation_autoset _commit_hash transformers.js_config",
        "says where the files come from, or how another library is to compute them",
    ),
    **_without_effect(
        "output_attentions output_hidden_states output_past output_scores return_dict return_dict_in_generate"
        " torchscript use_bfloat16 use_cache use_return_dict xla_device",
        "how transformers returns what it computes",
    ),
    **_without_effect(
        "bad_words_ids begin_suppress_tokens decoder_start_token_id diversity_penalty do_sample early_stopping"
        " encoder_no_repeat_ngram_size exponential_decay_length_penalty forced_bos_token_id forced_eos_token_id"
        " length_penalty max_length max_new_tokens min_length no_repeat_ngram_size num_beam_groups num_beams"
        " num_return_sequences prefix remove_invalid_values repetition_penalty suppress_tokens task_specific_params"
        " temperature top_k top_p typical_p cross_attention_hidden_size tie_encoder_decoder eos_token_ids"
        " pad_token_ids",
        "for generating text, which encoders do not",
    ),
    **_without_effect(
        "bos_token_id eos_token_id sep_token_id cls_token_id mask_token_id unk_token_id", "the tokenizer has them"
    ),
    **_without_effect(
        "directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head"
        " pooler_type",
        "left from Google's files, and read by no BERT",
    ),
}
_OF_FAMILY: dict[str, dict[str, Field]] = {
    "distilbert": {
        **_read("dim n_layers n_heads hidden_dim activation", "the encoder's"),
        **_without_effect("hidden_act intermediate_size", "the family reads activation and hidden_dim"),
        **_without_effect("type_vocab_size layer_norm_eps", "the family has no types, and one epsilon"),
        **_only("classifier_activation", ("relu",), "the family's classifiers have another"),
        **_without_effect("dropout attention_dropout qa_dropout seq_classif_dropout", "for training"),
        **_without_effect("sinusoidal_pos_embds tie_weights_", "the weights have them as they are"),
    },
    "electra": {
        **_read("embedding_size", "the encoder's"),
        **_only("classifier_activation", ("gelu",), "the family's classifiers have another"),
        **_without_effect(
            "summary_activation summary_last_dropout summary_type summary_use_proj summary_first_dropout",
            "of the head for multiple choice",
        ),
        **_without_effect("generator_size generator_layers", "of another model"),
    },
    "mpnet": {
        **_read("relative_attention_num_buckets", "the encoder's"),
        **_without_effect("type_vocab_size", "the family has no types"),
    },
}

_SENTENCE = "sentence_embedding"
FIELDS: dict[str, dict[str, Field]] = {
    "modules.json": {
        **_read("path type", "which modules there are"),
        **_without_effect("idx name", "their order is the list's"),
        **_without_effect("kwargs", "names of arguments that may be given to a module, and are not"),
    },
    "config_sentence_transformers.json": {
        **_read("prompts default_prompt_name", "what is put before texts"),
        **_read("activation_fn", "what stands behind a cross-encoder"),
        **_read("truncate_dim", "how many values of a vector are kept"),
        **_only("model_type", ("SentenceTransformer", "CrossEncoder"), "models of other kinds give other results"),
        **_without_effect("__version__ requirements", "says what it was made with"),
        **_without_effect("similarity_fn_name", "how vectors are to be compared, which changes none"),
        **_without_effect("keep_in_fp32_modules", "heads are computed in float32"),
    },
    "sentence_bert_config.json": {
        **_read("max_seq_length do_lower_case", "how texts are cut and cased"),
        **_read("tokenizer_args processor_kwargs", "they replace what tokenizer_config.json says"),
        **_read("config_args config_kwargs", "they replace what config.json says"),
        **_read("processing_kwargs modality_config model_args model_kwargs", "checked field by field"),
        **_only("transformer_task", ("feature-extraction", "sequence-classification"), "edgebert has no such task"),
        **_only("module_output_name", ("token_embeddings", "scores"), "edgebert reads hidden states or logits"),
        **_only("query_expansion", (), "edgebert pads no queries"),
        **_only("tokenizer_name_or_path", (), "edgebert reads the tokenizer beside the weights"),
        **_without_effect("unpad_inputs", "there is no padding here"),
        **_without_effect("query_length document_length", "of encode_query and encode_document, not of encode"),
    },
    "model_kwargs": _without_effect(
        "torch_dtype dtype attn_implementation device_map low_cpu_mem_usage use_safetensors revision cache_dir token"
        " local_files_only trust_remote_code subfolder add_pooling_layer file_name provider export",
        "how another library is to load and compute it",
    ),
    "processing_kwargs": {
        **_read("max_length", "how texts are cut"),
        **_only("truncation", (True, "longest_first", "only_first"), "edgebert cuts what its model cannot see"),
        **_only("add_special_tokens", (True,), "edgebert adds them"),
        **_without_effect("padding pad_to_multiple_of return_tensors verbose", "there is no padding here"),
        **_without_effect("return_attention_mask return_token_type_ids return_length", "changes no vector"),
    },
    "Pooling/config.json": {
        **_read("pooling_mode include_prompt pooling_mode_cls_token pooling_mode_max_tokens", "how tokens are pooled"),
        **_read("pooling_mode_mean_tokens pooling_mode_mean_sqrt_len_tokens", "how tokens are pooled"),
        **_read("pooling_mode_weightedmean_tokens pooling_mode_lasttoken", "how tokens are pooled"),
        **_without_effect("embedding_dimension word_embedding_dimension", "the encoder's size says it"),
    },
    "Dense/config.json": {
        **_read("in_features out_features bias activation_function", "the layer's"),
        **_only("module_input_name", (_SENTENCE,), "edgebert applies Dense modules to the vector of a text"),
        **_only("module_output_name", (_SENTENCE,), "edgebert applies Dense modules to the vector of a text"),
        **_only("use_residual", (False,), "edgebert adds no input to a Dense module's output"),
    },
    "Normalize/config.json": {
        **_only("module_input_name", (_SENTENCE,), "edgebert normalises the vector of a text"),
        **_only("module_output_name", (_SENTENCE,), "edgebert normalises the vector of a text"),
    },
    "Dropout/config.json": _without_effect("dropout", "for training"),
}
"""File (of a module: its kind before it; or the field that holds the fields) -> its fields."""


def config_fields(model_type: str) -> dict[str, Field]:
    """Return what becomes of the fields of a family's config.json."""
    return {**_CONFIG, **_OF_FAMILY.get(model_type, {})}


def check_fields(values: Mapping[str, Any], fields: Mapping[str, Field], *, where: str) -> list[str]:
    """Refuse values that are not allowed; return the fields that stand in no table, with where they are.

    Parameters
    ----------
    values : mapping
        Of the file.
    fields : mapping
        Of `FIELDS`, or `config_fields`.
    where : str
        How the file is named to the user.

    Raises
    ------
    UnsupportedModelError
        Naming every field with a value that is not allowed.
    """
    given = {name: value for name, value in values.items() if value is not None}
    refused = [
        f"{name} {value!r} ({_allowed(fields[name])}: {fields[name].reason})"
        for name, value in given.items()
        if name in fields and fields[name].kind == ONLY and not _is_among(value, fields[name].allowed)
    ]
    if refused:
        raise UnsupportedModelError(f"{where} has {'; '.join(refused)}")
    return [f"{name} in {where}" for name in given if name not in fields]


def _is_among(value: Any, allowed: Iterable[Any]) -> bool:
    return any(type(value) is type(each) and value == each for each in allowed)  # 0 is not False here


def _allowed(field: Field) -> str:
    return f"expected {' or '.join(map(repr, field.allowed))}" if field.allowed else "expected none"
