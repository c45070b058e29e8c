"""What becomes of every field of a model folder's files, the tokenizer's apart: one table a file.

The kinds are those of `edgebert.checkpoint.fields`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgebert.checkpoint.fields import sort_out
from edgebert.errors import UnsupportedModelError
from edgebert.families import FAMILIES
from edgebert.families.rules import Rule, honoured, refused, without_effect

__all__ = ["FIELDS", "OF_TOKENS", "check_fields", "config_fields"]

_CONFIG = {
    **honoured("which model it is", "architectures model_type"),
    **honoured("the encoder's", "vocab_size max_position_embeddings type_vocab_size layer_norm_eps hidden_act"),
    **honoured("the encoder's", "hidden_size num_hidden_layers num_attention_heads intermediate_size pad_token_id"),
    **honoured("checked with the encoder's sizes", "position_embedding_type is_decoder add_cross_attention"),
    **honoured("the classifier's", "id2label problem_type"),
    **honoured("what stands behind a cross-encoder", "sentence_transformers sbert_ce_default_activation_function"),
    **honoured("whether the decoder of masked words may be the word embeddings", "tie_word_embeddings"),
    **refused("edgebert runs encoders", "is_encoder_decoder", unless=(False,)),
    **refused("edgebert runs layers with all of their attention heads", "pruned_heads", unless=({}, [])),
    **refused("its weights are another tool's integers", "quantization_config"),
    **refused("its weights are another tool's integers", "compression_config"),
    **refused("the family's classifiers have another", "classifier_activation", unless=("tanh",)),
    **without_effect("id2label says the same, and the weights how many there are", "label2id num_labels _num_labels"),
    **without_effect(
        "for training",
        "attention_probs_dropout_prob hidden_dropout_prob classifier_dropout initializer_range",
        "initializer_factor gradient_checkpointing tf_legacy_loss finetuning_task layerdrop",
        "label_smoothing",
    ),
    **without_effect("saves memory, with the same results", "chunk_size_feed_forward"),
    **without_effect(
        "says where the files come from, or how another library is to compute them",
        "_name_or_path name_or_path transformers_version torch_dtype dtype tokenizer_class",
        "language adapters _attn_implementation attn_implementation _attn_implementation_autoset",
        "_commit_hash transformers.js_config",
    ),
    **without_effect(
        "how transformers returns what it computes",
        "output_attentions output_hidden_states output_past output_scores return_dict",
        "return_dict_in_generate torchscript use_bfloat16 use_cache use_return_dict xla_device",
    ),
    **without_effect(
        "for generating text, which encoders do not",
        "bad_words_ids begin_suppress_tokens decoder_start_token_id diversity_penalty do_sample",
        "early_stopping encoder_no_repeat_ngram_size exponential_decay_length_penalty",
        "forced_bos_token_id forced_eos_token_id length_penalty max_length max_new_tokens",
        "min_length no_repeat_ngram_size num_beam_groups num_beams num_return_sequences prefix",
        "remove_invalid_values repetition_penalty suppress_tokens task_specific_params temperature",
        "top_k top_p typical_p cross_attention_hidden_size tie_encoder_decoder eos_token_ids",
        "pad_token_ids",
    ),
    **without_effect(
        "the tokenizer has them", "bos_token_id eos_token_id sep_token_id cls_token_id mask_token_id unk_token_id"
    ),
    **without_effect(
        "left from Google's files, and read by no BERT",
        "directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers",
        "pooler_size_per_head pooler_type",
    ),
}
_SENTENCE = "sentence_embedding"
_EITHER = ("token_embeddings", _SENTENCE)
_TOKENS_ALONE = "edgebert applies the modules of a model for late interaction to its tokens"
OF_TOKENS = " of tokens"
"""Behind the name of a file: what becomes of its fields in a model for late interaction."""
FIELDS: dict[str, dict[str, Rule]] = {
    "modules.json": {
        **honoured("which modules there are", "path type"),
        **without_effect("their order is the list's", "idx name"),
        **without_effect("names of arguments that may be given to a module, and are not", "kwargs"),
    },
    "config_sentence_transformers.json": {
        **honoured("what is put before texts", "prompts default_prompt_name"),
        **honoured("what stands behind a cross-encoder", "activation_fn"),
        **honoured("how many values of a vector are kept", "truncate_dim"),
        **honoured("how many words a sparse vector has at most", "max_active_dims"),
        **refused(
            "models of other kinds give other results",
            "model_type",
            unless=("SentenceTransformer", "CrossEncoder", "SparseEncoder", "ColBERT", "MultiVectorEncoder"),
        ),
        **honoured("late interaction", "query_prefix document_prefix query_length document_length"),
        **honoured("late interaction", "do_query_expansion attend_to_expansion_tokens skiplist_words"),
        **without_effect("says what it was made with", "__version__ requirements"),
        **honoured("how vectors are to be compared, which changes none", "similarity_fn_name"),
        **without_effect("heads are computed in float32", "keep_in_fp32_modules"),
    },
    "sentence_bert_config.json": {
        **honoured("how texts are cut and cased", "max_seq_length do_lower_case"),
        **honoured("they replace what tokenizer_config.json says", "tokenizer_args processor_kwargs"),
        **honoured("they replace what config.json says", "config_args config_kwargs"),
        **honoured("checked field by field", "processing_kwargs modality_config model_args model_kwargs"),
        **refused(
            "edgebert has no such task",
            "transformer_task",
            unless=("feature-extraction", "sequence-classification", "fill-mask", "text-generation"),
        ),
        **refused(
            "edgebert reads hidden states or logits",
            "module_output_name",
            unless=("token_embeddings", "scores", "causal_logits"),
        ),
        **refused("edgebert reads the tokenizer beside the weights", "tokenizer_name_or_path"),
        **without_effect("there is no padding here", "unpad_inputs"),
        **honoured("late interaction", "query_expansion query_length document_length"),
    },
    "model_kwargs": without_effect(
        "how another library is to load and compute it",
        "torch_dtype dtype attn_implementation device_map low_cpu_mem_usage use_safetensors",
        "revision cache_dir token local_files_only trust_remote_code subfolder add_pooling_layer",
        "file_name provider export",
    ),
    "processing_kwargs": {
        **honoured("how texts are cut", "max_length"),
        **refused(
            "edgebert cuts what its model cannot see", "truncation", unless=(True, "longest_first", "only_first")
        ),
        **refused("edgebert adds them", "add_special_tokens", unless=(True,)),
        **without_effect("there is no padding here", "padding pad_to_multiple_of return_tensors verbose"),
        **without_effect("changes no vector", "return_attention_mask return_token_type_ids return_length"),
    },
    "Pooling/config.json": {
        **honoured(
            "how tokens are pooled", "pooling_mode include_prompt pooling_mode_cls_token pooling_mode_max_tokens"
        ),
        **honoured("how tokens are pooled", "pooling_mode_mean_tokens pooling_mode_mean_sqrt_len_tokens"),
        **honoured("how tokens are pooled", "pooling_mode_weightedmean_tokens pooling_mode_lasttoken"),
        **without_effect("the encoder's size says it", "embedding_dimension word_embedding_dimension"),
    },
    "Dense/config.json": {
        **honoured("the layer's", "in_features out_features bias activation_function"),
        **refused("edgebert applies Dense modules to the vector of a text", "module_input_name", unless=(_SENTENCE,)),
        **refused("edgebert applies Dense modules to the vector of a text", "module_output_name", unless=(_SENTENCE,)),
        **refused("edgebert adds no input to a Dense module's output", "use_residual", unless=(False,)),
    },
    f"Dense/config.json{OF_TOKENS}": {
        **honoured("the layer's", "in_features out_features bias activation_function use_residual"),
        **refused(_TOKENS_ALONE, "module_input_name module_output_name", unless=_EITHER),
    },
    f"Normalize/config.json{OF_TOKENS}": refused(_TOKENS_ALONE, "module_input_name module_output_name", unless=_EITHER),
    f"Dropout/config.json{OF_TOKENS}": without_effect("for training", "dropout module_input_name module_output_name"),
    "MultiVectorMask/config.json": {
        **honoured("which tokens have no vector", "skiplist_words skiplist_tasks"),
        **refused("edgebert reads texts, not images", "keep_only_token_ids", unless=([],)),
    },
    "chat_template": {
        **honoured("how texts are cut", "max_length"),
        **without_effect("edgebert keeps what stands behind a text that is cut", "restore_suffix"),
        **refused(
            "edgebert cuts what its model cannot see", "truncation", unless=(True, "longest_first", "only_first")
        ),
        **refused(
            "edgebert reads the model's own template, of a query and a document", "chat_template tools documents"
        ),
        **refused("edgebert reads what stands behind the last message", "continue_final_message", unless=(False,)),
        **without_effect("there is no padding here", "padding tokenize return_tensors return_dict"),
    },
    "LogitScore/config.json": {
        **honoured("which words make the score", "true_token_id false_token_id"),
        **refused("edgebert reads logits", "module_input_name", unless=("causal_logits",)),
    },
    "artifact.metadata": {
        **honoured("late interaction", "query_token_id doc_token_id query_maxlen doc_maxlen"),
        **honoured("late interaction", "attend_to_mask_tokens mask_punctuation"),
        **refused("edgebert compares vectors by their cosine", "similarity", unless=("cosine",)),
        **refused("edgebert sums over a query's tokens", "interaction", unless=("colbert",)),
        **without_effect("the weights say it", "dim"),
        **without_effect("the tokens of these ids", "query_token doc_token"),
        **without_effect(
            "for training, or for an index",
            "accumsteps amp avoid_fork_if_possible bsize centroid_score_threshold checkpoint collection configs",
            "distillation_alpha experiment gpus ignore_scores index_bsize index_name index_path index_root",
            "kmeans_niters load_index_with_mmap lr maxsteps meta model_name name nbits ncells ndocs nranks nway",
            "overwrite queries rank relu reranker resume root save_every total_visible_gpus triples use_ib_negatives",
            "warmup warmup_bert",
        ),
    },
    "gliner_config.json": {
        **honoured("the encoder's", "encoder_config"),
        **honoured("how spans are found", "span_mode max_width max_len hidden_size num_rnn_layers"),
        **honoured("what stands before a text", "ent_token sep_token class_token_index embed_ent_token"),
        **refused("a word has the state of its first token", "subtoken_pooling", unless=("first",)),
        **refused("edgebert splits words at spaces and punctuation", "words_splitter_type", unless=("whitespace",)),
        **refused("edgebert reads the last layer alone", "fuse_layers", unless=(False,)),
        **refused("edgebert has no such layers", "post_fusion_schema", unless=("",)),
        **refused("edgebert has no such layers", "span_encoder_config relations_layer"),
        **without_effect("of such layers", "embed_rel_token rel_token rel_token_index triples_layer"),
        **refused("edgebert has no such layers", "represent_spans", unless=(False,)),
        **refused("labels stand before the text", "precomputed_prompts_mode", unless=(False,)),
        **refused("labels stand before the text", "labels_encoder labels_encoder_config"),
        **refused("edgebert writes no text", "labels_decoder labels_decoder_config"),
        **without_effect("of layers that are not there", "num_post_fusion_layers"),
        **without_effect("the encoder's config and the weights say it", "model_name name vocab_size model_type"),
        **without_effect("says what it was made with", "transformers_version architectures dtype torch_dtype"),
        **without_effect("how another library computes it", "_attn_implementation"),
        **without_effect("labels are given with each text", "id_to_classes max_types"),
        **without_effect(
            "for training",
            "dropout fine_tune freeze_token_rep random_drop shuffle_types max_neg_type_ratio size_sup neg_spans_ratio",
            "num_steps train_batch_size eval_every warmup_ratio scheduler_type loss_alpha loss_gamma loss_prob_margin",
            "label_smoothing loss_reduction lr_encoder lr_others weight_decay_encoder weight_decay_other max_grad_norm",
            "root_dir log_dir train_data val_data_dir prev_path save_total_limit token_loss_coef span_loss_coef",
            "negatives masking optimizer",
        ),
    },
    "Normalize/config.json": {
        **refused("edgebert normalises the vector of a text", "module_input_name", unless=(_SENTENCE,)),
        **refused("edgebert normalises the vector of a text", "module_output_name", unless=(_SENTENCE,)),
    },
    "SpladePooling/config.json": {
        **honoured("how weights of words are made of logits", "pooling_strategy activation_function"),
        **without_effect("the vocabulary's size says it", "embedding_dimension word_embedding_dimension"),
        **without_effect("how much is computed at a time", "chunk_size"),
    },
    "router_config.json": {
        **honoured("which modules there are for documents and queries", "types structure"),
        **without_effect("a caller says which texts are queries", "parameters"),
    },
    "SparseStaticEmbedding/config.json": {
        **honoured("where the weights of words are", "path"),
        **without_effect("for training", "frozen"),
    },
    "Dropout/config.json": without_effect("for training", "dropout"),
}
"""File (of a module: its kind before it; or the field that holds the fields) -> its fields."""


def config_fields(model_type: str) -> dict[str, Rule]:
    """Return what becomes of the fields of a family's config.json."""
    return {**_CONFIG, **FAMILIES[model_type].rules}


def check_fields(values: Mapping[str, Any], fields: Mapping[str, Rule], *, where: str) -> list[str]:
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
    faulty, unknown = sort_out(values, fields)
    if faulty:
        named = [f"{name} {value!r} ({_expected(rule)}: {rule.why})" for name, value, rule in faulty]
        raise UnsupportedModelError(f"{where} has {'; '.join(named)}")
    return [f"{name} in {where}" for name in unknown]


def _expected(rule: Rule) -> str:
    return f"expected {' or '.join(map(repr, rule.unless))}" if rule.unless else "expected none"
