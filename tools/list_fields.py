"""List the fields that transformers and sentence-transformers write into the files of a model folder.

Run once for every release that is to be known; each adds what it writes to the same list::

    python tools/list_fields.py tests/data/golden/fields.json

``fields.json`` has, by the name of a file and (of ``config.json``) the model type, the fields with the releases that
write them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import transformers

from edgebert.families import FAMILIES

OWN_CODE = {
    "nomic_bert": "n_embd n_layer n_head n_inner n_positions layer_norm_epsilon activation_function prenorm"
    " parallel_block parallel_block_tied_norm rotary_emb_fraction fused_dropout_add_ln fused_bias_fc use_flash_attn"
    " use_xentropy qkv_proj_bias rotary_emb_base rotary_emb_scale_base rotary_emb_interleaved mlp_fc1_bias mlp_fc2_bias"
    " use_rms_norm causal type_vocab_size dense_seq_output pad_vocab_size_multiple rotary_scaling_factor"
    " max_trained_positions attn_pdrop embd_pdrop resid_pdrop scale_attn_weights scale_attn_by_inverse_layer_idx"
    " reorder_and_upcast_attn summary_activation summary_first_dropout summary_proj_to_labels summary_type"
    " summary_use_proj auto_map",
    "deberta-v2": "position_buckets norm_rel_ebd share_att_key pooler_hidden_size conv_kernel_size conv_act conv_groups"
    " attention_head_size",
    "eurobert": "clf_pooling rope_theta rope_scaling auto_map",
    "new": "vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size hidden_act"
    " hidden_dropout_prob attention_probs_dropout_prob max_position_embeddings type_vocab_size initializer_range"
    " layer_norm_type layer_norm_eps position_embedding_type rope_theta rope_scaling classifier_dropout pack_qkv"
    " unpad_inputs use_memory_efficient_attention logn_attention_scale logn_attention_clip1 auto_map",
    "jina_bert": "vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size hidden_act"
    " hidden_dropout_prob attention_probs_dropout_prob max_position_embeddings type_vocab_size initializer_range"
    " layer_norm_eps pad_token_id position_embedding_type use_cache classifier_dropout feed_forward_type emb_pooler"
    " attn_implementation model_max_length gradient_checkpointing auto_map",
}
"""Fields of models that came with code of their own, from before transformers had them, or still; and those that
Microsoft's have, and transformers reads without a name in its class."""


def config_fields(model_type: str) -> set[str]:
    """Return the fields of a family's config.json, those that are written only when they are set included."""
    config = transformers.AutoConfig.for_model(model_type)
    return set(config.to_dict()) | {"architectures", "transformers_version", "id2label", "label2id", "problem_type"}


def sentence_fields() -> dict[str, set[str]]:
    """Return the fields of sentence-transformers' files; none without it."""
    try:
        from sentence_transformers import CrossEncoder, SentenceTransformer, SparseEncoder
        from sentence_transformers.models import Dense, Dropout, Normalize, Pooling, Transformer
        from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling
    except ImportError:
        return {}
    empty = SentenceTransformer(modules=[Pooling(4)], device="cpu", truncate_dim=2)
    cross = CrossEncoder.__new__(CrossEncoder)
    cross.__dict__ |= {"prompts": {}, "default_prompt_name": None, "activation_fn": None}
    cross.__dict__ |= {"keep_in_fp32_modules": ["0.model.classifier"]}
    sparse = SparseEncoder(modules=[SpladePooling()], device="cpu", max_active_dims=2)
    models = (empty, cross, sparse)
    return {
        "config_sentence_transformers.json": {field for model in models for field in model._get_model_config()},
        "sentence_bert_config.json": {*Transformer.config_keys, "max_seq_length", "do_lower_case"},
        "Pooling/config.json": set(Pooling.config_keys) | set(Pooling.config_key_renames),
        "Dense/config.json": set(Dense.config_keys),
        "Normalize/config.json": set(Normalize.config_keys),
        "Dropout/config.json": set(Dropout.config_keys),
        "SpladePooling/config.json": set(SpladePooling.config_keys) | set(SpladePooling.config_key_renames),
        "SparseStaticEmbedding/config.json": {*SparseStaticEmbedding.config_keys, "path"},
        "router_config.json": {"types", "structure", "parameters"},
    }


def main() -> None:
    """Add the fields of the installed releases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    known = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    here = [model_type for model_type in FAMILIES if model_type in transformers.CONFIG_MAPPING]
    found = {f"config.json {model_type}": config_fields(model_type) for model_type in here}
    own = {f"config.json {model_type}": set(fields.split()) for model_type, fields in OWN_CODE.items()}
    releases = [(f"transformers {transformers.__version__}", found), ("own code", own)]
    of_sentences = sentence_fields()
    if of_sentences:
        import sentence_transformers

        releases.append((f"sentence-transformers {sentence_transformers.__version__}", of_sentences))
    for release, files in releases:
        for file, fields in files.items():
            for field in fields:
                known.setdefault(file, {}).setdefault(field, [])
                known[file][field] = sorted({*known[file][field], release})
    ordered = {file: dict(sorted(fields.items())) for file, fields in sorted(known.items())}
    output.write_text(json.dumps(ordered, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
