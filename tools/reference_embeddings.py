#!/usr/bin/env python3
"""Write what two real models compute in fp32, for texts of our own: tests hold edgebert against it.

It comes from transformers: of MiniLM-L6 the vectors (mean pooling, length one), of the ALBERT over reactions the last
hidden states of the first token, and the logits of another::

    python tools/reference_embeddings.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from fetch_material import fetch
from prepare_models import prepared
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

DATA = Path(__file__).parents[1] / "tests" / "data"
MAX_LENGTH = 256
REACTIONS, TOKEN = 32, 7
"""Lines of reactions.txt, and the token whose logits are kept."""


def write_vectors() -> None:
    """Embed every line of reviews.txt, alone."""
    folder = fetch("minilm-l6")
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    vectors = []
    for text in (DATA / "reviews.txt").read_text(encoding="utf-8").splitlines():
        tokens = tokenizer(text, return_tensors="pt", truncation=True, max_length=MAX_LENGTH)
        with torch.inference_mode():
            vector = model(**tokens).last_hidden_state[0].mean(dim=0).numpy()
        vectors.append(vector / np.linalg.norm(vector))
    np.savez_compressed(DATA / "minilm_fp32_vectors.npz", reviews=np.array(vectors, np.float32))


def write_reactions() -> None:
    """Run the first lines of reactions.txt, each alone, in float64."""
    folder = prepared("chemistry-albert")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float64).eval()
    states, logits = [], []
    for text in (DATA / "reactions.txt").read_text(encoding="utf-8").splitlines()[:REACTIONS]:
        tokens = tokenizer(text, return_tensors="pt")
        with torch.inference_mode():
            found = model(**tokens, output_hidden_states=True)
        states.append(found.hidden_states[-1][0, 0].float().numpy())
        logits.append(found.logits[0, TOKEN].float().numpy())
    np.savez_compressed(DATA / "reactions_fp32.npz", hidden_states=states, logits=logits, token=TOKEN)


def main() -> None:
    """Write both files."""
    write_vectors()
    write_reactions()


if __name__ == "__main__":
    main()
