"""A loaded model's parts, and the way that the texts of every task go: tokens, windows, batches, encoder."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from edgebert.batch import Ids, batches, check_ids, pack
from edgebert.config import BertConfig
from edgebert.coverage import Coverage, Cut
from edgebert.engine.backend import Backend
from edgebert.engine.devices import CPU
from edgebert.errors import ArtifactError, InputError, SettingError
from edgebert.heads import HEAD_OF_TASK, HEADS, Head, architecture_of
from edgebert.heads.gliner import GlinerHead
from edgebert.heads.late_interaction import TokenVectors
from edgebert.heads.pooling import Embedding
from edgebert.memory import MemoryLimit
from edgebert.model_info import ModelSource
from edgebert.tokens import Content, TextTokenizer
from edgebert.watch import tell
from edgebert.windows import Window, fitting_ids

__all__ = ["Encoded", "Runner", "finite", "token_budget"]

TOKEN_BUDGET = 1024
"""Most tokens of one forward pass (or the model's longest text): their activations fit a second-level cache."""


def token_budget(config: BertConfig) -> int:
    """Return the most tokens of one forward pass of a model."""
    return max(TOKEN_BUDGET, config.max_position_embeddings)


class Encoded(NamedTuple):
    """A window that was encoded.

    Attributes
    ----------
    text : int
        Which text the window belongs to.
    number : int
        Which of that text's windows it is, from 0.
    window : Window
    states : ndarray [shape=(len(window.ids), hidden_size), dtype=float32]
        The last hidden states.
    """

    text: int
    number: int
    window: Window
    states: np.ndarray


class Runner:
    """The parts of a loaded model, and the way that texts go through them.

    Parameters
    ----------
    source : ModelSource
    backend : Backend

    Attributes
    ----------
    source : ModelSource
    info : ModelInfo
    config : BertConfig
    backend : Backend
    tokenizer : TextTokenizer
    heads : dict of str to Head
    """

    def __init__(self, source: ModelSource, backend: Backend) -> None:
        self.source, self.info, self.backend = source, source.info, backend
        self.config = self.info.config
        self.tokenizer = TextTokenizer.for_model(self.info)
        self._budget = backend.token_budget
        self._memory: MemoryLimit | None = None
        self.heads: dict[str, Head] = {
            name: HEADS[name](source.tensors, self.config, backend) for name in self.info.heads
        }

    @cached_property
    def embedding(self) -> Embedding:
        """What comes behind the encoder for a vector."""
        return Embedding(self.source.tensors, self.info.pipeline, self.backend)

    @cached_property
    def token_vectors(self) -> TokenVectors:
        """What comes there for a vector of each token, in a model for late interaction."""
        return TokenVectors(self.source.tensors, self.info.pipeline, self.backend)

    @cached_property
    def gliner(self) -> GlinerHead:
        """What comes there in a model that finds spans of any labels."""
        assert self.info.gliner is not None
        return GlinerHead(self.source.tensors, self.info.gliner, self.config, self.backend)

    def require(self, task: str) -> Head:
        """Return the head that a task needs.

        Raises
        ------
        InputError
            When the model does not have it.
        """
        head = HEAD_OF_TASK[task]
        if head.name not in self.heads:
            heads = self.info.heads
            raise InputError(
                f"{self.source.path.name} is a {architecture_of(heads)}, it serves {self.info.serves}; for"
                f" {task}(), convert a model {head.architecture}"
            )
        return self.heads[head.name]

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
        self, contents: Sequence[Content], cut: Cut, befores: Sequence[Content | None] | None = None
    ) -> tuple[list[list[Window]], list[Coverage]]:
        """Cut texts, or the second texts of pairs, into windows.

        Parameters
        ----------
        contents : sequence of Content
        cut : Cut
        befores : sequence of Content or None, optional
            The first texts of pairs; None for a text that is none.

        Returns
        -------
        windows : list of list of Window
            Of each text, one at least.
        coverages : list of Coverage
            Of each text.
        """
        windows, coverages = [], []
        for i, content in enumerate(contents):
            before = None if befores is None else befores[i]
            if cut.truncate:
                own = [self.tokenizer.truncated(content, before, cut.stride)]
            else:
                own = list(self.tokenizer.windows(content, before, cut.stride))
            tokens = self.tokenizer.count(content, before)
            # The first text of a pair may have been cut, too.
            seen = len(own[-1].ids) + own[-1].first - own[0].first
            coverages.append(Coverage(tokens, len(own), seen < tokens))
            windows.append(own)
        return windows, coverages

    def encode(self, windows: Sequence[Sequence[Window]]) -> Iterator[list[Encoded]]:
        """Encode the windows of each text, in batches of similar lengths; yield what comes of each batch."""
        places = [(text, number, window) for text, own in enumerate(windows) for number, window in enumerate(own)]
        own = [window for _, _, window in places]
        for indices, hidden in self._encode(*fitting_ids(own, self.config), [window.unattended for window in own]):
            yield [Encoded(*places[i], states) for i, states in zip(indices, hidden, strict=True)]

    def encode_ids(self, token_ids: Sequence[Ids]) -> Iterator[tuple[list[int], list[np.ndarray]]]:
        """Encode sequences of ids; yield the indices of those of a batch, and the hidden states of each."""
        return self._encode(check_ids(token_ids, self.config.vocab_size, self.config.max_position_embeddings), None)

    def _encode(
        self, ids: list[np.ndarray], types: list[np.ndarray] | None, unattended: list[int] | None = None
    ) -> Iterator[tuple[list[int], list[np.ndarray]]]:
        never = self.config.refused_id
        if never is not None and any((sequence == never).any() for sequence in ids):
            raise InputError(
                f"a text has the token {self.tokenizer.token_of(never)}, for masked words: this model weighs all words"
                " by how many are masked, which edgebert does not; leave it out"
            )
        lengths = [len(sequence) for sequence in ids]
        done, total = 0, sum(lengths)
        for indices in batches(lengths, self._budget):
            own_types = None if types is None else [types[i] for i in indices]
            apart = None if unattended is None else [unattended[i] for i in indices]
            batch = pack([ids[i] for i in indices], own_types, self.config.padding, apart)
            self.source.check_unchanged()
            # Of all tokens: what is no number in one of them spoils the others, and may look like a number there.
            hidden = finite(self.backend.encode(batch), "hidden states")
            ends = batch.cu_seqlens.tolist()  # np.split takes longer than a short text
            yield indices, [hidden[begin:end] for begin, end in itertools.pairwise(ends)]
            if self._memory:
                self._memory.check()
            done += ends[-1]
            tell(done, total)

    @staticmethod
    def logits(head: Head, hidden: np.ndarray) -> np.ndarray:
        """Return what a head says of tokens' hidden states or texts' vectors, (T, H): float32 (T, outputs)."""
        return finite(head.logits(hidden), "logits")

    def text_logits(self, windows: Sequence[Sequence[Window]], head: Head) -> list[np.ndarray]:
        """Return what a head of whole texts says of each window: for each text float32 (windows, outputs)."""
        rows = [[np.empty(0, np.float32)] * len(own) for own in windows]
        for batch in self.encode(windows):
            if not all(len(each.states) for each in batch):
                raise InputError("a text is blank, and the model's tokenizer makes no token of it; leave it out")
            vectors = np.stack([head.of_text(each.states) for each in batch])
            for each, row in zip(batch, self.logits(head, vectors), strict=True):
                rows[each.text][each.number] = row
        return [np.stack(own) for own in rows]


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
