"""From texts to token ids, and from many sequences to one packed batch without padding."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from edgebert.errors import ArtifactError, InputError

__all__ = ["PackedBatch", "TextTokenizer", "Tokens", "batches", "pack"]

Ids = Sequence[int] | np.ndarray


@dataclasses.dataclass(frozen=True)
class Tokens:
    """The tokens of one text.

    Attributes
    ----------
    ids, type_ids : list of int
        Special tokens included, at most the model's maximum.
    count : int
        Tokens that the whole text has; more than ``len(ids)`` when it was cut.
    """

    ids: list[int]
    type_ids: list[int]
    count: int


class TextTokenizer:
    """Turn texts into tokens with the model's own tokenizer.

    Parameters
    ----------
    description : str
        A ``tokenizer.json``.
    max_length : int
        Tokens that a text may have, special ones included.
    """

    def __init__(self, description: str, max_length: int) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_str(description)
        except Exception as error:  # the tokenizers library raises nothing narrower
            raise ArtifactError(f"the model's tokenizer cannot be read: {error}; convert the model again") from error
        self.max_length = max_length

    @property
    def vocabulary(self) -> dict[str, int]:
        """Every token and its id."""
        return self._tokenizer.get_vocab(with_added_tokens=False)

    def __call__(self, text: str) -> Tokens:
        """Tokenize one text; one that is too long keeps the tokens that fit, special ones included."""
        # One by one, not as a batch: the library's own threads would disregard ours and not survive a fork.
        encoding = self._tokenizer.encode(text)
        count = len(encoding.ids)
        if count > self.max_length:
            # The library's own truncation is a setting of the tokenizer, which other threads may be using.
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
            encoding.truncate(self.max_length - self._tokenizer.num_special_tokens_to_add(is_pair=False))
            encoding = self._tokenizer.post_process(encoding)
        return Tokens(encoding.ids, encoding.type_ids, count)


@dataclasses.dataclass(frozen=True)
class PackedBatch:
    """Sequences end to end; where they end is the attention mask.

    Attributes
    ----------
    input_ids, token_type_ids, position_ids : ndarray [shape=(T,), dtype=int32]
    cu_seqlens : ndarray [shape=(B + 1,), dtype=int32]
        Where each sequence begins, and T.
    """

    input_ids: np.ndarray
    token_type_ids: np.ndarray
    position_ids: np.ndarray
    cu_seqlens: np.ndarray


def pack(sequences: Sequence[Ids], token_types: Sequence[Ids] | None = None) -> PackedBatch:
    """Lay sequences of token ids end to end.

    Parameters
    ----------
    sequences : sequences of int
    token_types : the same shape, optional
        Zeros by default.
    """
    if len(sequences) == 1:  # what a program that answers at once has: a third of the time
        return _alone(sequences[0], None if token_types is None else token_types[0])
    lengths = np.fromiter(map(len, sequences), np.int32, len(sequences))
    cu_seqlens = np.zeros(len(sequences) + 1, np.int32)
    np.cumsum(lengths, out=cu_seqlens[1:])
    input_ids = _concatenated(sequences)
    types = np.zeros_like(input_ids) if token_types is None else _concatenated(token_types)
    position_ids = np.arange(len(input_ids), dtype=np.int32) - np.repeat(cu_seqlens[:-1], lengths)
    return PackedBatch(input_ids, types, position_ids.astype(np.int32), cu_seqlens)


def _alone(ids: Ids, types: Ids | None) -> PackedBatch:
    input_ids = np.array(ids, np.int32)
    token_types = np.zeros_like(input_ids) if types is None else np.array(types, np.int32)
    positions = np.arange(len(input_ids), dtype=np.int32)
    return PackedBatch(input_ids, token_types, positions, np.array([0, len(input_ids)], np.int32))


def _concatenated(sequences: Sequence[Ids]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.int32), *(np.asarray(ids, np.int32) for ids in sequences)])


def check_ids(sequences: Sequence[Ids], count: int, longest: int, name: str = "token_ids") -> list[np.ndarray]:
    """Check sequences of ids, each from 0 to `count` - 1; return them as int32 arrays.

    Raises
    ------
    InputError
        Naming the first sequence that is no list of whole numbers, too long, or has an id outside of that.
        `name` is what they are called there.
    """
    checked = []
    for i, ids in enumerate(sequences):
        array = np.asarray(ids)
        if array.size == 0:
            array = array.astype(np.int32).reshape(-1)
        if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
            raise InputError(f"{name}[{i}] is no sequence of whole numbers; expected one list of ids for each text")
        if len(array) > longest:
            raise InputError(f"{name}[{i}] has {len(array)} tokens, the model takes at most {longest}")
        outside = (array < 0) | (array >= count)
        if outside.any():
            at = int(outside.argmax())
            raise InputError(f"{name}[{i}][{at}] is {array[at]}, expected 0 to {count - 1}")
        checked.append(array.astype(np.int32))
    return checked


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Cut texts into batches of similar lengths, each of at most `budget` tokens.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each text, none more than the budget.
    budget : int

    Yields
    ------
    list of int
        Indices of the texts of one batch; every text is in one, the longest come first.
    """
    batch: list[int] = []
    tokens = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and tokens + lengths[index] > budget:
            yield batch
            batch, tokens = [], 0
        batch.append(index)
        tokens += lengths[index]
    if batch:
        yield batch
