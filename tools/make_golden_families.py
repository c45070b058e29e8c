"""Make a tiny model of every family and head, and what transformers' own pipelines answer with it.

Run with torch and transformers 4.57 installed, the last release that has all of these pipelines::

    python tools/make_golden_families.py tests/data/golden/families           # all
    python tools/make_golden_families.py tests/data/golden/families albert    # of one family

Every folder is an ordinary Hugging Face folder, its weights random and float16, and two files more: ``outputs.npz``
(the last hidden states and the logits for some ids, computed in float64) and ``expected.json`` (tasks, their arguments,
and the pipelines' results, computed in float32).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from make_golden import CHINESE, PUNCTUATION, fill, rounded, write_json
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import pipeline

from edgebert.families import FAMILIES

TEXTS = [
    "The film was very good",
    "Café naïve, unbelievable acting!",
    "Cafe\u0301 nai\u0308ve story",  # the same accents as combining marks
    "中文电影很好看 with Alice 🙂 and Bob",
    "no\tplot\r\nno  story\u00a0at all",
    "a",
    "no good film at all, and acting a plot all really naïve",
]
PAIRS = [["The film was good.", "Nobody liked it"], ["no story", "中文 plot, really?"]]
QUESTIONS = [
    ["Who liked the film?", "Alice and Bob liked the very good film, but unbelievable acting was not for Carol."],
    ["中文?", "The café has a naïve story\u00a0and no plot (at all)."],
]
SENTENCE = (
    "the a and of to in on with for is was not it no very good bad film story plot cafe at all who liked but acting"
    " alice bob carol nobody has really naive unbelievable"
)
WORDS = SENTENCE.split()
PIECES = ["##s", "##ed", "##ing", "##er", "##able", "##un", "##ful"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
LAYOUT = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40}
LABELS = {
    "bert": ["contradiction", "neutral", "entailment"],
    "distilbert": ["toxic", "rude", "kind", "dull"],
    "roberta": ["relevant"],
    "xlm-roberta": ["negative", "neutral", "positive"],
    "camembert": ["stars"],
    "electra": ["negative", "neutral", "positive"],
    "mpnet": ["no", "yes"],
    "albert": ["negative", "neutral", "positive"],
    "modernbert": ["dull", "fair", "fine"],
    "ernie": ["negative", "neutral", "positive"],
    "data2vec-text": ["no", "yes"],
    "roberta-prelayernorm": ["negative", "neutral", "positive"],
    "xlm-roberta-xl": ["dull", "fair", "fine"],
}
LATER = ("albert", "modernbert", "ernie", "data2vec-text", "roberta-prelayernorm", "xlm-roberta-xl")
"""Families that were added, in this order, after all heads of the others."""
PROBLEM_TYPES = {"distilbert": "multi_label_classification", "camembert": "regression"}
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
HEADS = {
    "classifier": "ForSequenceClassification",
    "token": "ForTokenClassification",
    "masked": "ForMaskedLM",
    "question": "ForQuestionAnswering",
}
POSITIONS = 96
WORDS_KEPT = 4
"""Tokens of each text whose logits for all words are kept."""


def wordpiece(special: list[str]) -> list[str]:
    """Return a small WordPiece vocabulary."""
    single = list(LETTERS) + PUNCTUATION + CHINESE
    return list(dict.fromkeys([*special, *single, *WORDS, *(f"##{c}" for c in LETTERS), *PIECES]))


def byte_level(corpus: list[str], special: list[Any]) -> Tokenizer:
    """Train a BPE on bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer


def tokenizer_of(family: str, folder: Path) -> Any:
    """Make a family's tokenizer."""
    corpus = [*TEXTS, *(text for pair in [*PAIRS, *QUESTIONS] for text in pair), SENTENCE] * 4
    name = FAMILIES[family].classes
    if not hasattr(transformers, f"{name}TokenizerFast"):
        name = FAMILIES[family].tokenizer.removesuffix("Tokenizer")
    if family in ("bert", "ernie", "distilbert", "electra", "mpnet"):
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        if family == "mpnet":
            special = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
        vocab = folder / "vocab.txt"
        vocab.write_text("\n".join(wordpiece(special)) + "\n", encoding="utf-8")
        return getattr(transformers, f"{name}TokenizerFast")(str(vocab), model_max_length=POSITIONS)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    if name == "Roberta":
        tokenizer = byte_level(corpus, special)
        parts = json.loads(tokenizer.to_str())["model"]
        (folder / "vocab.json").write_text(json.dumps(parts["vocab"]), encoding="utf-8")
        merges = "\n".join(" ".join(pair) for pair in parts["merges"])
        (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", encoding="utf-8")
        return transformers.RobertaTokenizerFast(
            str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=POSITIONS
        )
    if family == "modernbert":
        names = {"unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]"}
        tokenizer = byte_level(corpus, [*list(names.values())[:-1], AddedToken("[MASK]", lstrip=True, special=True)])
        tokenizer.normalizer, tokenizer.decoder = normalizers.NFC(), decoders.ByteLevel()
        ends = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
        # Spaces are cut off from what a token stands for, so that the words of the pipelines are those of edgebert.
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), ends])
        return transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            model_max_length=POSITIONS,
            model_input_names=["input_ids", "attention_mask"],
            **{f"{role}_token": name for role, name in names.items()},
        )
    tokenizer = Tokenizer(models.Unigram())
    steps = [normalizers.NFKC()]
    if family == "albert":
        special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
        steps = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
        steps += [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" {2,}", " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.train_from_iterator(
        corpus,
        trainers.UnigramTrainer(vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False),
    )
    single, pair, ends = "<s> $A </s>", "<s> $A </s> </s> $B </s>", [("<s>", 0), ("</s>", 2)]
    if family in LATER:
        tokenizer.decoder = decoders.Metaspace()
    if family == "albert":
        single, pair, ends = "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=ends)
    return getattr(transformers, f"{name}TokenizerFast")(tokenizer_object=tokenizer, model_max_length=POSITIONS)


