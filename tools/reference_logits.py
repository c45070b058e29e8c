#!/usr/bin/env python3
"""Write the fp32 logits that tests hold int8 against, and print what the model card says.

They come from transformers, run on the folder that ``build_default_model.py`` made::

    python tools/reference_logits.py FOLDER tests/data/sentiment_fp32_logits.npz
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sentiment_texts import CLEAR_VALENCE, sentences, sha256_of, snippets, split
from sentiment_torch import encode, logits_of
from transformers import AutoModelForSequenceClassification


def main() -> None:
    """Compute the logits of all sentences and snippets, print accuracies, write the file."""
    parser = argparse.ArgumentParser(description="Write the default model's fp32 logits.")
    parser.add_argument("model", type=Path, help="the model's Hugging Face folder")
    parser.add_argument("output", type=Path, help="the .npz file to write")
    args = parser.parse_args()

    model = AutoModelForSequenceClassification.from_pretrained(args.model)
    measured, known = sentences(), snippets()
    sentence_logits = logits_of(model, encode(args.model, measured.texts))
    snippet_logits = logits_of(model, encode(args.model, known.texts))

    right = (sentence_logits[:, 1] > sentence_logits[:, 0]) == (measured.labels == 1)
    sources = np.array(measured.sources)
    for source in dict.fromkeys(measured.sources):
        chosen = right[sources == source]
        print(f"{source}\t{chosen.mean():.4f}\tn={len(chosen)}")
    print(f"all sentences\t{right.mean():.4f}\tn={len(right)}")
    _, held_out = split(known.texts, evaluation=measured.texts)
    clear = held_out[np.abs(known.valence[held_out]) >= CLEAR_VALENCE]
    right = (snippet_logits[:, 1] > snippet_logits[:, 0]) == (known.valence > 0)
    print(f"held-out snippets\t{right[clear].mean():.4f}\tn={len(clear)}")

    np.savez_compressed(
        args.output,
        sentences=sentence_logits,
        vader=snippet_logits,
        sentences_sha256=sha256_of(measured.texts),
        vader_sha256=sha256_of(known.texts),
    )


if __name__ == "__main__":
    main()
