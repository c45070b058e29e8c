"""The contract: every tensor that an encoder and its heads have, by BERT's names, with its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from edgebert.architecture import Encoder, Linear, Norm, Table
from edgebert.checkpoint.faults import listed
from edgebert.checkpoint.stored import FLOAT_DTYPES, StoredTensor
from edgebert.config import BertConfig
from edgebert.errors import CheckpointError
from edgebert.families import Family, encoder_of
from edgebert.heads import HEADS, head_parts, head_shapes

__all__ = ["Match", "expected_tensors", "heads_among", "match", "misfits", "renamed", "within"]

_DECODER = "cls.predictions.decoder.weight"
_POOLER = ("pooler.dense.weight", "pooler.dense.bias")
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")  # constants that old versions saved
_MAY_BE_TWICE = "cls.predictions.decoder."  # stored both as the head's and as its decoder's
_OTHER_HEADS = ("cls.", "classifier.", "qa_outputs.", "pooler.", "unused.", "discriminator_predictions.")


def renamed(stored: Mapping[str, StoredTensor], family: Family) -> tuple[dict[str, StoredTensor], list[str]]:
    """Return the tensors of a checkpoint by BERT's names, and which names are there twice."""
    found: dict[str, StoredTensor] = {}
    faults = []
    for name, tensor in stored.items():
        canonical = family.canonical_name(name)
        if canonical in _BUFFERS:
            continue
        if canonical in found and not canonical.startswith(_MAY_BE_TWICE):
            faults.append(f"{canonical!r} is there under two names")
        found.setdefault(canonical, tensor)
    return found, faults


def within(stored: Mapping[str, StoredTensor], family: Family) -> dict[str, StoredTensor]:
    """Return the tensors of an encoder that stands in a class with others beside it: all, where none has a prefix."""
    inside = {name: tensor for name, tensor in stored.items() if name.startswith(family.prefix)}
    return inside or dict(stored)


def _heads_there(
    found: Mapping[str, StoredTensor], heads: Sequence[str], config: BertConfig, family: Family
) -> tuple[str, ...]:
    """Return the heads of which any tensor is there; BERT's pooler is its encoder's, and says nothing of a head."""
    own = {head: set(head_shapes(head, config, 1)) for head in heads}
    if family.pooler:
        own = {head: names - set(_POOLER) for head, names in own.items()}
    return tuple(head for head in heads if own[head] & found.keys())


def heads_among(found: Mapping[str, StoredTensor], config: BertConfig) -> tuple[str, ...]:
    """Return the heads whose every tensor is among those found, the pooler as a part of some included."""
    return tuple(name for name, head in HEADS.items() if head.is_among(found, config))


def expected_tensors(config: BertConfig, heads: Sequence[str], num_labels: int) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of every tensor, in the order in which a forward pass uses them.

    Parameters
    ----------
    config : BertConfig
        The encoder's sizes.
    heads : sequence of str
        Among `edgebert.heads.HEADS`.
    num_labels : int
        Rows of the head that has labels.
    """
    shapes = encoder_tensors(encoder_of(config))
    for head in heads:
        shapes |= head_shapes(head, config, num_labels)
    return shapes


def _absent(encoder: Encoder, heads: Sequence[str], config: BertConfig) -> list[str]:
    """Return the names of the biases that a model has not, by those of a checkpoint: zeros stand in their place."""
    of_heads = [f"{part.name}.bias" for part in head_parts(heads, config, 0).values() if not part.bias]
    parts = [part for part in encoder.parts() if not isinstance(part, Table) and not part.bias]
    names = [[part.stored] if isinstance(part, Norm) else part.stored for part in parts]
    return [f"{name}.bias" for each in names for name in each] + of_heads


def encoder_tensors(encoder: Encoder) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of every tensor of an encoder, in the order in which a forward pass uses them."""
    shapes: dict[str, tuple[int, ...]] = {}
    for part in encoder.parts():
        if isinstance(part, Table):
            shapes[f"{part.name}.weight"] = (part.rows, part.width)
        elif isinstance(part, Linear):
            for name, outputs in part.stored.items():
                shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (outputs, part.K), (outputs,)
        else:
            shapes[f"{part.stored}.weight"] = shapes[f"{part.stored}.bias"] = (part.size,)
    return shapes


