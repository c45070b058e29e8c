"""The forward pass, told once: the steps that an encoder takes from tokens to hidden states.

Whoever computes an encoder follows this list: in float32 (`edgebert.evaluate.float32`), in NumPy's integers
(`edgebert.kernels.reference`), while it is quantized (`edgebert.quantize.encoder`), on compiled kernels, and on a GPU.
It reads like the papers: BERT (arXiv 1810.04805, section 3) on the Transformer's encoder (arXiv 1706.03762, section 3).

A quantized model smooths some channels: what makes a value divides them, what reads it has larger weights there. Two
things follow. Where the stream itself goes on, the division is undone by whose it was (``undo``); and a step that
makes the inputs of a linear layer quantizes them as that layer wants them (``quantize_for``).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np

from edgebert.architecture import Attention, Encoder, FeedForward, Linear, Norm

__all__ = [
    "AddAndNorm",
    "Arithmetic",
    "Attend",
    "Embed",
    "Expand",
    "Place",
    "Project",
    "ProjectHeads",
    "Quantize",
    "Step",
    "linear_of",
    "run",
    "steps",
]


class Place(IntEnum):
    """Where values are."""

    RESIDUAL = 0
    """The stream that every layer adds to."""
    BRANCH = 1
    """What is to be added to it."""
    HEADS = 2
    """Query, key and value of every head."""
    INTERMEDIATE = 3
    """The wide activations between the two linear layers of a feed-forward part."""


RESIDUAL, BRANCH, HEADS, INTERMEDIATE = Place


@functools.cache
def steps(encoder: Encoder) -> tuple[Step, ...]:
    """Return the steps of an encoder, in order."""
    return tuple(_steps(encoder))


def _steps(encoder: Encoder) -> Iterator[Step]:
    embeddings, layers = encoder.embeddings, encoder.layers
    readers = [layer.attention.query_key_value for layer in layers]
    # What the stream is divided by, until it is undone.
    stream: Norm | Linear | None = embeddings.norm
    if embeddings.project is None:
        yield Embed("embed", RESIDUAL, RESIDUAL, embeddings.norm, quantize_for=readers[0])
    else:
        yield Embed("embed", BRANCH, BRANCH, embeddings.norm, quantize_for=embeddings.project)
        yield Project("project_embeddings", BRANCH, RESIDUAL, embeddings.project)
        yield Quantize("quantize_embeddings", RESIDUAL, RESIDUAL, quantize_for=readers[0])
        stream = embeddings.project

    pre_norm = encoder.final_norm is not None
    # Where layers are normalised before, what they read stands beside the stream: but for the first one.
    source, beside = RESIDUAL, BRANCH if pre_norm else RESIDUAL
    for layer, (norm, last), following in zip(layers, _norms(encoder), [*readers[1:], None], strict=True):
        attention, feed_forward = layer.attention, layer.feed_forward

        yield ProjectHeads("query_key_value", source, HEADS, attention)
        yield Attend("attend", HEADS, BRANCH, attention)
        yield Quantize("quantize_context", BRANCH, BRANCH, quantize_for=attention.output)
        yield Project("attention_output", BRANCH, BRANCH, attention.output)
        reader = feed_forward.intermediate
        yield AddAndNorm("add_and_norm", BRANCH, beside, norm, undo=stream, quantize_for=reader)
        stream = None if pre_norm else norm

        yield Expand("feed_forward", beside, INTERMEDIATE, feed_forward)
        yield Project("output", INTERMEDIATE, BRANCH, feed_forward.output)
        source = beside if following else RESIDUAL
        yield AddAndNorm("add_and_norm", BRANCH, source, last, undo=stream, quantize_for=following)
        stream = None if pre_norm else last


def _norms(encoder: Encoder) -> Iterator[tuple[Norm, Norm]]:
    """Yield, of every layer, the LayerNorms that follow its attention and its feed-forward part.

    Raises
    ------
    ValueError
        One is missing; or one stands before all layers, where the embeddings have theirs.
    """
    behind: list[tuple[Norm | None, Norm | None]]
    behind = [(layer.attention_norm, layer.feed_forward_norm) for layer in encoder.layers]
    if encoder.final_norm is not None:  # then those stand before: the next one's follows
        before = [norm for pair in behind for norm in pair]
        if before[0] is not None:
            raise ValueError(f"{before[0].name} stands before all layers, expected none there")
        following = [*before[1:], encoder.final_norm]
        behind = list(zip(following[::2], following[1::2], strict=True))
    for i, (norm, last) in enumerate(behind):
        if norm is None or last is None:
            raise ValueError(f"layer {i} has no LayerNorm beside its attention, expected one")
        yield norm, last


@dataclass(frozen=True)
class Step:
    """A step: its name, as a profile shows it; the place of what it reads, and of what it makes."""

    name: str
    source: Place
    target: Place


@dataclass(frozen=True)
class Embed(Step):
    """Look up and sum the embeddings of every token, and normalise."""

    norm: Norm
    quantize_for: Linear


@dataclass(frozen=True)
class Quantize(Step):
    """Quantize rows that nothing else changes."""

    quantize_for: Linear


@dataclass(frozen=True)
class Project(Step):
    """Multiply by a linear layer."""

    linear: Linear


@dataclass(frozen=True)
class ProjectHeads(Step):
    """Multiply by the projections of query, key and value, and quantize every head."""

    attention: Attention


@dataclass(frozen=True)
class Attend(Step):
    """Compute the context of every token, within its sequence."""

    attention: Attention


@dataclass(frozen=True)
class AddAndNorm(Step):
    """Add to the stream, and normalise: the stream itself, or beside it what is read of it.

    ``undo`` is whose division of the stream is undone, None where it is not divided; ``quantize_for`` reads the result,
    but for the last one.
    """

    norm: Norm
    undo: Norm | Linear | None
    quantize_for: Linear | None


@dataclass(frozen=True)
class Expand(Step):
    """Multiply by the intermediate layer, activate, and quantize for the output layer."""

    feed_forward: FeedForward


def linear_of(step: Step) -> Linear | None:
    """Return the linear layer that a step multiplies by, if it does."""
    match step:
        case Project(linear=linear):
            return linear
        case ProjectHeads(attention=attention):
            return attention.query_key_value
        case Expand(feed_forward=feed_forward):
            return feed_forward.intermediate
    return None


class Arithmetic(Protocol):
    """A way to compute the steps on arrays of float32, a row for each token."""

    def embed(self, step: Embed) -> np.ndarray:
        """Return the normalised embeddings of the batch."""

    def project(self, step: Project, x: np.ndarray) -> np.ndarray:
        """Return x through a linear layer."""

    def project_heads(self, step: ProjectHeads, x: np.ndarray) -> np.ndarray:
        """Return query, key and value of x, side by side."""

    def attend(self, step: Attend, query_key_value: np.ndarray) -> np.ndarray:
        """Return the context of every token."""

    def expand(self, step: Expand, x: np.ndarray) -> np.ndarray:
        """Return the intermediate activations."""

    def add(self, step: AddAndNorm, residual: np.ndarray, branch: np.ndarray) -> np.ndarray:
        """Return the sum of both."""

    def normalise(self, step: AddAndNorm, x: np.ndarray) -> np.ndarray:
        """Return a sum, normalised."""


def run(encoder: Encoder, arithmetic: Arithmetic) -> np.ndarray:
    """Take every step; return the last hidden states, a row for each token."""
    values: dict[Place, np.ndarray] = {}
    for step in steps(encoder):
        match step:
            case Embed():
                values[step.target] = arithmetic.embed(step)
            case Project():
                values[step.target] = arithmetic.project(step, values[step.source])
            case ProjectHeads():
                values[step.target] = arithmetic.project_heads(step, values[step.source])
            case Attend():
                values[step.target] = arithmetic.attend(step, values[step.source])
            case Expand():
                values[step.target] = arithmetic.expand(step, values[step.source])
            case AddAndNorm():
                values[RESIDUAL] = arithmetic.add(step, values[RESIDUAL], values[step.source])
                values[step.target] = arithmetic.normalise(step, values[RESIDUAL])
            case Quantize():  # of which the rows of float32 stay as they are
                pass
    return values[RESIDUAL]
