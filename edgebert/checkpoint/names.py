"""The contract: every tensor that an encoder and its heads have, by BERT's names, with its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgebert.architecture import Encoder, Linear, Table
from edgebert.checkpoint.faults import listed
from edgebert.checkpoint.stored import FLOAT_DTYPES, StoredTensor
from edgebert.config import BertConfig
from edgebert.errors import CheckpointError
from edgebert.families import Family, encoder_of
from edgebert.heads import HEADS, head_shapes

__all__ = ["expected_tensors", "heads_among", "heads_there", "match", "renamed", "within"]

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


def heads_there(
    found: Mapping[str, StoredTensor], heads: Sequence[str], config: BertConfig, family: Family
) -> tuple[str, ...]:
    """Return the heads of which any tensor is there; BERT's pooler is its encoder's, and says nothing of a head."""
    own = {head: set(head_shapes(head, config, 1)) for head in heads}
    if family.pooler:
        own = {head: names - set(_POOLER) for head, names in own.items()}
    return tuple(head for head in heads if own[head] & found.keys())


def heads_among(found: Mapping[str, StoredTensor]) -> tuple[str, ...]:
    """Return the heads whose every tensor is among those found, the pooler as a part of some included."""
    pooled = all(name in found for name in _POOLER)
    heads = []
    if "cls.predictions.transform.dense.weight" in found:
        heads.append("masked_lm")
    if "cls.seq_relationship.weight" in found and pooled:
        heads.append("next_sentence")
    if "classifier.weight" in found:
        heads.append("sequence_classification" if pooled else "token_classification")
    if "qa_outputs.weight" in found:
        heads.append("question_answering")
    return tuple(heads)


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
) -> dict[str, StoredTensor]:
    """Return the tensors that a model uses by BERT's names, after holding them against the contract.

    Tensors of heads that the model does not use are left out. Of the word embeddings and the decoder of masked words,
    one may be missing: then it is the other, unless the model says that they are not the same.

    Parameters
    ----------
    found : mapping
        What `renamed` returns.
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
    found = dict(found)
    embeddings = encoder_of(config).embeddings
    words, positions, token_types = (f"{table.name}.weight" for table in embeddings.tables)
    if tied and "masked_lm" in heads and _DECODER not in found and words in found:
        found[_DECODER] = found[words]
    if tied and words not in found and _DECODER in found:
        found[words] = found[_DECODER]
    shapes = expected_tensors(config, heads, num_labels(found, heads))
    if not family.token_types:
        del shapes[token_types]
    shapes[positions] = (embeddings.positions.rows + unused_positions, embeddings.positions.width)
    faults = list(faults)
    faults += [f"missing {name} {shape}" for name, shape in shapes.items() if name not in found]
    faults += [f"unknown {name!r}" for name in found if name not in shapes and not name.startswith(_OTHER_HEADS)]
    for name, shape in shapes.items():
        if name in found and found[name].shape != shape:
            faults.append(f"{name} has shape {found[name].shape}, expected {shape}")
        if name in found and found[name].dtype not in FLOAT_DTYPES:
            faults.append(f"{name} is {found[name].dtype!r}, expected one of {', '.join(FLOAT_DTYPES)}")
    if faults:
        raise CheckpointError(f"the weights of {source} do not fit its config.json: {listed(faults)}")
    return {name: found[name] for name in shapes}


def num_labels(found: Mapping[str, StoredTensor], heads: Sequence[str]) -> int:
    """Return the rows of the classifier, 0 for heads without labels; 1 where it is missing, for `match` to report."""
    if not any(HEADS[head].has_labels for head in heads):
        return 0
    weight = found.get("classifier.weight")
    return max(1, weight.shape[0]) if weight is not None and weight.shape else 1
