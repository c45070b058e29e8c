"""Make tiny models for late interaction in every layout, and the vectors that their own libraries compute with them.

Run with torch, transformers 5 and sentence-transformers 6 installed, and again with pylate 1.6 and what that wants::

    python tools/make_golden_late_interaction.py tests/data/golden/late_interaction sentence-transformers stanford
    python tools/make_golden_late_interaction.py tests/data/golden/late_interaction pylate

``fixed`` is a whole folder as sentence-transformers' MultiVectorEncoder saves it, with random weights in float16;
so are ``pylate``, as PyLate saves it, and ``stanford``, in the layout of Stanford's ColBERT. A variant has only the
files in which it differs from the one that it begins with (``gone.json`` names those that it lacks), and
``expected.npz``: the vectors of each of the texts of ``golden_base.py``, as ``document_0`` and ``query_0``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import string
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from golden_base import HIDDEN, TEXTS, save_base, seeded, store
from make_golden import fill, write_json
from safetensors.torch import load_file, save_file
from torch import nn

WIDTH = 12
TOKENS = "token_embeddings"


def of_sentence_transformers(base: Path) -> dict[str, Callable[[], Any]]:
    """Return a function for each variant of sentence-transformers' own layout."""
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
    from sentence_transformers.sentence_transformer.modules import Normalize, Transformer

    def model(expansion: dict[str, Any] | None, *, lengths: dict[str, int] | None = None, **mask: Any) -> Any:
        encoder = Transformer(
            str(base), model_kwargs={"dtype": torch.float32}, query_expansion=expansion, **(lengths or {})
        )
        dense = Dense(HIDDEN, WIDTH, False, nn.Identity(), module_input_name=TOKENS)
        modules = [encoder, seeded(dense, 401), MultiVectorMask(**mask), Normalize(module_input_name=TOKENS)]
        prompts = {"query": "query: ", "document": ""}
        return MultiVectorEncoder(modules=modules, device="cpu", prompts=prompts)

    fixed = {"strategy": "fixed", "length": 16}
    return {
        "fixed": lambda: model(fixed, lengths={"document_length": 14}, skiplist_words=list(string.punctuation)),
        "attend": lambda: model(fixed | {"attend": True}),
        "other-filler": lambda: model({"strategy": "min", "length": 14, "token": "[PAD]"}),
        "not-filled": lambda: model(
            None, lengths={"query_length": 10}, skiplist_words=["no", "."], skiplist_tasks=["query", "document"]
        ),
    }


def of_pylate(base: Path) -> dict[str, Callable[[], Any]]:
    """Return a function for each variant of PyLate's layout."""
    from pylate import models as pylate

    def model(*behind: nn.Module, **options: Any) -> Any:
        torch.manual_seed(4)
        result = pylate.ColBERT(str(base), device="cpu", embedding_size=WIDTH, **options)
        fill(result[1], seed=402)
        for i, module in enumerate(behind):
            result.pop(1) if i == 0 else None
            result.append(seeded(module, 403 + i))
        with torch.no_grad():
            words = result[0].auto_model.get_input_embeddings().weight
            words[-2:] = words[5:7].flip(1)  # those of the markers
        return result

    def dense(K: int, N: int, *, residual: bool) -> nn.Module:
        return pylate.Dense(K, N, bias=False, use_residual=residual)

    return {
        "pylate": lambda: model(query_length=16, document_length=14),
        "pylate-attend": lambda: model(query_length=12, document_length=20, attend_to_expansion_tokens=True),
        "pylate-not-filled": lambda: model(do_query_expansion=False, query_prefix="Q: ", document_prefix="D: "),
        "pylate-residual": lambda: model(
            dense(HIDDEN, 20, residual=True), dense(20, 20, residual=True), dense(20, WIDTH, residual=False)
        ),
    }


def halve(folder: Path) -> None:
    """Store all weights in float16."""
    for path in folder.rglob("*.safetensors"):
        save_file({name: tensor.half().contiguous() for name, tensor in load_file(path).items()}, path)


def to_stanford(base: Path, folder: Path, **settings: Any) -> None:
    """Bring a plain encoder into the layout of Stanford's ColBERT."""
    shutil.copytree(base, folder)
    tensors = {f"bert.{name}": tensor for name, tensor in load_file(base / "model.safetensors").items()}
    projection = nn.Linear(HIDDEN, WIDTH, bias=False)
    fill(projection, seed=403)
    save_file({**tensors, "linear.weight": projection.weight.detach().half()}, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    write_json(folder / "config.json", {**config, "architectures": ["HF_ColBERT"]})
    if settings:
        more = {"dim": WIDTH, "similarity": "cosine", "nway": 64, "name": "a", "interaction": "colbert"}
        write_json(folder / "artifact.metadata", {**more, **settings})


def save_stanford(work: Path, output: Path) -> None:
    """Write the folders in Stanford's layout, with settings and without."""
    settings = {"query_maxlen": 14, "doc_maxlen": 16, "attend_to_mask_tokens": False, "mask_punctuation": True}
    for variant, given in (("stanford", settings), ("stanford-bare", {})):
        to_stanford(work / "base", work / variant, **given)
        store(work / variant, work / "none" if given else output / "stanford", output / variant)
        expect(by_sentence_transformers(work / variant), output / variant)


def expect(encode: Callable[[str, bool], np.ndarray], target: Path) -> None:
    """Compute what a model says, each text alone, in float32."""
    arrays = {}
    for name, is_query in (("document", False), ("query", True)):
        for i, text in enumerate(TEXTS):
            arrays[f"{name}_{i}"] = np.asarray(encode(text, is_query), np.float32).reshape(-1, WIDTH)
    np.savez_compressed(target / "expected.npz", **arrays)


def by_sentence_transformers(folder: Path) -> Callable[[str, bool], np.ndarray]:
    """Return what encodes a text with a folder."""
    from sentence_transformers import MultiVectorEncoder

    model = MultiVectorEncoder(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    return lambda text, is_query: (model.encode_query if is_query else model.encode_document)([text])[0]


def by_pylate(folder: Path) -> Callable[[str, bool], np.ndarray]:
    """Return what encodes a text with a folder."""
    from pylate import models as pylate

    model = pylate.ColBERT(str(folder), device="cpu", model_kwargs={"dtype": torch.float32}).float()
    return lambda text, is_query: model.encode([text], is_query=is_query, batch_size=1, show_progress_bar=False)[0]


def main() -> None:
    """Write all folders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("layouts", nargs="+", choices=["sentence-transformers", "pylate", "stanford"])
    arguments = parser.parse_args()
    output = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "none").mkdir()
        save_base(work / "base", "Model", 400, ["[unused0]", "[unused1]", *string.punctuation])
        for layout in arguments.layouts:
            if layout == "stanford":
                save_stanford(work, output)
                continue
            made = of_pylate(work / "base") if layout == "pylate" else of_sentence_transformers(work / "base")
            first = next(iter(made))
            for variant, make in made.items():
                folder, target = work / variant, output / variant
                make().save_pretrained(str(folder), create_model_card=False)
                halve(folder)
                store(folder, work / "none" if variant == first else output / first, target)
                expect(by_pylate(folder) if layout == "pylate" else by_sentence_transformers(folder), target)
    sizes = [path.stat().st_size for path in output.rglob("*") if path.is_file()]
    print(f"{len(sizes)} files, {sum(sizes):,} bytes")


if __name__ == "__main__":
    main()