class Match(NamedTuple):
    """What of a checkpoint's tensors a model uses.

    Attributes
    ----------
    heads : tuple of str
        Those of the wanted ones of which there is any tensor.
    num_labels : int
        Rows of the classifier; 0 for heads without labels.
    tensors : dict of str to StoredTensor
        By BERT's names.
    zeros : dict of str to tuple of int
        Name -> shape of those that BERT has and the family has not: they are zero.
    """

    heads: tuple[str, ...]
    num_labels: int
    tensors: dict[str, StoredTensor]
    zeros: dict[str, tuple[int, ...]]


def match(
    found: Mapping[str, StoredTensor],
    config: BertConfig,
    heads: Sequence[str],
    family: Family,
    unused_positions: int,
    *,
    source: str,
    tied: bool = True,
    faults: Sequence[str] = (),
) -> Match:
    """Find the tensors that a model uses, and hold them against the contract.

    Tensors of heads that the model does not use are left out. Of the word embeddings and the decoder of masked words,
    one may be missing: then it is the other, unless the model says that they are not the same.

    Parameters
    ----------
    found : mapping
        What `renamed` returns.
    heads : sequence of str
        Those that the config says the model has; one of which no tensor is there is left out.
    unused_positions : int
        Rows of the position embeddings before the first that is used.
    tied : bool
        Whether the decoder of masked words may be the word embeddings.
    faults : sequence of str
        What is known to be wrong already.

    Raises
    ------
    CheckpointError
        Naming every tensor that is missing, unknown, twice there, of another shape or not of floats.
    """
    found = {family.name_in_heads(name, heads): tensor for name, tensor in found.items()}
    heads = _heads_there(found, heads, config, family)
    encoder = encoder_of(config)
    embeddings = encoder.embeddings
    words = f"{embeddings.words.name}.weight"
    if tied and "masked_lm" in heads and _DECODER not in found and words in found:
        found[_DECODER] = found[words]
    if tied and words not in found and _DECODER in found:
        found[words] = found[_DECODER]
    num_labels = _num_labels(found, heads)
    shapes = expected_tensors(config, heads, num_labels)
    absent = _absent(encoder, heads, config)
    if embeddings.token_types and not family.token_types:
        absent.append(f"{embeddings.token_types.name}.weight")
    zeros = {name: shapes.pop(name) for name in absent}
    if positions := embeddings.positions:
        shapes[f"{positions.name}.weight"] = (positions.rows + unused_positions, positions.width)
    faults = [*faults, *misfits(found, shapes, _OTHER_HEADS)]
    if faults:
        raise CheckpointError(f"the weights of {source} do not fit its config.json: {listed(faults)}")
    return Match(heads, num_labels, {name: found[name] for name in shapes}, zeros)


def misfits(
    found: Mapping[str, StoredTensor], shapes: Mapping[str, tuple[int, ...]], others: str | tuple[str, ...]
) -> list[str]:
    """Return what is missing, unknown, of another shape or not of floats; names that begin as `others` are let be."""
    faults = [f"missing {name} {shape}" for name, shape in shapes.items() if name not in found]
    faults += [f"unknown {name!r}" for name in found if name not in shapes and not name.startswith(others)]
    for name, shape in shapes.items():
        if name in found and found[name].shape != shape:
            faults.append(f"{name} has shape {found[name].shape}, expected {shape}")
        if name in found and found[name].dtype not in FLOAT_DTYPES:
            faults.append(f"{name} is {found[name].dtype!r}, expected one of {', '.join(FLOAT_DTYPES)}")
    return faults


def _num_labels(found: Mapping[str, StoredTensor], heads: Sequence[str]) -> int:
    """Return the rows of the classifier, 0 for heads without labels; 1 where it is missing, for `match` to report."""
    if not any(HEADS[head].has_labels for head in heads):
        return 0
    weight = found.get("classifier.weight")
    return max(1, weight.shape[0]) if weight is not None and weight.shape else 1
