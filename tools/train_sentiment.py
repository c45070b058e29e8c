#!/usr/bin/env python3
"""Train the default sentiment model: low-rank adapters on MiniLM-L6, from human valence ratings.

It writes ``tools/sentiment/adapter.safetensors``, of which ``build_default_model.py`` makes the model::

    python tools/train_sentiment.py                    # a quarter of an hour on two cores
    python tools/train_sentiment.py --check FOLDER     # is the built folder what was trained?

The Amazon, IMDB and Yelp sentences that measure the model take no part in it: whatever occurs in them
is removed from the snippets, and recipes are compared on snippets held out.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from adapter import load_adapter, save_adapter
from fetch_material import fetch
from sentiment_texts import CLEAR_VALENCE, sentences, snippets, split
from sentiment_torch import collate, encode, logits_of
from torch import nn
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

ADAPTER = Path(__file__).parent / "sentiment" / "adapter.safetensors"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What decides the result, besides the data.

    Attributes
    ----------
    rank : int
        Of the adapters, which every dense layer of the encoder has.
    least_valence : float
        Snippets whose valence is smaller in size are not trained on.
    sharpness : float
        The target for POSITIVE is ``sigmoid(sharpness * valence)``: a mild text teaches a mild answer.
    warmup : float
        Share of the steps in which the learning rate rises; in the others it falls to zero.
    """

    rank: int = 16
    least_valence: float = 0.5
    sharpness: float = 1.5
    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.08
    seed: int = 1


class LowRank(nn.Module):
    """A frozen dense layer plus ``x A^T B^T``, A (rank, in) and B (out, rank) (arXiv 2106.09685)."""

    def __init__(self, dense: nn.Linear, rank: int) -> None:
        super().__init__()
        self.dense = dense
        self.lora_A = nn.Parameter(torch.empty(rank, dense.in_features))
        self.lora_B = nn.Parameter(torch.zeros(dense.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (..., in) to (..., out)."""
        return self.dense(x) + nn.functional.linear(nn.functional.linear(x, self.lora_A), self.lora_B)


def adapted_model(rank: int) -> BertForSequenceClassification:
    """Return MiniLM-L6 with two new classes, of which the adapters, the pooler and the classifier learn."""
    folder = fetch("minilm-l6")
    config = BertConfig.from_pretrained(folder, num_labels=2)
    model = BertForSequenceClassification.from_pretrained(folder, config=config)
    model.bert.requires_grad_(False)
    model.bert.pooler.requires_grad_(True)
    for module in list(model.bert.encoder.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, LowRank(child, rank))
    return model


def learned(model: nn.Module) -> dict[str, np.ndarray]:
    """Return the tensors that training changes, by name."""
    return {name: parameter.detach().numpy() for name, parameter in model.named_parameters() if parameter.requires_grad}


def batches(lengths: Sequence[int], size: int, shuffle: random.Random) -> Iterator[list[int]]:
    """Yield the indices of all rows in random batches of similar length, so that little is padding."""
    order = list(range(len(lengths)))
    shuffle.shuffle(order)
    groups = []
    for start in range(0, len(order), size * 64):
        chunk = sorted(order[start : start + size * 64], key=lengths.__getitem__)
        groups += [chunk[at : at + size] for at in range(0, len(chunk), size)]
    shuffle.shuffle(groups)
    yield from groups


def train(recipe: Recipe, rows: Sequence[Sequence[int]], valence: np.ndarray) -> BertForSequenceClassification:
    """Return a model trained on token ids and the valence, (len(rows),), of their texts."""
    torch.manual_seed(recipe.seed)
    model = adapted_model(recipe.rank)
    shuffle = random.Random(recipe.seed)
    lengths = [len(row) for row in rows]
    positive = torch.sigmoid(torch.tensor(recipe.sharpness * valence, dtype=torch.float32))
    targets = torch.stack([1 - positive, positive], dim=1)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * sum(1 for _ in batches(lengths, recipe.batch_size, random.Random(0)))
    rising = recipe.warmup * steps
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / rising, (steps - step) / (steps - rising))
    )
    print(f"{recipe}: {len(rows)} snippets, {sum(lengths)} tokens, {steps} steps", flush=True)
    began = time.monotonic()
    model.train()
    for epoch in range(recipe.epochs):
        losses = []
        for chosen in batches(lengths, recipe.batch_size, shuffle):
            # A third faster where the processor multiplies bfloat16; the weights stay float32.
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model(**collate([rows[index] for index in chosen])).logits
            loss = nn.functional.cross_entropy(logits.float(), targets[chosen])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(learning, 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, {time.monotonic() - began:.0f} s", flush=True)
    return model


def trained_model() -> BertForSequenceClassification:
    """Return the model of the adapter file."""
    tensors = load_adapter(ADAPTER)
    rank = next(len(tensor) for name, tensor in tensors.items() if name.endswith("lora_A"))
    model = adapted_model(rank)
    if sorted(learned(model)) != sorted(tensors):
        raise SystemExit(f"error: {ADAPTER} holds other tensors than this script trains; train it again")
    model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()}, strict=False)
    return model


def main() -> int:
    """Train and save the adapter, or check a folder built of it."""
    parser = argparse.ArgumentParser(description="Train the default sentiment model.")
    parser.add_argument("--check", type=Path, metavar="FOLDER", help="compare a built model with the adapter")
    check = parser.parse_args().check

    base = fetch("minilm-l6")
    texts, valence, _ = snippets()
    training, held_out = split(texts, evaluation=sentences().texts)
    clear = held_out[np.abs(valence[held_out]) >= CLEAR_VALENCE]
    rows = encode(base, [texts[index] for index in clear])
    if not check:
        recipe = Recipe()
        chosen = training[np.abs(valence[training]) >= recipe.least_valence]
        model = train(recipe, encode(base, [texts[index] for index in chosen]), valence[chosen])
        save_adapter(ADAPTER, learned(model))
    logits = logits_of(trained_model(), rows)
    right = (logits[:, 1] > logits[:, 0]) == (valence[clear] > 0)
    print(f"held-out snippets: accuracy {right.mean():.4f} (n={len(clear)})")
    if check:
        built = logits_of(
            AutoModelForSequenceClassification.from_pretrained(check),
            encode(check, [texts[index] for index in clear]),
        )
        worst = np.abs(built - logits).max()
        print(f"largest difference of a logit between {check} and the adapter: {worst:.2e}")
        return int(worst > 1e-5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
