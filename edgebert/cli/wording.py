"""Messages of the library in the words of the command line: commands and options, not methods and arguments."""

from __future__ import annotations

import re

__all__ = ["in_words_of_commands"]

_OPTIONS = {
    "aggregation_strategy": "--strategy",
    "dimensions": "--dimensions",
    "function_to_apply": "--function",
    "hypothesis_template": "--hypothesis",
    "label": "--label",
    "labels": "--labels",
    "max_answer_len": "--max-answer-len",
    "max_memory": "--max-memory",
    "min_agreement": "--min-agreement",
    "pooling": "--pooling",
    "prompt_name": "--prompt-name",
    "targets": "--targets",
    "threads": "--threads",
    "top_k": "--top-k",
}
"""Argument -> option. One that is a plain word is replaced where it begins a message, the others anywhere."""
_AT_START = re.compile(rf"^({'|'.join(_OPTIONS)})(?= (?:is|are|has|goes)\b)")
_ANYWHERE = re.compile(rf"(?<![\w'/-])({'|'.join(name for name in _OPTIONS if '_' in name)})(?![\w'/.-])")
_METHOD = re.compile(r"\b(classify|tag|fill_mask|next_sentence|score|answer|rank|embed|search|redact)\(\)")


def in_words_of_commands(message: str) -> str:
    """Return a message of the library as a user of the command line understands it."""
    message = _METHOD.sub(lambda found: f"edgebert {found[1].replace('_', '-')}", message)
    for pattern in (_AT_START, _ANYWHERE):
        message = pattern.sub(lambda found: _OPTIONS[found[1]], message)
    return message
