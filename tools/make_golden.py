"""Make the tiny models that the tests compare edgebert with, and what transformers computes with them.

Run with torch and transformers installed::

    python tools/make_golden.py tests/data/golden

Every folder is an ordinary Hugging Face folder and three files more: ``inputs.json`` (lists of token ids),
``outputs.npz`` (what the model answers, computed in float64 and rounded to float32: the truth that
both engines approximate) and ``tokenized.json`` (texts and their ids, from transformers' own tokenizer).
The weights are random, yet drawn to be as unpleasant as trained ones: output channels of
different sizes, a few outliers, LayerNorm weights away from one, biases away from zero.
"""

from __future__ import annotations

import argparse
import json
import string
import tempfile
from pathlib import Path

import numpy as np
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
    BertTokenizerFast,
)

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PUNCTUATION = list("!\"#$%&'()*+,-./:;?@_")
WHOLE = (
    "the a an and or of to in on with for is was are not it this that no very good bad film book story"
    " plot cafe water over under great poor love hate never always really act play read watch time"
    " naive resume strasse uber unbelievable 10 2024"
)
PIECES = "##s ##ed ##ing ##er ##ly ##able ##un ##ful ##less ##ness ##ation ##al ##e ##es"
CASED = "The A I Good Bad Café naïve Straße Über Plot"
CHINESE = list("中文电影好不看書")

TEXTS = [
    "the film was very good",
    "The Film WAS Very Good!",
    "unbelievable acting, never watched",
    "Café naïve résumé Straße Über",
    "Cafe\u0301 nai\u0308ve",  # the same accents as combining marks
    "中文电影very好看",
    "不好 看書 龍",  # the last character is not in the vocabulary
    "a zyzzyva's plot-twist (really?) @10:20... $5_a & #2024",
    "no\tplot\r\nno  story\u00a0at\u200b all\x00!",
    "hate" * 40,  # longer than WordPiece takes as one word
    "☃ ok ☃",
    "",
    "   ",
    "[MASK] is not [SEP] a word",
    "fullwidth: \uff27\uff4f\uff4f\uff44\uff01",
]


def vocabulary(*, cased: bool) -> list[str]:
    """Return a small WordPiece vocabulary: special tokens, characters, words and pieces."""
    letters = list(string.ascii_letters if cased else string.ascii_lowercase)
    words = WHOLE.split() + (CASED.split() if cased else [])
    single = list(string.digits) + letters + PUNCTUATION + CHINESE
    pieces = [f"##{c}" for c in string.ascii_lowercase + string.digits] + PIECES.split()
    # Order kept, duplicates dropped: an id is a position.
    return list(dict.fromkeys(SPECIAL + single + words + pieces))


_NORMS = ("LayerNorm", ".norm", ".attn_norm", ".mlp_norm", ".final_norm", ".self_attn_layer_norm")
NORMS = tuple(f"{name}.weight" for name in _NORMS)
"""How LayerNorms' weights are called whose values lie round 1; other families' were made otherwise, and stay."""


