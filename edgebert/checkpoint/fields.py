"""Every file of a model folder and every field in it, and what edgebert does about it.

There are three kinds: a field is honoured; or it is known to be without effect on any result; or it is refused, when
it has a value that would change results and that edgebert does not follow. What is in no table is not passed over in
silence: a `CheckpointWarning` names it.

``FIELDS`` has one table a file. ``FILES`` has the names that the libraries look for in a folder; they read no
others, so that any other file is without effect.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebert.checkpoint.faults import listed
from edgebert.errors import CheckpointWarning, UnsupportedModelError
from edgebert.families.rules import Rule, honoured, refused, without_effect

__all__ = [
    "FIELDS",
    "FILES",
    "check_fields",
    "check_files",
    "sort_out",
]


def sort_out(values: Mapping[str, Any], table: Mapping[str, Rule]) -> tuple[list[tuple[str, Any, Rule]], list[str]]:
    """Return the refused fields of a file, with their values and rules; and those that are set and in no table."""
    given = {name: value for name, value in values.items() if value is not None}
    faulty = [
        (name, value, table[name])
        for name, value in given.items()
        if name in table and table[name].kind == "refused" and not table[name].harmless(value)
    ]
    return faulty, [name for name in given if name not in table]


_ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_EXTRA = ("additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens")
_RESAVE = (
    "load the model with transformers where it works, and save its tokenizer as a PreTrainedTokenizerFast"
    " with a tokenizer.json"
)

FIELDS: dict[str, dict[str, Rule]] = {
    "tokenizer_config.json": {
        **honoured("which class builds the tokenizer (edgebert.checkpoint.tokenizer_classes)", "tokenizer_class"),
        **honoured("special tokens", *_ROLES, *_EXTRA),
        **honoured("tokens beyond the vocabulary, by id", "added_tokens_decoder"),
        **honoured("of BERT's and ALBERT's classes: they win over tokenizer.json", "do_lower_case"),
        **honoured("of BERT's classes: it wins over tokenizer.json", "strip_accents"),
        **honoured("of ALBERT's class: it wins over tokenizer.json", "keep_accents"),
        **honoured("of BERT's classes: it wins over tokenizer.json", "tokenize_chinese_chars"),
        **honoured("of RoBERTa's and XLM-RoBERTa's classes", "add_prefix_space", "trim_offsets"),
        **honoured("whether the second text of a pair has a type of its own", "model_input_names"),
        **honoured("tokens that a text may have; the second is the old name", "model_max_length", "max_len"),
        **honoured("which end of a text is kept", "truncation_side"),
        **without_effect(
            "nothing is padded here",
            "padding_side",
            "padding",
            "pad_to_multiple_of",
            "pad_token_type_id",
            "tokenizer_padding",
            "_json_padding",
        ),
        **without_effect(
            "arguments of a call, which transformers keeps and does not look at again",
            *("max_length", "stride", "truncation", "truncation_strategy", "tokenizer_truncation"),
            *("_json_truncation", "add_special_tokens", "return_offsets_mapping", "return_special_tokens_mask"),
            *("return_token_type_ids", "return_attention_mask", "return_tensors", "return_length"),
        ),
        **without_effect(
            "where the files came from, and how they were loaded",
            *("name_or_path", "tokenizer_file", "vocab_file", "merges_file", "special_tokens_map_file"),
            *("full_tokenizer_file", "added_tokens_file", "tokenizer_config_file", "spm_file", "files_loaded"),
            *("is_local", "local_files_only", "cache_dir", "revision", "subfolder", "_commit_hash", "_from_auto"),
            *("use_fast", "from_slow", "from_tf", "slow_tokenizer_class", "backend", "device_map"),
            *("trust_remote_code", "transformers_version", "verbose", "proxies", "force_download"),
        ),
        **honoured("what stands round the pairs of rerankers", "chat_template"),
        **without_effect("of chats", "response_template", "response_schema", "chat_control_tokens"),
        **without_effect("of models for images or sound", "processor_class", "image_token_index"),
        **without_effect(
            "of turning ids back into text, which the tokenizer's decoder does",
            *("clean_up_tokenization_spaces", "spaces_between_special_tokens", "errors"),
            "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output",
        ),
        **without_effect("the class puts its own tokens round a text", "add_bos_token", "add_eos_token"),
        **without_effect(
            "of tokenizers in Python; the fast ones never had it", "never_split", "legacy", "clean_text", "remove_space"
        ),
        **without_effect("of Mistral's tokenizers", "fix_mistral_regex", "tokenizer"),
        **refused(
            "special tokens that a text spells are to be taken apart; remove it if your texts spell none",
            "split_special_tokens",
            unless=(False,),
        ),
        **refused(
            f"text already split into words; edgebert needs the model's own tokenizer.json: {_RESAVE}",
            "do_basic_tokenize",
            unless=(True,),
        ),
        **refused(
            f"words found with a dictionary, which edgebert does not have: {_RESAVE}",
            "word_tokenizer_type",
            unless=("basic",),
        ),
        **refused(f"another way to split words: {_RESAVE}", "subword_tokenizer_type", unless=("wordpiece",)),
        **refused(f"another way to split words: {_RESAVE}", "do_word_tokenize", "do_subword_tokenize", unless=(True,)),
        **refused(
            f"a dictionary's settings: {_RESAVE}", "mecab_kwargs", "sudachi_kwargs", "jumanpp_kwargs", unless=({},)
        ),
        **refused(f"pieces of words are marked in another way: {_RESAVE}", "wordpieces_prefix", unless=("##",)),
        **refused("sampled tokenization; remove it for the same tokens each time", "sp_model_kwargs", unless=({},)),
        **refused(f"a tokenizer by code of its own, which edgebert does not run: {_RESAVE}", "auto_map", unless=({},)),
        **refused(
            f"parts of a tokenizer where only settings belong: {_RESAVE}",
            *("vocab", "merges", "post_processor", "tokenizer_object", "gguf_file", "unk_id"),
            "_spm_precompiled_charsmap",
        ),
        **refused(f"arguments of a class by their order: {_RESAVE}", "init_inputs", unless=([],)),
        **refused(
            "tokenizer files by version of transformers; name the one to take tokenizer.json and remove the field",
            "fast_tokenizer_files",
            unless=([], ["tokenizer.json"]),
        ),
    },
    "special_tokens_map.json": {**honoured("special tokens", *_ROLES, *_EXTRA)},
}
"""Name of a file -> name of a field -> what is done about it.

