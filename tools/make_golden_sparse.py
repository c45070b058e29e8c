"""Make tiny models for sparse vectors in every variant, and the vectors that sentence-transformers computes with them.

Run with torch, transformers 5 and sentence-transformers 6 installed::

    python tools/make_golden_sparse.py tests/data/golden/sparse

``max`` is a whole folder as sentence-transformers saves it, with random weights in float16. Another variant has only
the files in which it differs from that (``gone.json`` names those that it lacks), and ``expected.npz``: the ``vectors``
of the texts of ``make_golden_sentences.py``, and those that they have as ``queries``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from golden_base import TEXTS, save_base, store
from make_golden import write_json
from make_golden_sentences import reloaded
from sentence_transformers import SparseEncoder
from sentence_transformers.sentence_transformer.modules import Router, Transformer
from sentence_transformers.sparse_encoder.modules import MLMTransformer, SparseStaticEmbedding, SpladePooling


def variants(base: Path) -> dict[str, Callable[[], SparseEncoder]]:
    """Return a function for each variant; the first is the one that the others are told apart from."""

    def model(strategy: str = "max", activation: str = "relu", kind: type = Transformer, **options: Any) -> Any:
        return SparseEncoder(modules=[*modules(strategy, activation, kind)], device="cpu", **options)

    def modules(strategy: str = "max", activation: str = "relu", kind: type = Transformer) -> list[Any]:
        more = {} if kind is MLMTransformer else {"transformer_task": "fill-mask"}
        encoder = kind(str(base), model_kwargs={"dtype": torch.float32}, **more)
        return [encoder, SpladePooling(strategy, activation)]

    def routed() -> SparseEncoder:
        document = modules(activation="log1p_relu")
        words = document[0].tokenizer.get_vocab()
        weights = torch.zeros(len(words))
        for word, weight in idf(words).items():
            weights[words[word]] = weight
        query = SparseStaticEmbedding(document[0].tokenizer, weights)
        router = Router.for_query_document([query], document)
        return SparseEncoder(modules=[router], device="cpu")

    prompts = {"prompts": {"query": "query: ", "document": ""}}
    return {
        "max": model,
        "sum": lambda: model("sum"),
        "log1p": lambda: model("sum", "log1p_relu"),
        "mlm-transformer": lambda: model(kind=MLMTransformer),
        "most-words": lambda: model(max_active_dims=5),
        "prompt": lambda: model(**prompts),
        "router": routed,
    }


def idf(words: dict[str, int]) -> dict[str, float]:
    """Return weights of words, those of a single letter left out."""
    return {word: 1 + i / 16 for word, i in sorted(words.items()) if len(word) > 1 and word[0] != "["}


def expect(model: SparseEncoder, target: Path) -> None:
    """Compute what a model says, each text alone, in float32."""
    arrays = {}
    for name, encode in (("vectors", model.encode_document), ("queries", model.encode_query)):
        arrays[name] = np.concatenate([encode([text], convert_to_sparse_tensor=False).numpy() for text in TEXTS])
    np.savez_compressed(target / "expected.npz", **{name: array.astype(np.float32) for name, array in arrays.items()})


def main() -> None:
    """Write all folders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "none").mkdir()
        save_base(work / "plain", "ForMaskedLM", 300)
        for variant, make in variants(work / "plain").items():
            folder, target = work / variant, output / variant
            make().save_pretrained(str(folder), create_model_card=False)
            for settings in folder.rglob("sentence_bert_config.json"):  # in float16, as they were
                shutil.copy(work / "plain" / "model.safetensors", settings.parent)
            store(folder, work / "none" if variant == "max" else output / "max", target)
            expect(reloaded(folder, SparseEncoder), target)
        # As OpenSearch's first models were: no modules, and the weights of words beside the encoder.
        plain = work / "idf"
        shutil.copytree(work / "plain", plain)
        tokenizer = json.loads((plain / "tokenizer.json").read_text(encoding="utf-8"))
        write_json(plain / "idf.json", idf(tokenizer["model"]["vocab"]))
        store(plain, output / "max", output / "idf")
        with (
            np.load(output / "max" / "expected.npz") as documents,
            np.load(output / "router" / "expected.npz") as router,
        ):
            arrays = {"vectors": documents["vectors"], "queries": router["queries"]}
        np.savez_compressed(output / "idf" / "expected.npz", **arrays)
    sizes = [path.stat().st_size for path in output.rglob("*") if path.is_file()]
    print(f"{len(sizes)} files, {sum(sizes):,} bytes")


if __name__ == "__main__":
    main()
