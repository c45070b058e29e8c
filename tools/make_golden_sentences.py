"""Make tiny models of sentence-transformers in every variant, and the vectors and scores that it computes with them.

Run with torch, transformers 5 and sentence-transformers 6 installed::

    python tools/make_golden_sentences.py tests/data/golden/sentences

``encoder`` and ``cross-encoder`` are whole folders as sentence-transformers saves them, with random weights in float16;
so are those in `DECODERS`, made as Qwen3-Embedding and EmbeddingGemma are. A variant has only the files in which it
differs from the one that it begins with (``gone.json`` names those that it lacks), and ``expected.npz``: the
``vectors`` of the texts of ``texts.json``, or the ``scores`` of its pairs.
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
import transformers
from golden_base import HIDDEN, POSITIONS, SENTENCE, TEXTS, save_base, seeded, store
from make_golden import fill, write_json
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.base.modules import Transformer as WholeTransformer
from sentence_transformers.cross_encoder.modules import LogitScore
from sentence_transformers.sentence_transformer.modules import Dense, Dropout, Normalize, Pooling, Transformer
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn

PAIRS = [["the film was good", "nobody liked it"], ["no story", "the plot, really?"], ["a plot", ""]]
LAYOUT = {  # of decoders
    "hidden_size": HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "intermediate_size": 48,
    "max_position_embeddings": 2 * POSITIONS,
}
ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU, "identity": nn.Identity}


def save_qwen3(folder: Path, *, causal: bool = False) -> None:
    """Save a Qwen3 and its tokenizer, which puts one token behind a text."""
    end = "<|endoftext|>"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=[end], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([SENTENCE] * 4, trainer)
    parts = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(pair) for pair in parts["merges"]]
    whole = transformers.Qwen2Tokenizer(vocab=parts["vocab"], merges=merges, model_max_length=2 * POSITIONS)
    whole.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", pair=f"$A {end} $B {end}", special_tokens=[(end, 0)]
    )
    config = transformers.Qwen3Config(
        **LAYOUT,
        vocab_size=len(whole),
        hidden_act="silu",
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=True,
        pad_token_id=0,
    )
    model = (transformers.Qwen3ForCausalLM if causal else transformers.Qwen3Model)(config)
    save_decoder(folder, model, whole, 203)


def save_gemma3(folder: Path) -> None:
    """Save a Gemma 3 that looks both ways, and its tokenizer, with a token before and behind a text."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokens = [*special, *(AddedToken(f"<0x{i:02X}>", special=False) for i in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=340, special_tokens=tokens, show_progress=False)
    tokenizer.train_from_iterator([SENTENCE] * 4, trainer)
    parts = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(pair) for pair in parts["merges"]]
    whole = transformers.GemmaTokenizer(
        vocab=parts["vocab"], merges=merges, add_bos_token=True, add_eos_token=True, model_max_length=2 * POSITIONS
    )
    config = transformers.Gemma3TextConfig(
        **LAYOUT,
        vocab_size=len(whole),
        query_pre_attn_scalar=12,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention"],
        use_bidirectional_attention=True,
    )
    save_decoder(folder, transformers.Gemma3TextModel(config), whole, 204)


