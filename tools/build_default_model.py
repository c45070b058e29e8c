#!/usr/bin/env python3
"""Build the default sentiment model: MiniLM-L6 and the trained adapter become one Hugging Face folder.

Needs numpy and safetensors alone, and writes the same bytes on every machine::

    python tools/build_default_model.py FOLDER
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from adapter import load_adapter, merge
from fetch_material import MaterialError, fetch
from safetensors.numpy import load_file, save

SOURCE = Path(__file__).parent / "sentiment"
LABELS = ("NEGATIVE", "POSITIVE")


def build(base: Path, output: Path) -> None:
    """Write the model's folder, whole or not at all.

    Parameters
    ----------
    base : Path
        The folder of all-MiniLM-L6-v2.
    output : Path
        A folder that does not exist yet.

    Raises
    ------
    FileExistsError
        When `output` exists.
    ValueError
        When the adapter does not fit the base model.
    """
    if output.exists():
        raise FileExistsError(f"{output} exists already: choose another name or delete it")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".edgebert-", dir=output.parent) as work:
        folder = Path(work, "model")
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(save(weights(base), metadata={"format": "pt"}))
        write_json(folder / "config.json", config(read_json(base / "config.json")))
        write_json(folder / "tokenizer.json", tokenizer(read_json(base / "tokenizer.json")))
        settings = read_json(base / "tokenizer_config.json")
        del settings["name_or_path"]
        write_json(folder / "tokenizer_config.json", settings)
        for name in ("special_tokens_map.json", "vocab.txt"):
            shutil.copyfile(base / name, folder / name)
        shutil.copyfile(SOURCE / "README.md", folder / "README.md")
        folder.rename(output)


def weights(base: Path) -> dict[str, np.ndarray]:
    """Return the tensors of ``BertForSequenceClassification``, float32."""
    tensors = load_file(base / "model.safetensors")
    # Old versions of transformers saved the positions 0..511, which are no weight.
    del tensors["embeddings.position_ids"]
    return merge(
        {f"bert.{name}": tensor for name, tensor in tensors.items()},
        load_adapter(SOURCE / "adapter.safetensors"),
    )


def config(base: dict[str, Any]) -> dict[str, Any]:
    """Return the base's ``config.json`` with the classifier in it."""
    kept = {
        name: value
        for name, value in base.items()
        if name not in ("_name_or_path", "gradient_checkpointing", "transformers_version")
    }
    return kept | {
        "architectures": ["BertForSequenceClassification"],
        "id2label": {str(index): label for index, label in enumerate(LABELS)},
        "label2id": {label: index for index, label in enumerate(LABELS)},
        "problem_type": "single_label_classification",
    }


def tokenizer(base: dict[str, Any]) -> dict[str, Any]:
    """Return the base's ``tokenizer.json`` without its truncation to 128 tokens and its padding."""
    return base | {"truncation": None, "padding": None}


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write an object as JSON, with the line ends of no particular system."""
    path.write_bytes((json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def main() -> int:
    """Build the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Build the default sentiment model's Hugging Face folder.")
    parser.add_argument("output", type=Path, help="a folder that does not exist yet")
    output = parser.parse_args().output
    try:
        build(fetch("minilm-l6"), output)
    except (MaterialError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
