"""Models in the layout of the gliner package: gliner_config.json, with the encoder's config in it, and its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from edgebert.checkpoint.faults import listed
from edgebert.checkpoint.fields_models import FIELDS, check_fields
from edgebert.checkpoint.names import misfits
from edgebert.checkpoint.stored import StoredTensor
from edgebert.checkpoint.text_files import read_json
from edgebert.checkpoint.values import count_of, flag_of, object_of, text_of
from edgebert.checkpoint.weights import Tensors
from edgebert.config import BertConfig
from edgebert.errors import CheckpointError, UnsupportedModelError
from edgebert.heads.gliner import Gliner, gliner_parts

__all__ = ["ENCODER", "GlinerSettings", "read_gliner", "tensors_behind"]

CONFIG = "gliner_config.json"
ENCODER = "token_rep_layer.bert_layer.model."
"""What the names of the encoder's tensors begin with."""
_SPANS, _WORDS = "markerV0", ("token_level", "token-level")
_SPAN_LAYER = "span_rep_layer.span_rep_layer"
_STORED = {
    "projection": "token_rep_layer.projection",
    **{f"{end}.{i}": f"{_SPAN_LAYER}.project_{end}.{j}" for end in ("start", "end") for i, j in ((0, 0), (1, 3))},
    "label.0": "prompt_rep_layer.0",
    "label.1": "prompt_rep_layer.3",
    "word": "scorer.proj_token",
    "label": "scorer.proj_label",
}
"""Layer here, without its prefix -> its name in a checkpoint; what comes behind these is two or three in one there."""
_OUT = {True: (f"{_SPAN_LAYER}.out_project", ("start", "end")), False: ("scorer.out_mlp", ("word", "label", "pair"))}


class GlinerSettings(NamedTuple):
    """What gliner_config.json says.

    Attributes
    ----------
    encoder : dict
        The fields of the encoder's config.
    values : dict
        All of them.
    path : Path
    unknown : tuple of str
        Fields that are not known to change nothing.
    """

    encoder: dict[str, Any]
    values: dict[str, Any]
    path: Path
    unknown: tuple[str, ...]

    def resolve(self, tokenizer_json: str, config: BertConfig) -> Gliner:
        """Return how the model finds spans; look its markers up in its tokenizer.

        Raises
        ------
        CheckpointError
            A marker is no token, or not the one whose id is given, or a value is none.
        """
        values, path = self.values, self.path
        entity = text_of(values, "ent_token", path, "<<ENT>>")
        found, index = Tokenizer.from_str(tokenizer_json).token_to_id(entity), values.get("class_token_index")
        if found is None or found != index:
            raise CheckpointError(
                f"{path} has class_token_index {index!r} for {entity!r}, whose id in the tokenizer is {found}; expected"
                " the same: it is another model's tokenizer"
            )
        layers = values.get("num_rnn_layers", 1)
        gliner = Gliner(
            entity_token=entity,
            separator=text_of(values, "sep_token", path, "<<SEP>>"),
            entity_id=found,
            behind_marker=not flag_of(values, "embed_ent_token", path, default=True),
            hidden_size=count_of(values, "hidden_size", "values", path) or 512,
            rnn_layers=layers if type(layers) is not int else max(layers, 0),
            max_width=0 if _scores_words(values) else count_of(values, "max_width", "words", path) or 12,
            max_words=count_of(values, "max_len", "words", path) or 384,
        )
        if faults := gliner.faults(config):
            raise CheckpointError(f"{path} cannot be used: {'; '.join(faults)}")
        return gliner


def read_gliner(folder: Path) -> GlinerSettings | None:
    """Read a folder's gliner_config.json; None where there is none.

    Raises
    ------
    CheckpointError
        It is malformed, or lacks the encoder's config.
    UnsupportedModelError
        A kind of model that edgebert does not run.
    """
    path = folder / CONFIG
    if not path.is_file():
        return None
    values = read_json(path, dict)
    unknown = check_fields(values, FIELDS[CONFIG], where=str(path))
    mode = values.get("span_mode", _SPANS)
    if mode != _SPANS and not _scores_words(values):
        raise UnsupportedModelError(f"{path} has span_mode {mode!r}; edgebert runs {_SPANS} and {_WORDS[0]}")
    encoder = object_of(values, "encoder_config", path)
    if not encoder:
        raise CheckpointError(
            f"{path} has no encoder_config, expected that of {values.get('model_name')}: load the model with gliner 0.2"
            " or later where it works, and save it with save_pretrained(folder, safe_serialization=True)"
        )
    return GlinerSettings({"model_type": "deberta-v2", **encoder}, values, path, tuple(unknown))


def _scores_words(values: Mapping[str, Any]) -> bool:
    return values.get("span_mode") in _WORDS


def tensors_behind(
    stored: Mapping[str, StoredTensor], gliner: Gliner, hidden_size: int, source: str
) -> tuple[dict[str, StoredTensor], dict[str, np.ndarray], dict[str, tuple[int, ...]]]:
    """Return the tensors of the layers behind the encoder, by the names of `gliner_parts`.

    Returns
    -------
    tensors : dict of str to StoredTensor
        Those that stand in a weight file as they are here.
    made : dict of str to ndarray [dtype=float32]
        Those that are a part of one there.
    zeros : dict of str to tuple of int
        The shapes of biases that are none.

    Raises
    ------
    CheckpointError
        Naming all that are missing, unknown or misshapen.
    """
    parts = gliner_parts(gliner, hidden_size)
    zeros: dict[str, tuple[int, ...]] = {f"{name}.bias": (part.N,) for name, part in parts.items() if not part.bias}
    out, pieces = _OUT[gliner.max_width > 0]
    D = gliner.hidden_size
    last = parts["gliner.out.1"]
    wanted: dict[str, tuple[int, ...]] = {f"{out}.0.weight": (4 * D, len(pieces) * D), f"{out}.0.bias": (4 * D,)}
    wanted |= {f"{out}.3.weight": (last.N, 4 * D), f"{out}.3.bias": (last.N,)}
    names = {f"gliner.out.1.{part}": f"{out}.3.{part}" for part in ("weight", "bias")}
    for name, part in parts.items():
        own = name.removeprefix("gliner.")
        if own.startswith("out."):
            continue
        shapes: dict[str, tuple[int, ...]] = {"weight": (part.N, part.K or 0), "bias": (part.N,)}
        for kind, shape in shapes.items():
            names[f"{name}.{kind}"] = _recurrent(own, kind) if own.startswith("rnn.") else f"{_STORED[own]}.{kind}"
            wanted[names[f"{name}.{kind}"]] = shape
    if faults := misfits(stored, wanted, ENCODER):
        raise CheckpointError(f"the weights of {source} do not fit its {CONFIG}: {listed(faults)}")
    both = Tensors({name: stored[name] for name in (f"{out}.0.weight", f"{out}.0.bias")})
    columns = np.split(both[f"{out}.0.weight"], len(pieces), axis=1)
    made = {f"gliner.out.{piece}.weight": own for piece, own in zip(pieces, columns, strict=True)}
    made[f"gliner.out.{pieces[0]}.bias"] = both[f"{out}.0.bias"]
    return {name: stored[other] for name, other in names.items()}, made, zeros


def _recurrent(own: str, kind: str) -> str:
    """Return torch's name of a tensor of an LSTM: ``rnn.0.backward.input`` is ``rnn.lstm.weight_ih_l0_reverse``."""
    _, layer, direction, which = own.split(".")
    return f"rnn.lstm.{kind}_{'ih' if which == 'input' else 'hh'}_l{layer}{'_reverse' * (direction == 'backward')}"
