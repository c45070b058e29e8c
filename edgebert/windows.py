"""Windows: the sequences of ids that a model takes, and which tokens of a text stand in each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from edgebert.batch import check_ids
from edgebert.config import BertConfig
from edgebert.errors import ArtifactError, InputError

__all__ = ["Template", "Window", "fitting_ids", "owned", "whole_rows"]


class Window(NamedTuple):
    """A sequence of ids that a model takes: a whole text or pair, or as much of one as fits.

    Attributes
    ----------
    ids, type_ids : ndarray [shape=(n,), dtype=int32]
        Special tokens included.
    begin : int
        Where in `ids` the tokens of the text begin that is cut into windows: of a pair, the second.
    first, last : int
        Which of its tokens these are: from `first` to before `last`.
    unattended : int
        How many of the last ids attend to the others, but are not attended to.
    """

    ids: np.ndarray
    type_ids: np.ndarray
    begin: int
    first: int
    last: int
    unattended: int = 0

    def rows(self, first: int | None = None, last: int | None = None) -> slice:
        """Return where in `ids`, and among the hidden states of the window, tokens of the text stand.

        Parameters
        ----------
        first, last : int, optional
            From which token of the text to before which; by default all that the window has.
        """
        first, last = self.first if first is None else first, self.last if last is None else last
        return slice(self.begin + first - self.first, self.begin + last - self.first)

    def token(self, row: int) -> int:
        """Return which token of the text stands in a row: the inverse of `rows`."""
        return row - self.begin + self.first


class Template(NamedTuple):
    """What a tokenizer puts round a text or a pair.

    Attributes
    ----------
    pieces : tuple of (ndarray, ndarray)
        Ids and types before the first text, between both of a pair, and behind the last.
    types : tuple of int
        The type of each text's tokens.
    has_types : bool
        Whether any type is not 0, and the model knows more than one.
    """

    pieces: tuple[tuple[np.ndarray, np.ndarray], ...]
    types: tuple[int, ...]
    has_types: bool

    @property
    def size(self) -> int:
        """The number of special tokens."""
        return sum(len(ids) for ids, _ in self.pieces)

    def window(self, texts: Sequence[np.ndarray], first: int, last: int) -> Window:
        """Make a window of a text's tokens from `first` to before `last`, which are the last of `texts`."""
        if not self.has_types and len(texts) == 1:  # most texts; it takes a third of the time
            (before, _), (behind, _) = self.pieces
            whole = np.concatenate([before, texts[0], behind])
            return Window(whole, np.zeros_like(whole), len(before), first, last)
        ids, types = [self.pieces[0][0]], [self.pieces[0][1]]
        for text, kind, (special, special_types) in zip(texts, self.types, self.pieces[1:], strict=True):
            ids += [text, special]
            types += [np.full(len(text), kind, np.int32), special_types]
        begin = sum(map(len, ids[:-2]))
        every = np.concatenate(types)
        return Window(np.concatenate(ids), every if self.has_types else np.zeros_like(every), begin, first, last)


def owned(windows: Sequence[Window]) -> Iterator[tuple[int, int]]:
    """Yield for each window of one text which of the text's tokens it answers for: from first to before last.

    A token that several windows have belongs to the one that has most around it: two windows that follow each other
    share the tokens that they have in common equally.
    """
    begin = windows[0].first
    for i, window in enumerate(windows):
        end = window.last if i + 1 == len(windows) else (windows[i + 1].first + window.last + 1) // 2
        yield begin, end
        begin = end


def whole_rows(windows: Sequence[Window]) -> list[slice]:
    """Return which rows of each window of one text count, so that every token does once, and the special ones do."""
    parts = [window.rows(*part) for window, part in zip(windows, owned(windows), strict=True)]
    parts[0] = slice(0, parts[0].stop)
    parts[-1] = slice(parts[-1].start, len(windows[-1].ids))
    return parts


def fitting_ids(windows: Sequence[Window], config: BertConfig) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the ids and the types of windows, if the model has embeddings for them.

    Kernels index tables by these: a tokenizer that does not fit its model must not reach beyond them.

    Raises
    ------
    ArtifactError
    """
    longest = config.max_position_embeddings
    try:
        return (
            check_ids([window.ids for window in windows], config.vocab_size, longest),
            check_ids([window.type_ids for window in windows], config.type_vocab_size, longest, "token_type_ids"),
        )
    except InputError as error:
        raise ArtifactError(f"the model's tokenizer is another model's: {error}; convert the model again") from error
