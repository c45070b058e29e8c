"""What an encoder is made of, as data: its parts, their sizes, and the names of their tensors.

A family (`edgebert.families`) describes its encoders with these parts; nothing else knows a tensor of an encoder by
name. What is computed with them, and in which order, is told by `edgebert.steps`. Sizes are true ones: padding is the
business of the file and of the kernels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Attention", "Embeddings", "Encoder", "FeedForward", "Layer", "Linear", "Norm", "Table"]


class Linear(NamedTuple):
    """A linear layer: float32 (tokens, K) to (tokens, N).

    ``parts`` names the layers that a checkpoint has in its place, their outputs one after the other; most have one.
    """

    name: str
    N: int
    K: int
    parts: tuple[str, ...] = ()

    @property
    def stored(self) -> dict[str, int]:
        """The layers that a checkpoint has in its place, by name, with their outputs."""
        names = self.parts or (self.name,)
        return dict.fromkeys(names, self.N // len(names))


class Norm(NamedTuple):
    """A LayerNorm (arXiv 1607.06450) over `size` values.

    ``source`` is its name in a checkpoint, where that is another: one LayerNorm there may be two here.
    """

    name: str
    size: int
    eps: float
    source: str = ""

    @property
    def stored(self) -> str:
        """Its name in a checkpoint."""
        return self.source or self.name


class Table(NamedTuple):
    """Rows to look up: float32 (rows, width)."""

    name: str
    rows: int
    width: int


class Embeddings(NamedTuple):
    """What tokens are before the first layer: the sum of three rows, normalised (arXiv 1810.04805, section 3).

    ``project`` leads to the hidden size where the rows have another width (ELECTRA, ALBERT).
    """

    words: Table
    positions: Table
    token_types: Table
    norm: Norm
    project: Linear | None = None

    @property
    def tables(self) -> tuple[Table, ...]:
        """The three that are summed."""
        return self.words, self.positions, self.token_types


class Attention(NamedTuple):
    """Multi-head self-attention (arXiv 1706.03762, section 3.2).

    ``distances`` (buckets, heads) holds what the distance of two tokens adds to their score (MPNet; T5's buckets).
    """

    heads: int
    head_dim: int
    query_key_value: Linear
    output: Linear
    distances: Table | None = None

    @property
    def scale(self) -> float:
        """What scores are multiplied by."""
        return 1 / math.sqrt(self.head_dim)


class FeedForward(NamedTuple):
    """Two linear layers with an activation between them, one of `edgebert.config.ACTIVATIONS`' forms.

    ``factor`` names what a quantized model multiplies the activations by, channel by channel.
    """

    intermediate: Linear
    activation: str
    output: Linear
    factor: str


class Layer(NamedTuple):
    """Attention, then feed-forward, each added to what it was given, and then normalised."""

    attention: Attention
    attention_norm: Norm
    feed_forward: FeedForward
    output_norm: Norm


@dataclass(frozen=True)
class Encoder:
    """An encoder: embeddings, then layers; a layer that stands there twice is computed twice (ALBERT).

    The LayerNorm of the last layer makes the result, of which no smoothing is undone: it has a name of its own, even
    where its layer stands there more than once. ``longest`` is the most tokens of a text.

    Raises
    ------
    ValueError
        Layers have different sizes: the kernels' buffers, and what attention needs, are the same for all.
    """

    embeddings: Embeddings
    layers: tuple[Layer, ...]
    hidden_size: int
    longest: int

    def __post_init__(self) -> None:
        sizes = {
            (
                layer.attention.heads,
                layer.attention.head_dim,
                layer.attention.distances,
                layer.feed_forward.intermediate.N,
            )
            for layer in self.layers
        }
        if len(sizes) != 1:
            raise ValueError(
                f"layers have {len(sizes)} different sizes, expected the same for all: {sorted(map(str, sizes))}"
            )

    def parts(self) -> list[Table | Linear | Norm]:
        """Return every part that has tensors once, in the order in which a forward pass meets them."""
        return list(dict.fromkeys(self._parts()))

    def _parts(self) -> Iterator[Table | Linear | Norm]:
        embeddings = self.embeddings
        yield from embeddings.tables
        yield embeddings.norm
        if embeddings.project:
            yield embeddings.project
        yield from (layer.attention.distances for layer in self.layers if layer.attention.distances)
        for layer in self.layers:
            yield layer.attention.query_key_value
            yield layer.attention.output
            yield layer.attention_norm
            yield layer.feed_forward.intermediate
            yield layer.feed_forward.output
            yield layer.output_norm

    def tables(self) -> list[Table]:
        """Return its tables."""
        return [part for part in self.parts() if isinstance(part, Table)]

    def linears(self) -> list[Linear]:
        """Return its linear layers."""
        return [part for part in self.parts() if isinstance(part, Linear)]

    def norms(self) -> list[Norm]:
        """Return its LayerNorms."""
        return [part for part in self.parts() if isinstance(part, Norm)]

    def factors(self) -> dict[str, int]:
        """Return the sizes of what activations are multiplied by, by name."""
        return {layer.feed_forward.factor: layer.feed_forward.intermediate.N for layer in self.layers}
