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

__all__ = [
    "Attention",
    "Disentangled",
    "Embeddings",
    "Encoder",
    "FeedForward",
    "Layer",
    "Linear",
    "Norm",
    "Rotary",
    "Table",
]


class Linear(NamedTuple):
    """A linear layer: float32 (tokens, K) to (tokens, N).

    ``parts`` names the layers that a checkpoint has in its place, their outputs one after the other; most have one.
    ``sizes`` are their outputs where these are not equal. Without ``bias`` a checkpoint has none: it counts as zeros.
    """

    name: str
    N: int
    K: int
    parts: tuple[str, ...] = ()
    bias: bool = True
    sizes: tuple[int, ...] = ()

    @property
    def stored(self) -> dict[str, int]:
        """The layers that a checkpoint has in its place, by name, with their outputs."""
        names = self.parts or (self.name,)
        sizes = self.sizes or (self.N // len(names),) * len(names)
        return dict(zip(names, sizes, strict=True))


class Norm(NamedTuple):
    """A LayerNorm (arXiv 1607.06450) over `size` values, or an RMSNorm (arXiv 1910.07467), which takes no mean off.

    ``source`` is its name in a checkpoint, where that is another: one LayerNorm there may be two here. Without ``bias``
    a checkpoint has none: it counts as zeros. ``offset`` is what a checkpoint's weight lacks (Gemma's lacks 1).
    """

    name: str
    size: int
    eps: float
    source: str = ""
    bias: bool = True
    rms: bool = False
    offset: float = 0.0

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

    ``positions``, ``token_types`` and ``norm`` are None where a family has none of these. ``project`` leads to the
    hidden size where the rows have another width (ELECTRA, ALBERT). The words' rows are multiplied by ``scale``.
    """

    words: Table
    positions: Table | None
    token_types: Table | None
    norm: Norm | None
    project: Linear | None = None
    scale: float = 1.0

    @property
    def tables(self) -> tuple[Table, ...]:
        """Those that are summed, the words' first."""
        return tuple(table for table in (self.words, self.positions, self.token_types) if table)


class Rotary(NamedTuple):
    """Positions as rotations of queries and keys (RoPE, arXiv 2104.09864).

    The first half of a head and the second are the two coordinates of ``head_dim / 2`` points. The i-th is turned by
    position times ``base`` ** (-2 i / head_dim), divided by ``stretch``, for texts longer than those it was trained on.
    """

    base: float
    stretch: float = 1.0


class Disentangled(NamedTuple):
    """What queries and keys say of distances (disentangled attention, DeBERTa, arXiv 2006.03654, section 3.1).

    The rows of ``table``, one for each bucket of distances, normalised by ``norm`` where there is one, go through the
    same projections as tokens: each has a query and a key. To the score of two tokens adds that of the query and the
    key of their distance, and that of the key and the query of their distance. Up to ``exact`` to either side, each
    distance has a row; further ones share rows, logarithmically, up to ``largest``. ``queries`` and ``keys`` name what
    a quantized model has of the rows, in the place of table and norm.
    """

    table: Table
    norm: Norm | None
    exact: int
    largest: int
    queries: str
    keys: str


class Attention(NamedTuple):
    """Multi-head self-attention (arXiv 1706.03762, section 3.2).

    ``distances`` (buckets, heads) holds what the distance of two tokens adds to their score (MPNet; T5's buckets);
    or each token between them takes off what ``slopes`` says, a number for each head (ALiBi, arXiv 2108.12409).
    ``window`` is how many tokens to either side a token attends to (arXiv 2004.05150, section 3.1); 0 for all. Where it
    is ``causal``, a token attends to none behind itself. Several heads may share a key and a value: there are
    ``key_value_heads`` of these (arXiv 2305.13245), 0 for as many as heads. ``query_norm`` and ``key_norm`` normalise
    each head, before it is turned. Scores are multiplied by ``scale``, 0 for 1 / sqrt(head_dim); what ``disentangled``
    positions add to them, too.
    """

    heads: int
    head_dim: int
    query_key_value: Linear
    output: Linear
    distances: Table | None = None
    rotary: Rotary | None = None
    window: int = 0
    causal: bool = False
    key_value_heads: int = 0
    query_norm: Norm | None = None
    key_norm: Norm | None = None
    scale: float = 0.0
    slopes: tuple[float, ...] = ()
    disentangled: Disentangled | None = None

    @property
    def slots(self) -> tuple[int, int, int]:
        """Heads of queries, of keys and of values."""
        return self.heads, self.key_value_heads or self.heads, self.key_value_heads or self.heads

    @property
    def head_norms(self) -> tuple[Norm, ...]:
        """Those of the heads of queries and of keys, if there are any."""
        return tuple(norm for norm in (self.query_norm, self.key_norm) if norm)

    @property
    def score_scale(self) -> float:
        """What scores are multiplied by."""
        return self.scale or 1 / math.sqrt(self.head_dim)


class FeedForward(NamedTuple):
    """Two linear layers with an activation between them, one of `edgebert.config.ACTIVATIONS`' forms.

    ``factor`` names what a quantized model multiplies the activations by, channel by channel. Where it is ``gated``,
    the intermediate layer has twice the outputs: the activated first half is multiplied by the second (arXiv
    2002.05202), or with ``gate_first`` the activated second half by the first.
    """

    intermediate: Linear
    activation: str
    output: Linear
    factor: str
    gated: bool = False
    gate_first: bool = False

    @property
    def size(self) -> int:
        """Activations between the two layers."""
        return self.output.K


class Layer(NamedTuple):
    """Attention, then feed-forward, each added to the stream that it was given, with a LayerNorm before or behind it.

    Behind, the stream itself is normalised (post-norm, as in BERT). Before, the stream goes on as it is, and only what
    is read of it is normalised (pre-norm, arXiv 2002.04745): so it is in an encoder with a ``final_norm``. There, the
    first layer has none before its attention where the embeddings are normalised already. What is added may be
    normalised too (Gemma): that are the branch's norms.
    """

    attention: Attention
    attention_norm: Norm | None
    feed_forward: FeedForward
    feed_forward_norm: Norm
    attention_branch_norm: Norm | None = None
    feed_forward_branch_norm: Norm | None = None


@dataclass(frozen=True)
class Encoder:
    """An encoder: embeddings, then layers; a layer that stands there twice is computed twice (ALBERT).

    The last LayerNorm makes the result, of which no smoothing is undone: it has a name of its own, even where its layer
    stands there more than once. It is ``final_norm`` where LayerNorms stand before attention and feed-forward
    (`Layer`), else that of the last layer. ``longest`` is the most tokens of a text.

    Raises
    ------
    ValueError
        Layers have different sizes: the kernels' buffers, and what attention needs, are the same for all. Or heads are
        normalised by something else than an RMSNorm without bias.
    """

    embeddings: Embeddings
    layers: tuple[Layer, ...]
    hidden_size: int
    longest: int
    final_norm: Norm | None = None

    def __post_init__(self) -> None:
        sizes = {
            (
                layer.attention.slots,
                layer.attention.head_dim,
                layer.attention.rotary is None,
                layer.attention.score_scale,
                layer.attention.distances,
                layer.attention.slopes,
                layer.attention.disentangled is None,
                layer.feed_forward.size,
            )
            for layer in self.layers
        }
        if len(sizes) != 1:
            raise ValueError(
                f"layers have {len(sizes)} different sizes, expected the same for all: {sorted(map(str, sizes))}"
            )
        for norm in (norm for layer in self.layers for norm in layer.attention.head_norms):
            if norm.bias or not norm.rms:
                raise ValueError(f"{norm.name} normalises heads, expected an RMSNorm without bias")

    def parts(self) -> list[Table | Linear | Norm]:
        """Return every part that has tensors in a checkpoint once, in the order in which a forward pass meets them."""
        return list(dict.fromkeys(self._parts()))

    def _parts(self) -> Iterator[Table | Linear | Norm]:
        embeddings = self.embeddings
        yield from embeddings.tables
        if embeddings.norm:
            yield embeddings.norm
        if embeddings.project:
            yield embeddings.project
        yield from (layer.attention.distances for layer in self.layers if layer.attention.distances)
        yield from self._of_checkpoints()
        for layer in self.layers:
            attention, feed_forward = layer.attention, layer.feed_forward
            first = (layer.attention_norm, attention.query_key_value, attention.query_norm, attention.key_norm)
            second = (layer.feed_forward_norm, feed_forward.intermediate)
            for (norm, *inner), output, branch_norm in (
                (first, attention.output, layer.attention_branch_norm),
                (second, feed_forward.output, layer.feed_forward_branch_norm),
            ):
                parts = [*inner, output, branch_norm]
                yield from filter(None, [norm, *parts] if self.final_norm else [*parts, norm])
        if self.final_norm:
            yield self.final_norm

    def _of_checkpoints(self) -> Iterator[Table | Norm]:
        """Yield what a quantized model has otherwise (`Disentangled`)."""
        for layer in self.layers:
            if positions := layer.attention.disentangled:
                yield positions.table
                if positions.norm:
                    yield positions.norm

    def _kept(self) -> list[Table | Linear | Norm]:
        apart = set(self._of_checkpoints())
        return [part for part in self.parts() if part not in apart]

    def tables(self) -> list[Table]:
        """Return its tables, as a quantized model has them."""
        return [part for part in self._kept() if isinstance(part, Table)]

    def linears(self) -> list[Linear]:
        """Return its linear layers."""
        return [part for part in self.parts() if isinstance(part, Linear)]

    def norms(self) -> list[Norm]:
        """Return its LayerNorms, as a quantized model has them."""
        return [part for part in self._kept() if isinstance(part, Norm)]

    def disentangled(self) -> list[tuple[Disentangled, Attention]]:
        """Return what its layers have of distances, each with its attention; what several share is there once."""
        found = {positions: layer.attention for layer in self.layers if (positions := layer.attention.disentangled)}
        return list(found.items())

    def stream_norms(self) -> list[Norm]:
        """Return the LayerNorms that make the stream, which a quantized model divides: so each has a smoothing."""
        if self.final_norm is None:
            return self.norms()
        first = self.embeddings.norm
        return [first] if first and not self.layers[0].attention_norm else []

    @property
    def last_norm(self) -> Norm:
        """The LayerNorm that makes the result."""
        return self.final_norm or self.layers[-1].feed_forward_norm

    def factors(self) -> dict[str, int]:
        """Return the sizes of what activations are multiplied by, by name."""
        return {layer.feed_forward.factor: layer.feed_forward.size for layer in self.layers}