def fill(model: torch.nn.Module, *, seed: int) -> None:
    """Overwrite every parameter of a model with seeded values of realistic spread."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(NORMS):
                parameter.copy_(1 + 0.25 * normal(*parameter.shape))
            elif parameter.ndim == 1:
                parameter.copy_(0.1 * normal(*parameter.shape))
            elif "embeddings" in name:
                parameter.copy_(0.5 * normal(*parameter.shape))
            else:
                # Rows (output channels) differ in size by a log-normal factor, and one weight in
                # a hundred is four times larger: what per-channel scales are for.
                size = torch.exp(0.4 * normal(parameter.shape[0], 1))
                outlier = torch.rand(parameter.shape, generator=generator) < 0.01
                spread = normal(*parameter.shape) * size * torch.where(outlier, 4.0, 1.0)
                parameter.copy_(spread / parameter.shape[1] ** 0.5)


def rounded(model: torch.nn.Module) -> None:
    """Round the parameters of a model to float16, and nothing else: rotary positions keep their frequencies."""
    for parameter in model.parameters():
        parameter.data = parameter.data.half().to(parameter.dtype)


def sequences(vocab_size: int, max_length: int, *, seed: int) -> list[list[int]]:
    """Return lists of ids: lengths from 1 to the maximum, every id of the vocabulary, one constant."""
    rng = np.random.default_rng(seed)
    cls, sep = SPECIAL.index("[CLS]"), SPECIAL.index("[SEP]")
    lists = [[cls], [cls, sep]]
    for length in (3, 5, 8, 15, 16, 17, max_length - 1, max_length):
        lists.append([cls, *rng.integers(5, vocab_size, length - 2).tolist(), sep])
    everything = np.arange(vocab_size).tolist()
    lists += [everything[i : i + max_length] for i in range(0, vocab_size, max_length)]
    lists.append([7] * 9)
    return lists


def outputs(model: torch.nn.Module, lists: list[list[int]], dtype: torch.dtype) -> dict[str, np.ndarray]:
    """Run each list alone; hidden states end to end, the rest one row a list."""
    model = model.to(dtype).eval()
    hidden, pooled, logits = [], [], []
    encoder = getattr(model, "bert", model)
    with torch.inference_mode():
        for ids in lists:
            # The mask is said because transformers warns where an id is that of [PAD].
            batch = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=int)}
            answer = encoder(**batch)
            hidden.append(answer.last_hidden_state[0])
            pooled.append(answer.pooler_output[0])
            if hasattr(model, "classifier"):
                logits.append(model(**batch).logits[0])
    arrays = {"last_hidden_state": torch.cat(hidden).numpy(), "pooler_output": torch.stack(pooled).numpy()}
    if logits:
        arrays["logits"] = torch.stack(logits).numpy()
    return arrays


def tokenized(folder: Path) -> list[dict[str, object]]:
    """Return the texts with their ids from the fast tokenizer, which is what pipelines use."""
    slow, fast = BertTokenizer.from_pretrained(folder), BertTokenizerFast.from_pretrained(folder)
    cases = [{"text": text, "input_ids": fast(text)["input_ids"]} for text in TEXTS]
    for case in cases:
        # Known: a cased slow tokenizer composes combining marks (NFC), the fast one does not.
        if (other := slow(case["text"])["input_ids"]) != case["input_ids"]:
            print(f"{folder}: {case['text']!r}: fast {case['input_ids']}, slow {other}")
    return cases


def write_json(path: Path, value: object) -> None:
    """Write JSON with one list entry a line, so that a change is readable."""
    if isinstance(value, list):
        text = "[\n" + ",\n".join(json.dumps(entry, ensure_ascii=True) for entry in value) + "\n]\n"
    else:
        text = json.dumps(value, indent=2) + "\n"
    path.write_text(text, encoding="utf-8")


def make(folder: Path, model: torch.nn.Module, *, cased: bool, seed: int) -> None:
    """Write one golden folder and print what it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    fill(model, seed=seed)
    model.save_pretrained(folder, safe_serialization=True)
    with tempfile.TemporaryDirectory() as scratch:
        vocab = Path(scratch, "vocab.txt")
        vocab.write_text("\n".join(vocabulary(cased=cased)) + "\n", encoding="utf-8")
        config = model.config
        BertTokenizerFast(
            vocab_file=str(vocab), do_lower_case=not cased, model_max_length=config.max_position_embeddings
        ).save_pretrained(folder)
    write_json(folder / "tokenized.json", tokenized(folder))
    lists = sequences(config.vocab_size, config.max_position_embeddings, seed=seed)
    write_json(folder / "inputs.json", lists)
    single = outputs(model, lists, torch.float32)
    double = outputs(model, lists, torch.float64)
    np.savez_compressed(folder / "outputs.npz", **{k: v.astype(np.float32) for k, v in double.items()})
    worst = {name: float(np.abs(double[name] - single[name]).max()) for name in double}
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{folder}: {size:,} bytes, {len(lists)} sequences, {sum(map(len, lists))} tokens")
    for name, value in double.items():
        print(f"  {name} {value.shape}, deviation {value.std():.3f}, float32 is off by {worst[name]:.1e}")


def main() -> None:
    """Write both golden folders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    encoder = BertConfig(
        vocab_size=len(vocabulary(cased=False)),
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=192,
        hidden_act="gelu",
        max_position_embeddings=64,
    )
    make(output / "encoder", BertModel(encoder), cased=False, seed=1)
    # Odd in every dimension: nothing of it fills a whole tile or vector.
    classifier = BertConfig(
        vocab_size=len(vocabulary(cased=True)),
        hidden_size=36,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=100,
        hidden_act="gelu_new",
        max_position_embeddings=50,
        layer_norm_eps=1e-5,
        id2label={0: "negative", 1: "neutral", 2: "positive"},
        label2id={"negative": 0, "neutral": 1, "positive": 2},
    )
    make(output / "classifier", BertForSequenceClassification(classifier), cased=True, seed=2)


if __name__ == "__main__":
    main()
