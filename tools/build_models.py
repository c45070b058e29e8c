#!/usr/bin/env python3
"""Build the three models that come with edgebert: their folders, with our cards, become .edgebert files.

Their bytes are the same on every machine. Needs what `fetch_material.py` fetches, and onnx for Rampart::

    python tools/build_models.py FOLDER             # all
    python tools/build_models.py FOLDER minilm      # one of them
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import build_default_model
from fetch_material import MaterialError, fetch
from prepare_models import prepared

import edgebert
from edgebert.artifact import read_artifact, write_artifact
from edgebert.bundled import BUNDLED

__all__ = ["RECIPES", "build"]

CARDS = Path(__file__).parent / "cards"


def sentiment(folder: Path) -> None:
    """Make the folder of the sentiment model, whose card is beside its weights."""
    build_default_model.build(fetch("minilm-l6"), folder)


def minilm(folder: Path) -> None:
    """Make the folder of all-MiniLM-L6-v2."""
    shutil.copytree(fetch("minilm-l6"), folder)
    shutil.copyfile(CARDS / "minilm.md", folder / "README.md")


def personal_data(folder: Path) -> None:
    """Make the folder of Rampart."""
    shutil.copytree(prepared("rampart"), folder)
    shutil.copyfile(CARDS / "personal-data.md", folder / "README.md")


class Recipe(NamedTuple):
    """How a model's file is made.

    Attributes
    ----------
    source : str
        What the file says it was made from.
    make_folder : callable
        Makes the model folder at a path.
    embeddings : str
        What the word embeddings are kept in. The three files together have 65 MB at most.
    """

    source: str
    make_folder: Callable[[Path], None]
    embeddings: str = "int8"


RECIPES: Mapping[str, Recipe] = {
    "sentiment": Recipe("sentiment-hf", sentiment),
    "minilm": Recipe("sentence-transformers/all-MiniLM-L6-v2", minilm, "int4"),
    "personal-data": Recipe("nationaldesignstudio/rampart", personal_data),
}


def build(name: str, output: Path) -> Path:
    """Build the file of one model.

    Parameters
    ----------
    name : str
        A key of `RECIPES`.
    output : Path
        The folder to write it to.
    """
    recipe = RECIPES[name]
    with tempfile.TemporaryDirectory() as work:
        recipe.make_folder(Path(work, "model"))
        converted = edgebert.convert(Path(work, "model"), Path(work, f"{name}.edgebert"), embeddings=recipe.embeddings)
        artifact = read_artifact(converted)
        path = output / f"{name}.edgebert"
        tell = {key: value for key, value in artifact.metadata.items() if key not in ("format", "format_version")}
        write_artifact(path, artifact.tensors, {**tell, "source": recipe.source})
    return path


def main() -> int:
    """Build the named models, or all, and print where each is."""
    names = [model.name for model in BUNDLED]
    parser = argparse.ArgumentParser(description="Build the models that come with edgebert.")
    parser.add_argument("output", type=Path, help="the folder to write the files to")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"among {', '.join(names)}; default all")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(names)
    if unknown:
        parser.error(f"there is no model {', '.join(sorted(unknown))}: choose from {', '.join(names)}")
    try:
        for name in chosen.names or names:
            print(build(name, chosen.output), flush=True)
    except (MaterialError, edgebert.EdgebertError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