def save_decoder(folder: Path, model: Any, tokenizer: Any, seed: int) -> None:
    """Fill the weights of a model and save it; its norms' weights, in Gemma's file, are added to 1."""
    fill(model, seed=seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight"):
                parameter.copy_(parameter * 2 + (model.config.model_type == "qwen3"))
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def decoders(work: Path) -> dict[str, tuple[Path, SentenceTransformer]]:
    """Return the folder of its encoder and the whole model, for each of `DECODERS`."""
    result = {}
    for name, save in DECODERS.items():
        base = work / f"plain-{name}"
        save(base)
        encoder = Transformer(str(base), model_kwargs={"dtype": torch.float32})
        if name == "qwen3-embedding":
            modules = [encoder, Pooling(HIDDEN, "lasttoken", True), Normalize()]
            prompts = {"query": "Instruct: find the story\nQuery:", "document": ""}
        else:
            dense = [
                seeded(Dense(K, N, bias=False, activation_function=nn.Identity()), N)
                for K, N in ((HIDDEN, 80), (80, HIDDEN))
            ]
            modules = [encoder, Pooling(HIDDEN, "mean", True), *dense, Normalize()]
            prompts = {"query": "task: a story | query: ", "document": "title: none | text: "}
        result[name] = base, SentenceTransformer(modules=modules, device="cpu", prompts=prompts)
    return result


def pipelines(base: Path) -> dict[str, Callable[[], SentenceTransformer]]:
    """Return a function for each variant of a model for embeddings."""

    def model(*behind: nn.Module, pooling: Any = "mean", **options: Any) -> SentenceTransformer:
        include_prompt = options.pop("include_prompt", True)
        encoder = Transformer(str(base), model_kwargs={"dtype": torch.float32})
        modules = [encoder, Pooling(HIDDEN, pooling, include_prompt), *behind]
        return SentenceTransformer(modules=modules, device="cpu", **options)

    def dense(N: int = 12, K: int = HIDDEN, activation: str = "tanh", *, bias: bool = True) -> nn.Module:
        return seeded(Dense(K, N, bias=bias, activation_function=ACTIVATIONS[activation]()), N + K)

    def shorter() -> SentenceTransformer:
        result = model()
        result.max_seq_length = 8
        return result

    several = ("cls", "mean_sqrt_len_tokens", "lasttoken")
    prompts = {"prompts": {"query": "query: ", "document": ""}, "default_prompt_name": "query"}
    found: dict[str, Callable[[], SentenceTransformer]] = {
        f"pooling-{mode}": lambda mode=mode: model(pooling=mode) for mode in Pooling.POOLING_MODES if mode != "mean"
    }
    found |= {f"dense-{name}": lambda name=name: model(dense(activation=name)) for name in ACTIVATIONS}
    return found | {
        "poolings": lambda: model(pooling=several),
        "poolings-dense-normalize": lambda: model(dense(20, 2 * HIDDEN), Normalize(), pooling=("max", "mean")),
        "dense-no-bias": lambda: model(dense(bias=False)),
        "dense-twice": lambda: model(dense(20), dense(12, 20, "identity")),
        "normalize": lambda: model(Normalize()),
        "normalize-dense": lambda: model(Normalize(), dense()),
        "normalize-dense-normalize": lambda: model(Dropout(0.5), Normalize(), dense(), Dropout(0.1), Normalize()),
        "prompt": lambda: model(**prompts),
        "prompt-not-pooled": lambda: model(include_prompt=False, **prompts),
        "prompt-not-weighted": lambda: model(include_prompt=False, pooling="weightedmean", **prompts),
        "truncate-normalize": lambda: model(Normalize(), truncate_dim=8),
        "truncate-dense": lambda: model(dense(), truncate_dim=40),
        "max-seq-length": shorter,
    }


DECODERS = {"qwen3-embedding": save_qwen3, "embeddinggemma": save_gemma3}
"""Models that begin as others that write text -> what saves one."""


def old_layouts() -> dict[str, Callable[[Path], None]]:
    """Return functions that bring a saved encoder into the form of older versions."""

    def switches(folder: Path) -> None:
        old = {"word_embedding_dimension": HIDDEN, "pooling_mode_lasttoken": True, "pooling_mode_cls_token": True}
        write_json(folder / "1_Pooling" / "config.json", old)

    def subfolder(folder: Path) -> None:
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        modules[0] |= {"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}
        write_json(folder / "modules.json", modules)
        (folder / "0_Transformer").mkdir()
        for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
            (folder / name).rename(folder / "0_Transformer" / name)
        (folder / "sentence_bert_config.json").unlink()
        write_json(folder / "0_Transformer" / "sentence_bert_config.json", {"max_seq_length": 8})

    def sister(folder: Path) -> None:
        (folder / "sentence_bert_config.json").unlink()
        write_json(folder / "sentence_roberta_config.json", {"max_seq_length": 8, "do_lower_case": True})

    return {"old-switches": switches, "old-subfolder": subfolder, "old-sister": sister}


TEMPLATE = """\
{%- set told = messages | selectattr("role", "eq", "system") | map(attribute="content") | first | default("Judge.") -%}
<|endoftext|>{{ told }}
Query: {{ messages | selectattr("role", "eq", "query") | map(attribute="content") | first }}
Document: {{ messages | selectattr("role", "eq", "document") | map(attribute="content") | first -}}
<|endoftext|>
{% if add_generation_prompt %}good?{% endif %}
"""


def rerankers(work: Path) -> dict[str, tuple[Path, CrossEncoder]]:
    """Return the folder of its base and the whole model, for each way to score a pair by words that are written."""
    result = {}
    for name, (template, words, prompt) in {
        "reranker-template": (TEMPLATE, ("\u0120w", "no"), None),
        "reranker-prompt": (TEMPLATE, ("\u0120w", "no"), "Judge the story."),
        "reranker-pair": (None, ("\u0120w", None), None),
    }.items():
        base = work / f"plain-{name}"
        save_qwen3(base, causal=True)
        options: dict[str, Any] = {}
        if template:
            (base / "chat_template.jinja").write_text(template, encoding="utf-8")
            options = {"processing_kwargs": {"chat_template": {"add_generation_prompt": prompt is None}}}
        encoder = WholeTransformer(
            str(base), transformer_task="text-generation", model_kwargs={"dtype": torch.float32}, **options
        )
        ids = [word and encoder.tokenizer.convert_tokens_to_ids(word) for word in words]
        prompts = {"prompts": {"judge": prompt}, "default_prompt_name": "judge"} if prompt else {}
        result[name] = base, CrossEncoder(modules=[encoder, LogitScore(*ids)], device="cpu", **prompts)
    return result


def cross_encoders(bases: dict[int, Path]) -> dict[str, Callable[[], CrossEncoder]]:
    """Return a function for each variant of a cross-encoder."""

    def model(labels: int, function: type[nn.Module] | None, **options: Any) -> CrossEncoder:
        given = {} if function is None else {"activation_fn": function()}
        return CrossEncoder(str(bases[labels]), device="cpu", model_kwargs={"dtype": torch.float32}, **given, **options)

    prompts = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}
    return {
        "cross-1-identity": lambda: model(1, nn.Identity),
        "cross-1-sigmoid": lambda: model(1, nn.Sigmoid),
        "cross-1-default": lambda: model(1, None),
        "cross-1-prompt": lambda: model(1, nn.Identity, **prompts),
        "cross-3-identity": lambda: model(3, nn.Identity),
        "cross-3-sigmoid": lambda: model(3, nn.Sigmoid),
        "cross-3-default": lambda: model(3, None),
    }


def expect(model: SentenceTransformer | CrossEncoder, target: Path) -> None:
    """Compute what a model says, each text alone, in float32."""
    if isinstance(model, CrossEncoder):
        scores = [model.predict([tuple(pair)], batch_size=1)[0] for pair in PAIRS]
        np.savez_compressed(target / "expected.npz", scores=np.array(scores, np.float32).reshape(len(PAIRS), -1))
        return
    vectors = np.concatenate([model.encode([text], batch_size=1) for text in TEXTS])
    np.savez_compressed(target / "expected.npz", vectors=vectors.astype(np.float32))


def save_decoders(work: Path, output: Path) -> None:
    """Write the whole folders of `DECODERS`, with the weights as they were saved first."""
    for name, (base, model) in {**decoders(work), **rerankers(work)}.items():
        model.save_pretrained(str(work / name), create_model_card=False)
        shutil.copy(base / "model.safetensors", work / name)
        store(work / name, work / "none", output / name)
        expect(reloaded(work / name, type(model)), output / name)


def reloaded(folder: Path, kind: type) -> Any:
    """Load a saved folder anew: what counts is what is in the files."""
    return kind(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})


