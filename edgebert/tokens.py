"""From texts to windows of token ids that a model takes, with their places in the text."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edgebert import pieces
from edgebert.errors import ArtifactError, InputError, shown
from edgebert.windows import Template, Window

if TYPE_CHECKING:
    from edgebert.model_info import ModelInfo

__all__ = ["Content", "TextTokenizer", "fault_of"]

_WORDS = 1 << 12
"""Words that are tokenized at a time."""
_PROBES = ("a", "A", "1", ".")
_LONGEST_FAULT = 300


class Content(NamedTuple):
    """The tokens of a text, without special ones.

    Attributes
    ----------
    ids : ndarray [shape=(T,), dtype=int32]
    starts, ends : ndarray [shape=(T,), dtype=int32]
        Where each token stands in the text [characters]; empty when not asked for.
    words : ndarray [shape=(T,), dtype=int32]
        Which word of the text it belongs to, as the tokenizer splits it before it looks for tokens; likewise.
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    words: np.ndarray

    def part(self, first: int, last: int) -> Content:
        """Return the tokens from `first` to before `last`."""
        return Content(*(each[first:last] for each in self))


_NONE = np.zeros(0, np.int32)


class TextTokenizer:
    """Turn texts into tokens with the model's own tokenizer.

    Parameters
    ----------
    tokenizer_json : str
        The text of a ``tokenizer.json``.
    max_length : int
        Tokens that a sequence may have, special ones included.
    type_vocab_size : int
        Token types that the model knows; with one, all are 0.
    vocab_size : int
        Ids that the model knows; that of a token looked up by its text is one of them.
    truncation_side : str
        Where a text that is to be one window is cut: ``"right"`` keeps its beginning, ``"left"`` its end.
    marker : int, optional
        An id that stands behind the first token of every single text.
    pair_texts : tuple of str, optional
        What stands before the first text of a pair, between both, and behind the second.
    """

    def __init__(
        self,
        tokenizer_json: str,
        max_length: int,
        type_vocab_size: int = 2,
        truncation_side: str = "right",
        vocab_size: int = 2**31 - 1,
        marker: int | None = None,
        pair_texts: tuple[str, str, str] | None = None,
    ) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_str(tokenizer_json)
            # Windows are cut here, and nothing is padded.
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
        except BaseException as error:
            raise ArtifactError(
                f"the model's tokenizer cannot be read: {fault_of(error)}; convert the model again"
            ) from error
        self._tokenizer_json, self._vocab_size = tokenizer_json, vocab_size
        self._one_type = type_vocab_size == 1
        self.max_length, self._truncation_side, self._marker = max_length, truncation_side, marker
        self._pair_texts = pair_texts

    @classmethod
    def for_model(cls, info: ModelInfo) -> TextTokenizer:
        """Make the tokenizer of a model."""
        config, late = info.config, info.late_interaction
        marker = late.marker(query=False) if late else None
        sizes = (info.max_length, config.type_vocab_size, info.truncation_side, config.vocab_size)
        return cls(info.tokenizer, *sizes, marker, info.pair_texts)

    def marked(self, marker: int | None, max_length: int) -> TextTokenizer:
        """Return a tokenizer with another marker, and another length, which is this one in all else."""
        twin = copy.copy(self)
        twin.__dict__.pop("_single", None)
        twin._marker, twin.max_length = marker, max_length
        return twin

    @property
    def vocabulary(self) -> dict[str, int]:
        """Every token and its id."""
        return self._tokenizer.get_vocab(with_added_tokens=False)

    def id_of(self, token: str) -> int | None:
        """Return the id of a token, None where there is no such token."""
        try:
            found = self._tokenizer.token_to_id(token)
        except UnicodeEncodeError:  # a lone surrogate, which no token has
            return None
        return None if found is None else self.checked_id(token, found)

    def checked_id(self, token: str, own: int) -> int:
        """Return the id of a token if the model knows it: heads index their answers by it."""
        if not 0 <= own < self._vocab_size:
            raise ArtifactError(
                f"the model's tokenizer has the id {own} for {token[:40]!a}, expected 0 to {self._vocab_size - 1}:"
                " it is another model's; convert the model again"
            )
        return own

    def token_of(self, own: int) -> str:
        """Return the token with an id; ``id 30525`` for one that has none, as no token is written."""
        found: str | None = self._tokenizer.id_to_token(own)
        return f"id {own}" if found is None else found

    def decode(self, ids: list[int], *, skip_special: bool = False) -> str:
        """Turn ids back into text."""
        try:
            return self._tokenizer.decode(ids, skip_special_tokens=skip_special)
        except BaseException as error:
            raise ArtifactError(
                f"the model's tokenizer makes no text of ids: {fault_of(error)}; convert the model again"
            ) from error

    def content(self, text: str, *, offsets: bool = False) -> Content:
        """Tokenize a whole text, however long, without special tokens.

        Raises
        ------
        InputError
            When it is no Unicode text.
        """
        if len(text) <= pieces.LONGEST:
            return self._piece(text, 0, offsets)
        parts = [self._piece(text[begin:end], begin, offsets) for begin, end in pieces.cut(text)]
        count = 0
        for piece in parts:
            piece.words[:] += count
            count = int(piece.words.max(initial=count - 1)) + 1
        columns = ([getattr(piece, name) for piece in parts] for name in ("ids", "starts", "ends", "words"))
        return Content(*(np.concatenate(column) for column in columns))

    def pair(self, first: str, second: str) -> tuple[Content, Content]:
        """Tokenize both texts of a pair, each with what stands before it."""
        if self._pair_texts is None:
            return self.content(first), self.content(second)
        before, between, _ = self._pair_texts
        # A space belongs to the word behind it.
        kept = between.rstrip(" ")
        return self.content(before + first + kept), self.content(between[len(kept) :] + second)

    def words(self, words: Sequence[str]) -> Content:
        """Tokenize words, each by itself, without special tokens and without places in a text.

        Raises
        ------
        InputError
            When one of them is no Unicode text.
        """
        ids, owners = [_NONE], [_NONE]
        for begin in range(0, len(words), _WORDS):
            encoding = self._encode(list(words[begin : begin + _WORDS]), None, special=False)
            ids.append(_ids(encoding.ids))
            owners.append(np.array(encoding.word_ids, np.int32) + np.int32(begin))
        return Content(np.concatenate(ids), _NONE, _NONE, np.concatenate(owners))

    def _piece(self, text: str, begin: int, offsets: bool) -> Content:
        encoding = self._encode(text, None, special=False)
        ids = _ids(encoding.ids)
        if not offsets:
            return Content(ids, _NONE, _NONE, _NONE)
        places = np.array(encoding.offsets, np.int32).reshape(-1, 2) + np.int32(begin)
        words = [-1 if word is None else word for word in encoding.word_ids]
        # A special token that the text spells out is in no word: it goes with the one before.
        return Content(ids, places[:, 0], places[:, 1], np.maximum.accumulate(np.array(words, np.int32)))

    def _encode(self, text: str | list[str], pair: str | None, *, special: bool) -> Any:
        """Tokenize a text, words of one, or a pair, with special tokens or without."""
        try:
            # One by one, not as a batch: the library's own threads would disregard ours and not survive a fork.
            return self._tokenizer.encode(
                text, pair, is_pretokenized=isinstance(text, list), add_special_tokens=special
            )
        except (
            TypeError,
            UnicodeEncodeError,
        ) as error:  # its way to say that this is no text
            raise InputError("a text has a lone surrogate; decode it with errors='replace'") from error
        except BaseException as error:
            raise ArtifactError(
                f"the model's tokenizer makes no tokens of a text: {fault_of(error)}; convert the model again"
            ) from error

    def single(self, text: str) -> Window:
        """Tokenize one text; one that is too long keeps the tokens that fit."""
        return self.truncated(self.content(text))

    def truncated(self, text: Content, before: Content | None = None, overlap: int | None = None) -> Window:
        """Make one window of a text or a pair: what fits of it, on the side that the model was trained with.

        Parameters and errors are those of `windows`. Of a pair that is cut on the left, both texts keep their end.
        """
        template, head, room, _ = self._begin(text, before, overlap, self._truncation_side)
        first = max(0, len(text.ids) - room) if self._truncation_side == "left" else 0
        last = min(first + room, len(text.ids))
        return template.window([*head, text.ids[first:last]], first, last)

    def windows(
        self, text: Content, before: Content | None = None, overlap: int | None = None, lead: int = 0
    ) -> Iterator[Window]:
        """Cut a text into windows that the model takes: one where it fits.

        Parameters
        ----------
        text : Content
        before : Content, optional
            The first text of a pair, which every window begins with; at most half of the room is for it.
        overlap : int, optional
            Tokens that a window has in common with the next; a quarter of the room by default.
        lead : int
            How many of a single text's first tokens are a prompt, which every window begins with.

        Raises
        ------
        InputError
            When the overlap, or the prompt, leaves no room.
        """
        template, head, room, overlap = self._begin(text, before, overlap, "right", lead)
        first = lead
        while True:
            last = min(first + room, len(text.ids))
            if lead:
                yield self.behind(text.ids[:lead], text, first, last)
            else:
                yield template.window([*head, text.ids[first:last]], first, last)
            if last == len(text.ids):
                return
            first += room - overlap

    def behind(self, lead: np.ndarray, text: Content, first: int, last: int) -> Window:
        """Make a window of a text's tokens from `first` to before `last`, behind the ids of a prompt."""
        window = self._single.window([np.concatenate([lead, text.ids[first:last]])], first, last)
        return window._replace(begin=window.begin + len(lead))

    @property
    def room(self) -> int:
        """How many tokens of a single text a window has."""
        return self.max_length - self._single.size

    def _begin(
        self, text: Content, before: Content | None, overlap: int | None, side: str, lead: int = 0
    ) -> tuple[Template, list[np.ndarray], int, int]:
        """Return what windows have in common: the template, the first text, the room behind it, and their overlap."""
        template = self._single if before is None else self._pair
        room = self.max_length - template.size - lead
        if overlap is not None and (type(overlap) is not int or not 0 <= overlap < room):
            raise InputError(
                f"stride is {shown(overlap)}, expected 0 to {room - 1} tokens that two windows have in common"
            )
        head = []
        if before is not None:
            # Of a pair with words of the model's own nothing is cut off the first text.
            size = max(3 * room // 4 if self._pair_texts else room // 2, room - len(text.ids))
            size = min(max(size, 0), len(before.ids))
            if self._pair_texts and size < len(before.ids):
                raise InputError(
                    f"the first text of a pair is {len(before.ids)} tokens with the model's own words round it,"
                    f" expected at most {size} of the {self.max_length} that it takes"
                )
            ids = before.ids[len(before.ids) - size :] if side == "left" else before.ids[:size]
            room -= len(ids)
            head.append(ids)
        if room < 1 and len(text.ids):
            raise InputError(
                f"the model takes {self.max_length} tokens, and has no room for a text beside special ones"
                + (f" and {lead} of the prompt" if lead else "")
            )
        return template, head, room, room // 4 if overlap is None else min(overlap, room - 1)

    def count(self, text: Content, before: Content | None = None) -> int:
        """Return the tokens of a whole text or pair, special ones included."""
        if before is None:
            return self._single.size + len(text.ids)
        return self._pair.size + len(before.ids) + len(text.ids)

    @cached_property
    def _single(self) -> Template:
        template = self._template()
        if self._marker is None:
            return template
        (before, types), *rest = template.pieces
        if not len(before):
            raise ArtifactError("the model's tokenizer puts no token before a text; its marker would stand behind one")
        marked = np.insert(before, 1, self._marker), np.insert(types, 1, 0)
        return template._replace(pieces=(marked, *rest))

    @cached_property
    def _pair(self) -> Template:
        if self._pair_texts is None:
            return self._template(pair=True)
        behind = _ids(self._encode(self._pair_texts[2], None, special=False).ids)
        none = _NONE, _NONE
        return Template((none, none, (behind, np.zeros_like(behind))), (0, 0), has_types=False)

    def _template(self, *, pair: bool = False) -> Template:
        """Find out what is put round texts, by letting the tokenizer do it."""
        for probe in _PROBES:
            encoding = self._encode(probe, probe if pair else None, special=True)
            # None for special tokens, and the number of the text for the others.
            owners = encoding.sequence_ids
            texts = [0, 1] if pair else [0]
            if all(text in owners for text in texts):
                break
        else:
            raise ArtifactError("the model's tokenizer makes no token of a letter; convert the model again")
        # Of a text that is there twice the library owns to the last alone, and does not mark the other as special.
        marked = zip(owners, encoding.special_tokens_mask, strict=True)
        runs = [owner for owner, _ in itertools.groupby(owners) if owner is not None]
        if runs != texts or any((owner is None) != special for owner, special in marked):
            raise ArtifactError(
                "the model's tokenizer puts a text in pieces, or the second of a pair first; expected each once, in"
                " their order, with special tokens around; convert the model again"
            )
        between, types, at = [], [], 0
        for text in texts:
            begin = owners.index(text)
            end = begin + owners.count(text)
            between.append((encoding.ids[at:begin], encoding.type_ids[at:begin]))
            types.append(encoding.type_ids[begin])
            at = end
        between.append((encoding.ids[at:], encoding.type_ids[at:]))
        return Template(
            tuple((_ids(ids), _ids(kinds)) for ids, kinds in between),
            tuple(types),
            not self._one_type and (any(types) or any(any(kinds) for _, kinds in between)),
        )

    @cached_property
    def pieces_of_words(self) -> np.ndarray | None:
        """Which ids continue a word, bool (vocab_size,); None where the tokenizer does not mark them."""
        prefix = json.loads(self._tokenizer_json)["model"].get("continuing_subword_prefix")
        if not prefix:
            return None
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        last = max(vocabulary, key=vocabulary.__getitem__)
        table = np.zeros(self.checked_id(last, vocabulary[last]) + 1, bool)
        table[[i for token, i in vocabulary.items() if token.startswith(prefix) and token != prefix]] = True
        return table


def fault_of(error: BaseException) -> str:
    """Return what the tokenizers library could not do, in a line.

    It raises nothing narrower than Exception, and where it fails an assertion of its own (a panic of Rust) a
    BaseException. Others of these, such as KeyboardInterrupt, are not its own and are raised.
    """
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error
    return " ".join(str(error).split())[:_LONGEST_FAULT] or type(error).__name__


def _ids(ids: list[int]) -> np.ndarray:
    """Return ids of the library, which are uint32, as int32: those from 2**31 on become negative, and are refused."""
    return np.array(ids, np.uint32).view(np.int32)