def config_of(family: str, vocab_size: int, **more: Any) -> Any:
    """Make a family's config: RoBERTa and its kin count positions from behind the padding token."""
    sizes: dict[str, Any] = {"vocab_size": vocab_size, "max_position_embeddings": POSITIONS, **LAYOUT, **more}
    if family == "distilbert":
        names = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}
        names["intermediate_size"] = "hidden_dim"
        sizes = {names.get(key, key): value for key, value in sizes.items()}
    if FAMILIES[family].positions_follow_padding:
        sizes |= {"max_position_embeddings": POSITIONS + 2, "pad_token_id": 1, "layer_norm_eps": 1e-5}
    if "roberta" in family or family in ("camembert", "data2vec-text"):
        sizes |= {"type_vocab_size": 1}
    if family in ("electra", "albert"):
        sizes |= {"embedding_size": 16}
    if family == "modernbert":  # its first layer sees all tokens; of the two behind it, each four to either side
        sizes |= {"num_hidden_layers": 3, "local_attention": 8}
        sizes |= {"pad_token_id": 3, "cls_token_id": 1, "bos_token_id": 1, "sep_token_id": 2, "eos_token_id": 2}
    return getattr(transformers, f"{FAMILIES[family].classes}Config")(**sizes)


def plain(value: Any) -> Any:
    """Turn NumPy's numbers, which pipelines return, into Python's, with as many digits as float32 has."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    value = value.item() if isinstance(value, np.generic) else value
    return round(value, 7) if isinstance(value, float) else value


def classified(model: Any, tokenizer: Any) -> list[dict[str, Any]]:
    """Classify texts and pairs; a model of inference without training, too."""
    pipe = pipeline("text-classification", model=model, tokenizer=tokenizer)
    pairs = [{"text": first, "text_pair": second} for first, second in PAIRS]
    cases = [
        {"task": "classify", "input": TEXTS, "options": {"top_k": None}, "results": pipe(TEXTS, top_k=None)},
        {"task": "classify", "input": TEXTS, "options": {}, "results": pipe(TEXTS)},
        {"task": "classify", "input": pairs, "options": {"top_k": None}, "results": pipe(pairs, top_k=None)},
    ]
    for function in ("softmax", "sigmoid", "none"):
        options = {"top_k": 2, "function_to_apply": function}
        cases.append(
            {"task": "classify", "input": TEXTS[:2], "options": options, "results": pipe(TEXTS[:2], **options)}
        )
    if "entailment" in model.config.label2id:
        pipe = pipeline("zero-shot-classification", model=model, tokenizer=tokenizer)
        labels = ["good film", "bad story", "café"]
        for options in ({}, {"multi_label": True}, {"hypothesis_template": "It was {}."}):
            results = [pipe(text, labels, **options) for text in TEXTS[:3]]
            cases.append({"task": "classify", "input": TEXTS[:3], "options": {"labels": labels} | options})
            cases[-1]["results"] = results
    return cases


def tagged(model: Any, tokenizer: Any) -> list[dict[str, Any]]:
    """Tag texts in all five ways."""
    cases = []
    for strategy in ("none", "simple", "first", "average", "max"):
        pipe = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy=strategy)
        for ignored in (["O"], [])[: 2 if strategy == "first" else 1]:
            options = {"aggregation_strategy": strategy, "ignore_labels": ignored}
            results = [pipe(text, ignore_labels=ignored) for text in TEXTS]
            cases.append({"task": "tag", "input": TEXTS, "options": options, "results": results})
    return cases


def filled(model: Any, tokenizer: Any) -> list[dict[str, Any]]:
    """Fill masks."""
    pipe = pipeline("fill-mask", model=model, tokenizer=tokenizer)
    mask = tokenizer.mask_token
    texts = [f"the {mask} was good", f"{mask} liked the {mask}, café"]
    results = [pipe(text, top_k=3) for text in texts]
    return [{"task": "fill_mask", "input": texts, "options": {"top_k": 3}, "results": results}]


def answered(model: Any, tokenizer: Any) -> list[dict[str, Any]]:
    """Answer questions."""
    pipe = pipeline("question-answering", model=model, tokenizer=tokenizer)
    cases = []
    for options in (
        {"top_k": 1},
        {"top_k": 4},
        {"top_k": 3, "max_answer_len": 3},
        {"top_k": 3, "handle_impossible_answer": True},
    ):
        results = [pipe(question=question, context=context, **options) for question, context in QUESTIONS]
        cases.append({"task": "answer", "input": QUESTIONS, "options": options, "results": results})
    return cases


CASES: dict[str, Callable[[Any, Any], list[dict[str, Any]]]] = {
    "classifier": classified,
    "token": tagged,
    "masked": filled,
    "question": answered,
}


def outputs(model: Any, tokenizer: Any) -> dict[str, np.ndarray]:
    """Run two texts and a pair, each alone, in float64: their ids and types, hidden states and logits, end to end."""
    encodings = [tokenizer(TEXTS[1]), tokenizer(*QUESTIONS[0]), tokenizer(*PAIRS[1])]
    base = getattr(model, model.base_model_prefix, model)
    arrays: dict[str, list[np.ndarray]] = {"input_ids": [], "token_type_ids": [], "last_hidden_state": [], "logits": []}
    model = model.double().eval()
    with torch.inference_mode():
        for encoding in encodings:
            batch = {key: torch.tensor([value]) for key, value in encoding.items()}
            arrays["input_ids"].append(batch["input_ids"][0].numpy())
            types = batch.get("token_type_ids", torch.zeros_like(batch["input_ids"]))
            arrays["token_type_ids"].append(types[0].numpy())
            arrays["last_hidden_state"].append(base(**batch).last_hidden_state[0].numpy())
            answer = model(**batch)
            if "start_logits" in answer:
                logits = torch.stack([answer.start_logits[0], answer.end_logits[0]], dim=1)
            elif "seq_relationship_logits" in answer:
                logits = answer.seq_relationship_logits
                arrays.setdefault("prediction_logits", []).append(answer.prediction_logits[0, :WORDS_KEPT].numpy())
            else:
                logits = answer.logits[0].reshape(-1, answer.logits.shape[-1])
                logits = logits[:WORDS_KEPT] if logits.shape[1] == model.config.vocab_size else logits
            arrays["logits"].append(logits.numpy())
    model.float()
    result = {key: np.concatenate(value) for key, value in arrays.items()}
    result["lengths"] = np.array([len(ids) for ids in arrays["input_ids"]])
    return {k: v.astype(np.float32 if v.dtype.kind == "f" else np.int16) for k, v in result.items()}


def make(folder: Path, family: str, head: str, seed: int) -> int:
    """Write one folder; return its size in bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer = tokenizer_of(family, Path(scratch))
        more: dict[str, Any] = {}
        if head in ("classifier", "token"):
            names = TAGS if head == "token" else LABELS[family]
            more = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
            if head == "classifier" and family in PROBLEM_TYPES:
                more["problem_type"] = PROBLEM_TYPES[family]
        if head != "classifier":
            more["num_hidden_layers"] = 1
        config = config_of(family, len(tokenizer), **more)
        kind = {**HEADS, "pretraining": "ForPreTraining"}[head]
        model = getattr(transformers, f"{FAMILIES[family].classes}{kind}")(config).eval()
        fill(model, seed=seed)
        rounded(model)
        if head in CASES:
            cases = [{**case, "results": plain(case["results"])} for case in CASES[head](model, tokenizer)]
            write_json(folder / "expected.json", cases)
        np.savez_compressed(folder / "outputs.npz", **outputs(model, tokenizer))
        model.half().save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    for name in ("vocab.json", "merges.txt", "special_tokens_map.json", "sentencepiece.bpe.model", "spiece.model"):
        (folder / name).unlink(missing_ok=True)  # tokenizer.json and tokenizer_config.json have all of it
    if family != "distilbert":
        (folder / "vocab.txt").unlink(missing_ok=True)  # there, it alone has to do
    else:
        (folder / "tokenizer.json").unlink()
    return sum(path.stat().st_size for path in folder.iterdir())


def main() -> None:
    """Write the folders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help="by default all")
    arguments = parser.parse_args()
    output, families = arguments.output, arguments.families
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    total = 0
    # The place in the list decides about the weights: whatever is new comes last.
    wanted = [(family, head) for family in LABELS for head in HEADS if family not in LATER]
    wanted += [("bert", "pretraining"), *((family, head) for family in LATER for head in HEADS)]
    for seed, (family, head) in enumerate(wanted, start=100):
        if families and family not in families:
            continue
        size = make(output / f"{family}-{head}", family, head, seed)
        total += size
        print(f"{family}-{head}: {size:,} bytes")
    print(f"{total:,} bytes in all")


if __name__ == "__main__":
    main()
