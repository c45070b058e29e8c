"""What the library says, in the words of the command line."""

from __future__ import annotations

import pytest

from edgebert.cli.wording import in_words_of_commands


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("m serves tag(); for fill_mask(), convert", "m serves edgebert tag; for edgebert fill-mask, convert"),
        ("max_memory is 'x', expected a size", "--max-memory is 'x', expected a size"),
        ("more than its max_memory of 3 MB", "more than its --max-memory of 3 MB"),
        ("both prompt and prompt_name are given", "both --prompt and --prompt-name are given"),
        ("dimensions is 0, expected", "--dimensions is 0, expected"),
        ("label is 'x', expected", "--label is 'x', expected"),
        # What is no argument there, and what is no part of the library's own words.
        ("the model has 2 labels, expected one", "the model has 2 labels, expected one"),
        ("label_names is x", "label_names is x"),
        ("in.csv has the columns top_k, max_memory", "in.csv has the columns top_k, max_memory"),
        ("/data/top_k/max_memory.txt could not be read", "/data/top_k/max_memory.txt could not be read"),
        ("my_tag() is no such thing", "my_tag() is no such thing"),
    ],
)
def test_commands_and_options_not_methods_and_arguments(message: str, told: str) -> None:
    assert in_words_of_commands(message) == told