def main() -> None:
    """Write all folders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--decoders", action="store_true", help="those alone, beside what is there")
    arguments = parser.parse_args()
    output = arguments.output
    if arguments.decoders:
        with tempfile.TemporaryDirectory() as name:
            save_decoders(Path(name), output)
        return
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    write_json(output / "texts.json", {"texts": TEXTS, "pairs": PAIRS})
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        save_base(work / "plain", "Model", 200)
        bases = {1: work / "plain-1", 3: work / "plain-3"}
        for labels, base in bases.items():
            save_base(base, "ForSequenceClassification", 201 if labels == 3 else 202)

        def save(variant: str, model: Any, base: str, change: Callable[[Path], None] | None = None) -> None:
            folder, target = work / variant, output / variant
            model.save_pretrained(str(folder), create_model_card=False)
            weights = folder / "model.safetensors"  # in float16, as they were
            shutil.copy(
                (work / "plain" if isinstance(model, SentenceTransformer) else model_base) / weights.name, weights
            )
            if change:
                change(folder)
            store(folder, output / base if base else work / "none", target)
            expect(reloaded(folder, type(model)), target)

        (work / "none").mkdir()
        made = pipelines(work / "plain")
        encoder = SentenceTransformer(
            modules=[Transformer(str(work / "plain"), model_kwargs={"dtype": torch.float32}), Pooling(HIDDEN)],
            device="cpu",
        )
        save("encoder", encoder, "")
        for variant, make in made.items():
            save(variant, make(), "encoder")
        for variant, change in old_layouts().items():
            save(variant, encoder, "encoder", change)
        for labels in (1, 3):
            model_base, first = bases[labels], ""
            for variant, cross in cross_encoders(bases).items():
                if variant.startswith(f"cross-{labels}"):
                    save(variant, cross(), first)
                    first = first or variant
        save_decoders(work, output)
    sizes = [path.stat().st_size for path in output.rglob("*") if path.is_file()]
    print(f"{len(sizes)} files, {sum(sizes):,} bytes")


if __name__ == "__main__":
    main()
