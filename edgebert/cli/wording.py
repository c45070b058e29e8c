"""Messages of the library in the words of the command line: commands and options, not methods and arguments."""

from __future__ import annotations

import re

__all__ = ["command_of", "in_words_of_commands"]

_OPTIONS = {
    "aggregation_strategy": "--strategy",
    "dimensions": "--dimensions",
    "function_to_apply": "--function",
    "hypothesis_template": "--hypothesis",
    "label": "--label",
    "labels": "--labels",
    "labels, nested and multi_label": "--labels, --nested and --multi-label",
    "max_answer_len": "--max-answer-len",
    "max_memory": "--max-memory",
    "min_agreement": "--min-agreement",
    "pooling": "--pooling",
    "prompt_name": "--prompt-name",
    "targets": "--targets",
    "threads": "--threads",
    "top_k": "--top-k",
}
"""Argument -> option, where it begins a message. Elsewhere it may be the user's word, like the name of a column."""
_PHRASES = {
    "both prompt and prompt_name are given": "both --prompt and --prompt-name are given",
    "more than its max_memory of": "more than its --max-memory of",
}
_AT_START = re.compile(rf"^({'|'.join(_OPTIONS)})(?= (?:is|are|has|goes|go)\b)")
_COMMANDS = {"embed_sparse": "embed --sparse", "embed_tokens": "embed --tokens", "gliner": "tag --labels"}
"""Method -> command, where that is not called so."""
_METHOD = re.compile(
    r"\b(classify|tag|fill_mask|next_sentence|score|answer|rank|embed_sparse|embed_tokens|embed|search|redact)\(\)"
)


def command_of(method: str) -> str:
    """Return the command that asks what a method of `edgebert.Model` asks."""
    return _COMMANDS.get(method, method.replace("_", "-"))


def in_words_of_commands(message: str) -> str:
    """Return a message of the library as a user of the command line understands it."""
    message = _METHOD.sub(lambda found: f"edgebert {command_of(found[1])}", message)
    for phrase, told in _PHRASES.items():
        message = message.replace(phrase, told)
    return _AT_START.sub(lambda found: _OPTIONS[found[1]], message)
