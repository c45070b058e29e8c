"""What training and the reference logits share: texts in, token ids, batches, logits of a torch model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

__all__ = ["MAX_LENGTH", "collate", "encode", "logits_of"]

MAX_LENGTH = 512
"""Tokens that MiniLM-L6 has positions for, the two special ones included."""


def encode(folder: Path, texts: Sequence[str]) -> list[list[int]]:
    """Return each text's token ids, special ones included, cut at `MAX_LENGTH`, by a folder's tokenizer."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_LENGTH)
    return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]


def collate(rows: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
    """Return ``input_ids`` and ``attention_mask``, (len(rows), longest row) int64 each."""
    input_ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    attention_mask = torch.zeros_like(input_ids)
    for index, row in enumerate(rows):
        input_ids[index, : len(row)] = torch.tensor(row)
        attention_mask[index, : len(row)] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}


@torch.no_grad()
def logits_of(model: nn.Module, rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Return a classifier's logits in float32, (len(rows), 2), in the order of the rows."""
    model.eval()
    result = np.empty((len(rows), 2), dtype=np.float32)
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    for start in range(0, len(order), 64):
        chosen = order[start : start + 64]
        result[chosen] = model(**collate([rows[index] for index in chosen])).logits.numpy()
    return result
