"""The command line as tests run it, and a model that answers by rule for what it does alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from click.testing import CliRunner, Result

from edgebert.cli import cli

# A shell's background jobs, and what they start, ignore Ctrl-C; the tests that send it need it heard.
HEAR_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
COMMAND = [sys.executable, "-c", HEAR_CTRL_C + "from edgebert.cli import main; main()"]


class FakeModel:
    """It takes five words; those with "good" among them are POSITIVE; a vector is (length, words, 0)."""

    labels = ("NEGATIVE", "POSITIVE")
    max_length = 5
    hidden_size = 3
    card = "# A card\n\nBeware \x1b[31mof red."

    def __init__(self) -> None:
        self.info: dict[str, Any] = {
            "source": "fake\x1b",
            "size_bytes": 1234567,
            "labels": ["NEGATIVE", "POSITIVE"],
            "normalize": False,
            "problem_type": "",
            "receipt": {
                "evaluation": {
                    "texts": 2,
                    "tokens": 9,
                    "pooled_cosine_mean": 0.999,
                    "pooled_cosine_worst": 0.998,
                    "token_cosine_mean": 0.998,
                    "token_cosine_worst": 0.997,
                    "label_agreement": 0.5,
                    "largest_logit_difference": 0.25,
                },
                "worst_layers": {"a\x1b": 0.01},
                "finer_groups": {"a": 64},
                "min_agreement": 0.99,
                "below_min_agreement": True,
            },
        }
        self.calls: list[list[str]] = []

    def classify(self, texts: Sequence[str], *, on_truncated: Callable[[int, int], object]) -> list[dict[str, Any]]:
        self._look(texts, on_truncated)
        return [{"label": self.labels["good" in text], "score": 0.87654321} for text in texts]

    def embed(self, texts: Sequence[str], *, on_truncated: Callable[[int, int], object]) -> np.ndarray:
        self._look(texts, on_truncated)
        return np.array([[len(text), len(text.split()), 0] for text in texts], np.float32).reshape(-1, 3)

    def _look(self, texts: Sequence[str], on_truncated: Callable[[int, int], object]) -> None:
        self.calls.append(list(texts))
        for index, text in enumerate(texts):
            if len(text.split()) > self.max_length:
                on_truncated(index, len(text.split()))


def invoke(*arguments: object, stdin: bytes = b"") -> Result:
    """Run the command in this process; an exception that would show a traceback is raised."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run(*arguments: object, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], input=stdin, capture_output=True, env={**os.environ, **environment}
    )
