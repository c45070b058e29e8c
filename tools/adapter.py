"""The file of what the default model learned, and how it is merged into the weights it was learned on.

For a dense layer ``weight`` (out, in) the adapter holds ``lora_A`` (rank, in) and ``lora_B`` (out, rank),
and the merged weight is ``weight + lora_B @ lora_A`` (arXiv 2106.09685, section 4.1, the scale folded
into ``lora_B``). Everything else in the file is a whole tensor that replaces or joins those of the base.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save

__all__ = ["load_adapter", "merge", "save_adapter"]


def save_adapter(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write what was trained, rounded to float16: from here on the rounded values are the model."""
    path.write_bytes(save({name: tensor.astype(np.float16) for name, tensor in tensors.items()}))


def load_adapter(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of an adapter file, float32."""
    return {name: tensor.astype(np.float32) for name, tensor in load_file(path).items()}


def merge(base: Mapping[str, np.ndarray], adapter: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the base model's tensors with an adapter merged into them.

    The product is summed in float64, one rank after the other and without BLAS, so that every machine
    gets the same bits.

    Parameters
    ----------
    base, adapter : mapping of str to ndarray [dtype=float32]
        With names of the same model.

    Returns
    -------
    dict of str to ndarray [dtype=float32]

    Raises
    ------
    ValueError
        Naming every adapter tensor that lacks its other half or does not fit the base.
    """
    merged = dict(base)
    faults = []
    for name, tensor in adapter.items():
        layer, _, kind = name.rpartition(".")
        if kind == "lora_A":
            weight, up = base.get(f"{layer}.weight"), adapter.get(f"{layer}.lora_B")
            if weight is None or up is None or weight.shape != (len(up), tensor.shape[1]):
                faults.append(f"{name} {tensor.shape} has no lora_B or no weight that it fits")
            elif up.shape[1] != len(tensor):
                faults.append(f"{layer}.lora_B has rank {up.shape[1]}, {name} has rank {len(tensor)}")
            else:
                total = weight.astype(np.float64)
                for column, row in zip(up.T.astype(np.float64), tensor.astype(np.float64), strict=True):
                    total += np.multiply.outer(column, row)
                merged[f"{layer}.weight"] = total.astype(np.float32)
        elif kind == "lora_B":
            if f"{layer}.lora_A" not in adapter:
                faults.append(f"{name} has no lora_A")
        elif name in base and base[name].shape != tensor.shape:
            faults.append(f"{name} is {tensor.shape}, expected {base[name].shape}")
        else:
            merged[name] = tensor
    if faults:
        raise ValueError("the adapter does not fit the base model: " + "; ".join(faults))
    return merged
