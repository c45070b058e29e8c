"""A model that answers by rule, for what the command line does alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from edgebert.coverage import Coverage, OnCoverage, answer_texts
from edgebert.heads import HEADS


class FakeModel:
    """It sees five words at once; every method answers by a rule that a test can foretell.

    Texts with "good" among their words are POSITIVE, names are words with a capital, a masked word is "one", "two" or
    "three", a vector is (length, words, 0). ``calls`` are the texts it was asked about, ``options`` those of
    the last call.
    """

    labels: tuple[str, ...] = ("NEGATIVE", "POSITIVE")
    max_length = 5
    dimensions = 3
    path = "fake.edgebert"
    mask_token = "<mask>"
    info = SimpleNamespace(card="# A card\n\nBeware \x1b[31mof red.")

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {
            "source": "fake\x1b",
            "license": "",
            "language": [],
            "size_bytes": 1234567,
            "heads": ["masked_lm", "next_sentence"],
            "serves": "fill_mask() and score(); next_sentence()",
            "labels": ["NEGATIVE", "POSITIVE"],
            "normalize": False,
            "problem_type": "",
            "prompts": ["query", "passage"],
            "parameters": 3000000,
            "max_length": 5,
            "dimensions": 3,
            "receipt": {
                "evaluation": {
                    "texts": 2,
                    "tokens": 9,
                    "pooled_cosine_mean": 0.999,
                    "pooled_cosine_worst": 0.998,
                    "token_cosine_mean": 0.998,
                    "token_cosine_worst": 0.997,
                    "heads": {
                        head: {"decisions": i + 2, "agreement": 0.5, "largest_logit_difference": 0.25}
                        for i, head in enumerate(HEADS)
                    },
                },
                "embeddings": {"kind": "int4", "bytes": 2345678, "cosine_mean": 0.99, "cosine_worst": 0.98},
                "worst_layers": {"a\x1b": 0.01},
                "finer_groups": {"a": 64},
                "depths": {"a": 1, "b": 2},
                "min_agreement": 0.99,
                "below_min_agreement": True,
            },
        }
        self.calls: list[list[Any]] = []
        self.options: dict[str, Any] = {}

    def require(self, task: str) -> None:
        """It can do everything."""

    def classify(
        self,
        texts: Sequence[Any],
        top_k: int | None = 1,
        function_to_apply: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        on_coverage: OnCoverage,
        **options: Any,
    ) -> list[Any]:
        options |= {"top_k": top_k, "function_to_apply": function_to_apply, "labels": labels}

        def answer(text: Any) -> Any:
            if labels is not None:
                scores = [1 / 2**i for i in range(1, len(labels) + 1)]
                return {"sequence": text, "labels": [*labels], "scores": scores}
            good = "good" in (text if isinstance(text, str) else " ".join(text))
            order = [self.labels[good], self.labels[not good]]
            found = [{"label": label, "score": s} for label, s in zip(order, (0.87654321, 0.25), strict=True)]
            return found[0] if top_k == 1 else found[:top_k]

        def empty(text: Any) -> Any:
            if labels is not None:
                return {"sequence": text, "labels": [], "scores": []}
            return {"label": None, "score": None} if top_k == 1 else []

        return self._answered(texts, answer, empty, on_coverage, **options)

    def next_sentence(self, pairs: Sequence[tuple[str, str]], *, on_coverage: OnCoverage) -> list[dict[str, Any]]:
        def answer(pair: tuple[str, str]) -> dict[str, Any]:
            return {"label": "IsNext" if pair[0] < pair[1] else "NotNext", "score": 0.75}

        return self._answered(pairs, answer, lambda _: {"label": None, "score": None}, on_coverage, truncate=True)

    def tag(
        self, texts: Sequence[str], strategy: str, *, on_coverage: OnCoverage = lambda *_: None, **options: Any
    ) -> list[Any]:
        def answer(text: str) -> list[Any]:
            entities = []
            for index, match in enumerate(re.finditer(r"\b[A-ZÄ]\S*", text)):
                kind = "PER" if match[0][0] in "AÄ" else "LOC"
                name = {"entity": f"B-{kind}"} if strategy == "none" else {"entity_group": kind}
                where = {"index": index} if strategy == "none" else {}
                score = {"score": 0.98765432}
                entities.append(
                    {**name, **score, **where, "word": match[0], "start": match.start(), "end": match.end()}
                )
            return entities

        return self._answered(texts, answer, lambda _: [], on_coverage, strategy=strategy, **options)

    def fill_mask(
        self,
        texts: Sequence[str],
        top_k: int,
        *,
        targets: Sequence[str] | None,
        on_coverage: OnCoverage,
        **options: Any,
    ) -> list[Any]:
        def answer(text: str) -> list[Any]:
            words = [*(targets or ("one", "two", "three"))][:top_k]
            found = [
                {
                    "score": 0.5 / (i + 1),
                    "token": i,
                    "token_str": word,
                    "sequence": text.replace(self.mask_token, word, 1),
                }
                for i, word in enumerate(words)
            ]
            count = text.count(self.mask_token)
            return found if count == 1 else [found] * count

        return self._answered(texts, answer, lambda _: [], on_coverage, top_k=top_k, targets=targets, **options)

    def score(self, texts: Sequence[str], *, on_coverage: OnCoverage, **options: Any) -> list[dict[str, Any]]:
        def answer(text: str) -> dict[str, Any]:
            return {"score": -2.0 * len(text), "tokens": len(text), "perplexity": 7.389056}

        nothing = {"score": None, "tokens": None, "perplexity": None}
        return self._answered(texts, answer, lambda _: dict(nothing), on_coverage, **options)

    def answer(
        self, question: Sequence[str], context: Sequence[str], top_k: int, *, on_coverage: OnCoverage, **options: Any
    ) -> list[Any]:
        self._look(question, on_coverage, top_k=top_k, context=[*context], **options)
        results = []
        for words, text in zip(question, context, strict=True):
            found = [match for match in re.finditer(r"\S+", text) if match[0].lower() in words.lower()][:top_k]
            answers = [{"score": 0.5, "start": m.start(), "end": m.end(), "answer": m[0]} for m in found]
            results.append(answers or [{"score": 0.125, "start": 0, "end": 0, "answer": ""}])
        return [result[0] for result in results] if top_k == 1 else results

    def rank(
        self, query: str, documents: Sequence[str], *, on_coverage: OnCoverage, **options: Any
    ) -> list[dict[str, Any]]:
        scores = self._answered(
            documents, lambda text: text.count(query) / 4, lambda _: None, on_coverage, query=query, **options
        )
        found = [
            {"index": i, "score": score, "text": documents[i]} for i, score in enumerate(scores) if score is not None
        ]
        return sorted(found, key=lambda each: -each["score"])

    def embed(
        self,
        texts: Sequence[str],
        pooling: str | None,
        normalize: bool | None,
        dimensions: int | None,
        *,
        on_coverage: OnCoverage,
        **options: Any,
    ) -> Any:
        options |= {"pooling": pooling, "normalize": normalize, "dimensions": dimensions}
        self._look(texts, on_coverage, truncate=True, **options)
        if pooling == "none":
            return [np.array([[len(word), 0.5, 0] for word in text.split()], np.float32) for text in texts]
        vectors = np.array([[len(text), len(text.split()), 0] for text in texts], np.float32)
        return vectors.reshape(-1, 3)[:, :dimensions]

    def _answered(
        self,
        texts: Sequence[Any],
        answer: Callable[[Any], Any],
        empty: Callable[[Any], Any],
        on_coverage: OnCoverage,
        **options: Any,
    ) -> list[Any]:
        """Answer every text by a rule, and leave the blank ones out as the model does."""

        def ask(items: list[Any]) -> tuple[list[Any], list[Coverage]]:
            coverages: dict[int, Coverage] = {}
            self._look(items, coverages.__setitem__, **options)
            return [answer(text) for text in items], [coverages[i] for i in range(len(items))]

        results, coverages = answer_texts(texts, ask, empty)
        for index, coverage in enumerate(coverages):
            on_coverage(index, coverage)
        return results

    def _look(self, texts: Sequence[Any], on_coverage: OnCoverage, **options: Any) -> None:
        self.options = options
        if texts:
            self.calls.append([*texts])
        for index, text in enumerate(texts):
            words = len((text if isinstance(text, str) else " ".join(text)).split())
            longer = words > self.max_length
            cut = bool(options.get("truncate"))
            windows = 1 if cut else max(-(-words // self.max_length), 1)
            on_coverage(index, Coverage(words, windows, cut and longer))


class FakeTagger(FakeModel):
    """The same with the labels of names."""

    labels = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
