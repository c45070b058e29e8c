"""The contract: every tensor that a BERT has, by name and shape, and how old checkpoints spell it."""

from __future__ import annotations

from collections.abc import Mapping

from edgebert.checkpoint.faults import listed
from edgebert.checkpoint.stored import FLOAT_DTYPES, StoredTensor
from edgebert.config import BertConfig
from edgebert.errors import CheckpointError

__all__ = ["canonical_name", "expected_tensors", "match"]

_POOLER = ("pooler.dense.weight", "pooler.dense.bias")
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")  # constants that old versions saved
_PRETRAINING = "cls."  # heads of masked-language and next-sentence pretraining


def canonical_name(name: str) -> str:
    """Return Hugging Face's present name without the ``bert.`` prefix; ``gamma`` and ``beta`` are old."""
    name = name.removeprefix("bert.")
    for old, new in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name


def expected_tensors(config: BertConfig, num_labels: int) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of every tensor, in the order in which a forward pass uses them.

    Parameters
    ----------
    config : BertConfig
        The encoder's sizes.
    num_labels : int
        Rows of the sequence classification head; 0 for an encoder without one.
    """
    hidden, intermediate = config.hidden_size, config.intermediate_size
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config.vocab_size, hidden),
        "embeddings.position_embeddings.weight": (config.max_position_embeddings, hidden),
        "embeddings.token_type_embeddings.weight": (config.type_vocab_size, hidden),
        "embeddings.LayerNorm.weight": (hidden,),
        "embeddings.LayerNorm.bias": (hidden,),
    }
    dense = {
        "attention.self.query": (hidden, hidden),
        "attention.self.key": (hidden, hidden),
        "attention.self.value": (hidden, hidden),
        "attention.output.dense": (hidden, hidden),
        "attention.output.LayerNorm": (hidden,),
        "intermediate.dense": (intermediate, hidden),
        "output.dense": (hidden, intermediate),
        "output.LayerNorm": (hidden,),
    }
    for layer in range(config.num_hidden_layers):
        for name, shape in dense.items():
            shapes[f"encoder.layer.{layer}.{name}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{name}.bias"] = shape[:1]
    shapes |= {"pooler.dense.weight": (hidden, hidden), "pooler.dense.bias": (hidden,)}
    if num_labels:
        shapes |= {"classifier.weight": (num_labels, hidden), "classifier.bias": (num_labels,)}
    return shapes


def match(stored: Mapping[str, StoredTensor], config: BertConfig, head: str, *, source: str) -> dict[str, StoredTensor]:
    """Return the tensors of a checkpoint by canonical name, after holding them against the contract.

    An encoder may lack its pooler; a classifier may not, as it reads from it. Heads of
    pretraining beside an encoder are left out.

    Raises
    ------
    CheckpointError
        Naming every tensor that is missing, unknown, twice there, of another shape or not of floats.
    """
    found: dict[str, StoredTensor] = {}
    faults = []
    for name, tensor in stored.items():
        canonical = canonical_name(name)
        if canonical in _BUFFERS or (head == "none" and canonical.startswith(_PRETRAINING)):
            continue
        if canonical in found:
            faults.append(f"{canonical!r} is there under two names")
        found[canonical] = tensor

    shapes = expected_tensors(config, _num_labels(found) if head == "sequence_classification" else 0)
    if head == "none" and not any(name in found for name in _POOLER):
        for name in _POOLER:
            del shapes[name]
    faults += [f"missing {name} {shape}" for name, shape in shapes.items() if name not in found]
    faults += [f"unknown {name!r}" for name in found if name not in shapes]
    for name, shape in shapes.items():
        if name in found and found[name].shape != shape:
            faults.append(f"{name} has shape {found[name].shape}, expected {shape}")
        if name in found and found[name].dtype not in FLOAT_DTYPES:
            faults.append(f"{name} is {found[name].dtype!r}, expected one of {', '.join(FLOAT_DTYPES)}")
    if faults:
        raise CheckpointError(f"the weights of {source} do not fit its config.json: {listed(faults)}")
    return {name: found[name] for name in shapes}


def _num_labels(found: Mapping[str, StoredTensor]) -> int:
    """Return the rows of the classifier; 1 where it has none, for `match` to report its shape."""
    weight = found.get("classifier.weight")
    return max(1, weight.shape[0]) if weight is not None and weight.shape else 1
