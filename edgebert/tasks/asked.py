"""What all methods of a model share: its parts, its heads, and how much of each text was seen."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgebert.arguments import Text, checked_callable, checked_flag, is_blank
from edgebert.description import Described, serves
from edgebert.errors import InputError, TruncationWarning
from edgebert.heads import HEADS, Head, architecture_of
from edgebert.heads.pooling import Embedding
from edgebert.runner import Cut, Extent, OnExtent, Runner

__all__ = ["Asked"]

_PACKAGE = str(Path(__file__).parent.parent)


class Asked:
    """The base of `edgebert.Model`, which its constructor fills."""

    labels: tuple[str, ...]
    max_length: int
    _description: Described
    _runner: Runner
    _heads: Mapping[str, Head]
    _embedding: Embedding

    def _head(self, name: str, task: str) -> Head:
        if name not in self._heads:
            wanted = HEADS[name].architecture
            raise InputError(
                f"{self._description.path.name} is a {architecture_of(self._description.heads)}, it serves"
                f" {serves(self._description.heads)}; for {task}(), convert a model {wanted}"
            )
        return self._heads[name]

    @staticmethod
    def _cut(truncate: bool, stride: int | None, on_extent: OnExtent | None) -> Cut:
        """Return what becomes of long texts, which decide what `stride` may be; raise InputError for something else."""
        checked_callable(on_extent, "on_extent")
        return Cut(checked_flag(truncate, "truncate"), stride)

    def _asked(
        self,
        texts: Sequence[Any],
        ask: Callable[[list[Any]], tuple[list[Any], list[Extent]]],
        empty: Callable[[Text], Any],
        on_extent: OnExtent | None,
    ) -> list[Any]:
        """Ask about texts, or pairs; of blank ones there is nothing to say, they get what `empty` makes of them."""
        wanted = [i for i, text in enumerate(texts) if not is_blank(text)]
        answers, seen = ask([texts[i] for i in wanted])
        if len(wanted) == len(texts):
            return self._told(answers, seen, on_extent)
        results, extents = [empty(text) for text in texts], [Extent(0, 0, False)] * len(texts)
        for i, answer, extent in zip(wanted, answers, seen, strict=True):
            results[i], extents[i] = answer, extent
        return self._told(results, extents, on_extent)

    def _told(self, results: Any, extents: Sequence[Extent], on_extent: OnExtent | None) -> Any:
        """Tell how much was seen of each text; return the results."""
        if on_extent is not None:
            for index, extent in enumerate(extents):
                on_extent(index, extent)
            return results
        cut = sum(extent.truncated for extent in extents)
        if cut:
            warnings.warn(
                f"{cut} of {len(extents)} texts are longer than the model's {self.max_length} tokens;"
                " what does not fit is not seen",
                TruncationWarning,
                stacklevel=_outside(),
            )
        return results


def _outside() -> int:
    """Return how far up the first caller outside of this package is, as `warnings.warn` counts from `Asked._told`."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
