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

__all__ = ["Attention", "Embeddings", "Encoder", "FeedForward", "Layer", "Linear", "Norm", "Rotary", "Table"]


class Linear(NamedTuple):
    """A linear layer: float32 (tokens, K) to (tokens, N).

    ``parts`` names the layers that a checkpoint has in its place, their outputs one after the other; most have one.
    Without ``bias`` a checkpoint has none, and zeros stand in its place.
    """

    name: str
    N: int
    K: int
    parts: tuple[str, ...] = ()
    bias: bool = True

    @property
    def stored(self) -> dict[str, int]:
        """The layers that a checkpoint has in its place, by name, with their outputs."""
        names = self.parts or (self.name,)
        return dict.fromkeys(names, self.N // len(names))


class Norm(NamedTuple):
    """A LayerNorm (arXiv 1607.06450) over `size` values.

    ``source`` is its name in a checkpoint, where that is another: one LayerNorm there may be two here. Without ``bias``
    a checkpoint has none, and zeros stand in its place.
    """

    name: str
    size: int
    eps: float
    source: str = ""
    bias: bool = True

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
    """What tokens are before the first layer: the sum of rows, normalised (arXiv 1810.04805, section 3).

    ``positions`` and ``token_types`` are None where a family has none of these. ``project`` leads to the hidden size
    where the rows have another width (ELECTRA, ALBERT).
    """

    words: Table
    positions: Table | None
    token_types: Table | None
    norm: Norm
    project: Linear | None = None

    @property
    def tables(self) -> tuple[Table, ...]:
        """Those that are summed, the words' first."""
        return tuple(table for table in (self.words, self.positions, self.token_types) if table)


class Rotary(NamedTuple):
    """Positions as rotations of queries and keys (RoPE, arXiv 2104.09864).

    The first half of a head and the second are the two coordinates of ``head_dim / 2`` points. The i-th is turned by
    position times ``base`` ** (-2 i / head_dim).
    """

    base: float


class Attention(NamedTuple):
    """Multi-head self-attention (arXiv 1706.03762, section 3.2).

    ``distances`` (buckets, heads) holds what the distance of two tokens adds to their score (MPNet; T5's buckets).
    ``window`` is how many tokens to either side a token attends to (arXiv 2004.05150, section 3.1); 0 for all.
    """

    heads: int
    head_dim: int
    query_key_value: Linear
    output: Linear
    distances: Table | None = None
    rotary: Rotary | None = None
    window: int = 0

    @property
    def scale(self) -> float:
        """What scores are multiplied by."""
        return 1 / math.sqrt(self.head_dim)


class FeedForward(NamedTuple):
    """Two linear layers with an activation between them, one of `edgebert.config.ACTIVATIONS`' forms.

    ``factor`` names what a quantized model multiplies the activations by, channel by channel. Where it is ``gated``, the
    intermediate layer has twice the outputs: the activated first half is multiplied by the second (arXiv 2002.05202).
    """

    intermediate: Linear
    activation: str
    output: Linear
    factor: str
    gated: bool = False

    @property
    def size(self) -> int:
        """Activations between the two layers."""
        return self.output.K


class Layer(NamedTuple):
    """Attention, then feed-forward, each added to the stream that it was given, with a LayerNorm before or behind it.

    Behind, the stream itself is normalised (post-norm, as in BERT). Before, the stream goes on as it is, and only what
    is read of it is normalised (pre-norm, arXiv 2002.04745): so it is in an encoder with a ``final_norm``. There, the
    first layer has none before its attention, for the embeddings are normalised.
    """

    attention: Attention
    attention_norm: Norm | None
    feed_forward: FeedForward
    feed_forward_norm: Norm


@dataclass(frozen=True)
class Encoder:
    """An encoder: embeddings, then layers; a layer that stands there twice is computed twice (ALBERT).

    The last LayerNorm makes the result, of which no smoothing is undone: it has a name of its own, even where its layer
    stands there more than once. It is ``final_norm`` where LayerNorms stand before attention and feed-forward (`Layer`),
    else that of the last layer. ``longest`` is the most tokens of a text.

    Raises
    ------
    ValueError
        Layers have different sizes: the kernels' buffers, and what attention needs, are the same for all.
    """

    embeddings: Embeddings
    layers: tuple[Layer, ...]
    hidden_size: int
    longest: int
    final_norm: Norm | None = None

    def __post_init__(self) -> None:
        sizes = {
            (
                layer.attention.heads,
                layer.attention.head_dim,
                layer.attention.distances,
                layer.feed_forward.size,
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
            attention, feed_forward = layer.attention, layer.feed_forward
            for norm, *linears in (
                (layer.attention_norm, attention.query_key_value, attention.output),
                (layer.feed_forward_norm, feed_forward.intermediate, feed_forward.output),
            ):
                if norm and self.final_norm:
                    yield norm
                yield from linears
                if norm and not self.final_norm:
                    yield norm
        if self.final_norm:
            yield self.final_norm

    def tables(self) -> list[Table]:
        """Return its tables."""
        return [part for part in self.parts() if isinstance(part, Table)]

    def linears(self) -> list[Linear]:
        """Return its linear layers."""
        return [part for part in self.parts() if isinstance(part, Linear)]

    def norms(self) -> list[Norm]:
        """Return its LayerNorms."""
        return [part for part in self.parts() if isinstance(part, Norm)]

    def stream_norms(self) -> list[Norm]:
        """Return the LayerNorms that make the stream, which a quantized model divides: so each has a smoothing."""
        return self.norms() if self.final_norm is None else [self.embeddings.norm]

    @property
    def last_norm(self) -> Norm:
        """The LayerNorm that makes the result."""
        return self.final_norm or self.layers[-1].feed_forward_norm

    def factors(self) -> dict[str, int]:
        """Return the sizes of what activations are multiplied by, by name."""
        return {layer.feed_forward.factor: layer.feed_forward.size for layer in self.layers}