``added_tokens.json`` has no table: each of its fields is a token, and each is honoured.
"""

FILES: dict[str, Rule] = {
    **honoured("the tokenizer", "tokenizer.json", "tokenizer_config.json"),
    **honoured("vocabularies of a folder without tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"),
    **honoured(
        "read where tokenizer_config.json has no added_tokens_decoder", "special_tokens_map.json", "added_tokens.json"
    ),
    **honoured("the encoder", "config.json", "model.safetensors", "model.safetensors.index.json"),
    **honoured(
        "sentence-transformers", "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"
    ),
    **honoured("of models for sparse vectors", "router_config.json", "idf.json"),
    **honoured("kept as the model's card", "README.md"),
    # Where there is a tokenizer.json, it has all of them; where there is none, the tokenizer is refused by its class.
    **without_effect(
        "vocabularies in other forms, beside tokenizer.json",
        *("sentencepiece.bpe.model", "spiece.model", "spm.model", "sentencepiece.model", "source.spm", "target.spm"),
        *("tokenizer.model", "tiktoken.model", "tekken.json", "bpe.codes", "dict.txt", "spm_file", "entity_vocab.json"),
        *("byte_shuffle.json", "word_shape.json", "word_pronunciation.json", "emoji.json", "normalizer.json"),
    ),
    **without_effect(
        "weights in other forms, beside model.safetensors",
        *("pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack", "rust_model.ot"),
    ),
    **honoured("what stands round the pairs of rerankers", "chat_template.jinja"),
    **honoured("of models that find spans of any labels", "gliner_config.json"),
    **without_effect("of models that write text", "generation_config.json"),
    **without_effect("of models for images or sound", "preprocessor_config.json", "processor_config.json"),
    **without_effect("what was trained, and how well", "training_args.bin", "trainer_state.json", ".gitattributes"),
    **refused(
        "weights beside the model's own (PEFT): merge the adapter into its weights first, and save it",
        "adapter_config.json",
    ),
}
"""Name of a file -> what is done about it."""


def check_fields(path: Path, values: Mapping[str, Any]) -> None:
    """Check the fields of a JSON file against its table.

    Parameters
    ----------
    path : Path
        Of the file; its name finds the table in `FIELDS`.
    values : mapping
        What it holds. A ``*_token`` that is text or an object is a special token, whatever its name.

    Raises
    ------
    UnsupportedModelError
        Fields are refused: each with its value, what it asks for, and the remedy.

    Warns
    -----
    CheckpointWarning
        Fields that are set and in no table: all in one warning.
    """
    faulty, unknown = sort_out(values, FIELDS[path.name])
    if faulty:
        named = [f"{name} is {json.dumps(value)} ({rule.why})" for name, value, rule in faulty]
        raise UnsupportedModelError(f"{path} has settings that edgebert does not follow: {listed(named)}")
    unknown = [name for name in unknown if not (name.endswith("_token") and isinstance(values[name], (str, dict)))]
    if unknown:
        warnings.warn(
            f"{path} has fields that edgebert does not know, and does not follow: {listed(sorted(unknown))};"
            " remove those that change nothing",
            CheckpointWarning,
            stacklevel=2,
        )


def check_files(folder: Path) -> None:
    """Refuse a folder for a file whose content would change results and is not followed.

    Raises
    ------
    UnsupportedModelError
        Naming each such file, what it is, and the remedy.
    """
    named = [
        f"{name} ({rule.why})" for name, rule in FILES.items() if rule.kind == "refused" and (folder / name).is_file()
    ]
    if named:
        raise UnsupportedModelError(f"{folder} has files that edgebert does not follow: {listed(named)}")
