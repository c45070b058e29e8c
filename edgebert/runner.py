"""The way that the texts of every task go: tokens, windows, batches, encoder."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from edgebert.batch import Ids, batches, check_ids, pack
from edgebert.config import BertConfig
from edgebert.description import Described
from edgebert.engine.backend import Backend
from edgebert.engine.devices import CPU
from edgebert.errors import ArtifactError, InputError, SettingError
from edgebert.heads import Head
from edgebert.memory import MemoryLimit
from edgebert.tokens import Content, TextTokenizer, Window, fitting_ids

__all__ = ["Cut", "Extent", "OnExtent", "Runner", "finite", "token_budget"]

TOKEN_BUDGET = 1024
"""Most tokens of one forward pass (or the model's longest text): their activations fit a second-level cache."""


def token_budget(config: BertConfig) -> int:
    """Return the most tokens of one forward pass of a model."""
    return max(TOKEN_BUDGET, config.max_position_embeddings)


class Extent(NamedTuple):
    """How much of a text was seen.

    Attributes
    ----------
    tokens : int
        Of the whole text or pair, special ones included.
    windows : int
        That it was seen in.
    truncated : bool
        Whether something of it was not seen.
    """

    tokens: int
    windows: int
    truncated: bool


OnExtent = Callable[[int, Extent], object]


class Cut(NamedTuple):
    """What becomes of texts that are too long.

    Attributes
    ----------
    truncate : bool
        Whether only one window is seen, on the side that the tokenizer keeps.
    stride : int or None
        Tokens that two windows have in common; a quarter of a window by default.
    """

    truncate: bool = False
    stride: int | None = None


class Runner:
    """A model's tokenizer and its encoder.

    Parameters
    ----------
    description : Described
    backend : Backend
    """

    def __init__(self, description: Described, backend: Backend) -> None:
        self.config, self.backend = description.config, backend
        self.tokenizer = TextTokenizer.for_model(
            description.tokenizer, self.config, description.max_length, description.truncation_side
        )
        self._budget = backend.token_budget
        self._memory: MemoryLimit | None = None
        self._check_unchanged = description.check_unchanged

    def limit_memory(self, limit: int) -> None:
        """Keep this process under so much resident memory [bytes], as `edgebert.load` says.

        Raises
        ------
        SettingError
        """
        if self.backend.memory is None:
            where = f"EDGEBERT_FAMILY={self.backend.family}" if self.backend.device == CPU else "device cuda"
            raise SettingError(f"max_memory is not kept with {where}; leave one of both out")
        self._memory = MemoryLimit(limit, *self.backend.memory)
        # The workspace is reserved whole: pages of it that no batch reaches are never taken.
        self._budget = self._memory.token_budget(self.tokenizer.max_length, self._budget)

    def contents(self, texts: Iterable[str], *, offsets: bool = False) -> list[Content]:
        """Tokenize whole texts."""
        return [self.tokenizer.content(text, offsets=offsets) for text in texts]

    def cut(
        self, contents: Sequence[Content], cut: Cut, befores: Sequence[Content] | None = None
    ) -> tuple[list[Window], list[int], list[Extent]]:
        """Cut texts, or the second texts of pairs, into windows.

        Returns
        -------
        windows : list of Window
        owners : list of int
            Which text each belongs to; those of one text follow each other.
        extents : list of Extent
            Of each text.
        """
        windows: list[Window] = []
        owners: list[int] = []
        extents = []
        for i, content in enumerate(contents):
            before = None if befores is None else befores[i]
            if cut.truncate:
                own = [self.tokenizer.truncated(content, before, cut.stride)]
            else:
                own = list(self.tokenizer.windows(content, before, cut.stride))
            tokens = self.tokenizer.count(content, before)
            # The first text of a pair may have been cut, too.
            seen = len(own[-1].ids) + own[-1].first - own[0].first
            extents.append(Extent(tokens, len(own), seen < tokens))
            windows += own
            owners += [i] * len(own)
        return windows, owners, extents

    def encode(self, windows: Sequence[Window]) -> Iterator[tuple[list[int], list[np.ndarray]]]:
        """Encode windows batch by batch; yield the indices of those of a batch, and the hidden states of each."""
        return self._encode(*fitting_ids(windows, self.config))

    def encode_ids(self, token_ids: Sequence[Ids]) -> Iterator[tuple[list[int], list[np.ndarray]]]:
        """Encode sequences of ids in the same way."""
        return self._encode(check_ids(token_ids, self.config.vocab_size, self.config.max_position_embeddings), None)

    def _encode(
        self, ids: list[np.ndarray], types: list[np.ndarray] | None
    ) -> Iterator[tuple[list[int], list[np.ndarray]]]:
        for indices in batches([len(sequence) for sequence in ids], self._budget):
            own_types = None if types is None else [types[i] for i in indices]
            batch = pack([ids[i] for i in indices], own_types, self.config.padding)
            self._check_unchanged()
            # Of all tokens: what is no number in one of them spoils the others, and may look like a number there.
            hidden = finite(self.backend.encode(batch), "hidden states")
            ends = batch.cu_seqlens.tolist()  # np.split takes longer than a short text
            yield indices, [hidden[begin:end] for begin, end in itertools.pairwise(ends)]
            if self._memory:
                self._memory.check()

    @staticmethod
    def logits(head: Head, hidden: np.ndarray) -> np.ndarray:
        """Return what a head says of tokens, by their hidden states (T, H): float32 (T, outputs)."""
        return finite(head.logits(hidden), "logits")

    def first_logits(self, windows: Sequence[Window], head: Head) -> np.ndarray:
        """Return what a head says of the first token of each window: float32 (windows, outputs)."""
        rows: list[np.ndarray] = [np.empty(0, np.float32)] * len(windows)
        for indices, hidden in self.encode(windows):
            if not all(map(len, hidden)):
                raise InputError("a text is blank, and the model's tokenizer makes no token of it; leave it out")
            firsts = np.stack([states[0] for states in hidden])
            for index, row in zip(indices, self.logits(head, firsts), strict=True):
                rows[index] = row
        return np.stack(rows)


def finite(values: np.ndarray, what: str) -> np.ndarray:
    """Return what a model computed; refuse to answer with it where it is NaN or infinite.

    Raises
    ------
    ArtifactError
    """
    if not np.isfinite(values).all():
        raise ArtifactError(
            f"the model computes {what} that are no finite numbers: its weights are damaged, or too large for int8;"
            " convert it again, or look at it with the library that it was made with"
        )
    return values
