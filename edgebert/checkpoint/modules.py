"""The modules of sentence-transformers that compute something, by their folders: Pooling, Dense, SpladePooling, ..."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.checkpoint.fields_models import FIELDS, OF_TOKENS, check_fields
from edgebert.checkpoint.stored import StoredTensor, read_tensor
from edgebert.checkpoint.text_files import read_json
from edgebert.checkpoint.values import flag_of
from edgebert.checkpoint.weights import stored_tensors, weight_files
from edgebert.choices import POOLINGS
from edgebert.errors import CheckpointError, UnsupportedModelError
from edgebert.heads.pooling import DENSE_ACTIVATIONS, DenseStep
from edgebert.heads.splade import Splade

__all__ = ["DenseModule", "read_dense", "read_logit_score", "read_pooling", "read_splade"]

RESIDUAL = "residual.weight"
_PREFIX = "pooling_mode_"
_SWITCHES = {
    "cls_token": "cls",
    "max_tokens": "max",
    "mean_tokens": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "weightedmean_tokens": "weightedmean",
    "lasttoken": "lasttoken",
}
"""The pooling that each switch turns on, in the order in which those of several are joined."""


@dataclasses.dataclass(frozen=True)
class DenseModule:
    """A linear layer behind the pooling: its folder, its sizes, whether it has a bias, and the rest of `DenseStep`.

    What it reads may be added to what it makes (``residual``), through a layer of its own where their sizes differ.
    """

    folder: Path
    N: int
    K: int
    bias: bool
    activation: str
    unit_input: bool = False
    residual: bool = False

    @property
    def step(self) -> DenseStep:
        """What it does."""
        return DenseStep(self.N, self.K, self.activation, self.unit_input)

    def tensors(self) -> dict[str, StoredTensor]:
        """Return ``weight``, and ``bias`` where it has one, checked.

        Raises
        ------
        CheckpointError
        """
        stored = stored_tensors(weight_files(self.folder))
        expected: dict[str, tuple[int, ...]] = {"weight": (self.N, self.K)}
        expected |= {"bias": (self.N,)} if self.bias else {}
        expected |= {RESIDUAL: (self.N, self.K)} if self.residual and self.N != self.K else {}
        found = {name.removeprefix("linear."): tensor for name, tensor in stored.items()}
        shapes = {name: tensor.shape for name, tensor in found.items()}
        if shapes != expected:
            raise CheckpointError(f"{self.folder} has tensors {shapes}, expected {expected}")
        return found

    def weight_with_residual(self, tensors: Mapping[str, StoredTensor]) -> np.ndarray:
        """Return the weight with that of the residual in it, float32 (N, K), of what `tensors` returns."""
        beside = read_tensor(tensors[RESIDUAL]) if RESIDUAL in tensors else np.eye(self.N, dtype=np.float32)
        return read_tensor(tensors["weight"]) + beside


def read_pooling(path: Path) -> tuple[str, bool, list[str]]:
    """Return the pooling of a Pooling module's config, several joined by ``+``; whether prompts count; unknown fields.

    Raises
    ------
    CheckpointError
        It is missing or malformed.
    UnsupportedModelError
        A pooling that edgebert does not know.
    """
    settings = read_json(path, dict)
    unknown = check_fields(settings, FIELDS["Pooling/config.json"], where=str(path))
    switches = {key.removeprefix(_PREFIX): on for key, on in settings.items() if key.startswith(_PREFIX)}
    chosen: Any = settings.get("pooling_mode")
    if chosen is None:
        others = [name for name, on in switches.items() if on and name not in _SWITCHES]
        chosen = [mode for name, mode in _SWITCHES.items() if switches.get(name)] + others
    modes = [str(mode) for mode in (chosen if isinstance(chosen, list) else [chosen])]
    modes = [_SWITCHES.get(mode, mode) for mode in modes] or ["mean"]  # sentence-transformers' own default
    if others := [mode for mode in modes if mode not in POOLINGS]:
        raise UnsupportedModelError(
            f"{path} pools by {' and '.join(others)}; edgebert pools by one of {', '.join(POOLINGS)}, or by several"
        )
    include_prompt = settings.get("include_prompt")
    if include_prompt not in (None, True, False):
        raise CheckpointError(f"{path} has include_prompt {include_prompt!r}, expected true or false")
    known_as_off = {f"{key} in {path}" for key, on in settings.items() if key.startswith(_PREFIX) and on is False}
    return "+".join(modes), include_prompt is not False, [name for name in unknown if name not in known_as_off]


def read_dense(folder: Path, *, unit_input: bool, of_tokens: bool = False) -> tuple[DenseModule, list[str]]:
    """Return a Dense module by its config, and the unknown fields; `unit_input` as in `DenseStep`.

    With `of_tokens` it stands in a model for late interaction, behind every token.

    Raises
    ------
    CheckpointError
        Its config is missing or malformed.
    UnsupportedModelError
        It does something that edgebert does not.
    """
    path = folder / "config.json"
    settings = read_json(path, dict)
    unknown = check_fields(settings, FIELDS[f"Dense/config.json{OF_TOKENS if of_tokens else ''}"], where=str(path))
    N, K = settings.get("out_features"), settings.get("in_features")
    if type(N) is not int or type(K) is not int or min(N, K) < 1:
        raise CheckpointError(f"{path} has out_features {N!r} and in_features {K!r}, expected whole numbers")
    function = str(settings.get("activation_function", "torch.nn.modules.activation.Tanh"))
    package, _, name = function.rpartition(".")
    torch = package.partition(".")[0] in ("", "torch")
    if name not in DENSE_ACTIVATIONS or not torch:
        raise UnsupportedModelError(
            f"{path} has activation_function {name if torch else function!r};"
            f" edgebert runs torch's {', '.join(DENSE_ACTIVATIONS)}"
        )
    bias = settings.get("bias", True)
    if type(bias) is not bool:
        raise CheckpointError(f"{path} has bias {bias!r}, expected true or false")
    residual = flag_of(settings, "use_residual", path)
    if residual and DENSE_ACTIVATIONS[name]:
        raise UnsupportedModelError(
            f"{path} has use_residual and the activation_function {name}; edgebert adds the input where that is"
            " Identity"
        )
    return DenseModule(folder, N, K, bias, DENSE_ACTIVATIONS[name], unit_input, residual), unknown


def read_splade(path: Path) -> tuple[Splade, list[str]]:
    """Return how the config of a SpladePooling makes sparse vectors, and its unknown fields.

    Raises
    ------
    CheckpointError
        It is missing or malformed.
    UnsupportedModelError
        A strategy or an activation that edgebert does not know.
    """
    settings = read_json(path, dict)
    unknown = check_fields(settings, FIELDS["SpladePooling/config.json"], where=str(path))
    splade = Splade(settings.get("pooling_strategy", "max"), settings.get("activation_function", "relu"))
    if faults := splade.faults():
        raise UnsupportedModelError(f"{path}: {'; '.join(faults)}")
    return splade, unknown


def read_logit_score(path: Path) -> tuple[tuple[int, ...], list[str]]:
    """Return the ids whose logits the config of a LogitScore makes a score of, one or two, and its unknown fields.

    Raises
    ------
    CheckpointError
        It is missing or malformed.
    """
    settings = read_json(path, dict)
    unknown = check_fields(settings, FIELDS["LogitScore/config.json"], where=str(path))
    ids = [settings.get("true_token_id"), settings.get("false_token_id")]
    if ids[1] is None:
        del ids[1]
    if not all(type(own) is int and own >= 0 for own in ids):
        raise CheckpointError(f"{path} has the tokens {ids!r}, expected ids: true_token_id, and false_token_id if any")
    return tuple(ids), unknown
