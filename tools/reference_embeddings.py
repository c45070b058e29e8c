#!/usr/bin/env python3
"""Write the fp32 vectors of MiniLM-L6 that tests hold int8 against, for texts of our own.

They come from transformers (mean pooling, length one)::

    python tools/reference_embeddings.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from fetch_material import fetch
from transformers import AutoModel, AutoTokenizer

DATA = Path(__file__).parents[1] / "tests" / "data"
MAX_LENGTH = 256


def main() -> None:
    """Embed every line of reviews.txt, alone, and write the vectors."""
    folder = fetch("minilm-l6")
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    vectors = []
    for text in (DATA / "reviews.txt").read_text(encoding="utf-8").splitlines():
        tokens = tokenizer(text, return_tensors="pt", truncation=True, max_length=MAX_LENGTH)
        with torch.inference_mode():
            vector = model(**tokens).last_hidden_state[0].mean(dim=0).numpy()
        vectors.append(vector / np.linalg.norm(vector))
    np.savez_compressed(DATA / "minilm_fp32_vectors.npz", reviews=np.array(vectors, np.float32))


if __name__ == "__main__":
    main()
