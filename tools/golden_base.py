"""What the tiny models of several generators have in common: a BERT and its tokenizer, texts, how they are kept."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Sequence
from pathlib import Path

import transformers
from make_golden import fill, write_json
from torch import nn

__all__ = ["HIDDEN", "LETTERS", "POSITIONS", "SENTENCE", "TEXTS", "save_base", "seeded", "store"]

TEXTS = [
    "The film was very good",
    "NOBODY liked the story, but the acting was good.",
    "a",
    "",
    "no good film at all, and acting a plot all really good, in the cafe with a very bad story and no plot to it",
]
SENTENCE = (
    "the a and of to in on with for is was not it no very good bad film story plot cafe at all who liked but acting"
    " alice bob nobody really query The . , ? :"
)
LETTERS = "abcdefghijklmnopqrstuvwxyzN"
HIDDEN, POSITIONS = 32, 32


def save_base(folder: Path, kind: str, seed: int, more: Sequence[str] = ()) -> None:
    """Save a plain BERT and its cased tokenizer, which has more tokens: ``Model``, ``ForSequenceClassification``."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = dict.fromkeys([*special, *SENTENCE.split(), *LETTERS, *(f"##{c}" for c in LETTERS), *more])
    vocab = {token: i for i, token in enumerate(tokens)}
    transformers.BertTokenizer(vocab=vocab, do_lower_case=False, model_max_length=POSITIONS).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(vocab),
        hidden_size=HIDDEN,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=POSITIONS,
        num_labels=3 if seed % 2 else 1,
    )
    model = getattr(transformers, f"Bert{kind}")(config).eval()
    fill(model, seed=seed)
    model.half().save_pretrained(folder)


def seeded(module: nn.Module, seed: int) -> nn.Module:
    """Fill the weights of a module."""
    fill(module, seed=seed)
    return module.half().float()


def store(saved: Path, base: Path, target: Path) -> None:
    """Copy the files in which a folder differs from the one that it begins with, and name those that it lacks."""
    target.mkdir(parents=True, exist_ok=True)
    files = {path.relative_to(saved) for path in saved.rglob("*") if path.is_file()}
    files -= {Path("README.md")}
    for name in sorted(files):
        if not (base / name).is_file() or not filecmp.cmp(saved / name, base / name, shallow=False):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(saved / name, target / name)
    lacks = {path.relative_to(base) for path in base.rglob("*") if path.is_file()} - files
    gone = sorted(path.as_posix() for path in lacks if path.name != "expected.npz")
    if gone:
        write_json(target / "gone.json", gone)
