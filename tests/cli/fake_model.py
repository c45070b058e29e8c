"""A model that answers by rule, for what the command line does alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgebert.coverage import Extent, OnExtent
from edgebert.heads import HEADS


class FakeModel:
    """It sees five words at once; every method answers by a rule that a test can foretell.

    Texts with "good" among their words are POSITIVE, names are words with a capital, a masked word is "one", "two" or
    "three", a vector is (length, words, 0). ``calls`` are the texts it was asked about, ``told`` is how, the last time.
    """

    labels: tuple[str, ...] = ("NEGATIVE", "POSITIVE")
    max_length = 5
    dimensions = 3
    mask_token = "<mask>"
    card = "# A card\n\nBeware \x1b[31mof red."

    def __init__(self) -> None:
        self.info: dict[str, Any] = {
            "source": "fake\x1b",
            "size_bytes": 1234567,
            "heads": ["masked_lm", "next_sentence"],
            "serves": "fill_mask() and score(); next_sentence()",
            "labels": ["NEGATIVE", "POSITIVE"],
            "normalize": False,
            "problem_type": "",
            "prompts": ["query", "passage"],
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
        self.told: dict[str, Any] = {}

    def classify(
        self,
        texts: Sequence[Any],
        top_k: int | None = 1,
        function_to_apply: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        on_extent: OnExtent,
        **told: Any,
    ) -> list[Any]:
        self._look(texts, on_extent, top_k=top_k, function_to_apply=function_to_apply, labels=labels, **told)
        if labels is not None:
            scores = [1 / 2**i for i in range(1, len(labels) + 1)]
            return [{"sequence": text, "labels": [*labels], "scores": scores} for text in texts]
        results = []
        for text in texts:
            good = "good" in (text if isinstance(text, str) else " ".join(text))
            order = [self.labels[good], self.labels[not good]]
            results.append([{"label": label, "score": s} for label, s in zip(order, (0.87654321, 0.25), strict=True)])
        return [result[0] for result in results] if top_k == 1 else [result[:top_k] for result in results]

    def next_sentence(self, pairs: Sequence[tuple[str, str]], *, on_extent: OnExtent) -> list[dict[str, Any]]:
        self._look(pairs, on_extent, truncate=True)
        return [{"label": "IsNext" if first < second else "NotNext", "score": 0.75} for first, second in pairs]

    def tag(self, texts: Sequence[str], strategy: str, *, on_extent: OnExtent, **told: Any) -> list[Any]:
        self._look(texts, on_extent, strategy=strategy, **told)
        results = []
        for text in texts:
            entities = []
            for index, match in enumerate(re.finditer(r"\b[A-ZÄ]\S*", text)):
                kind = "PER" if match[0][0] in "AÄ" else "LOC"
                name = {"entity": f"B-{kind}"} if strategy == "none" else {"entity_group": kind}
                where = {"index": index} if strategy == "none" else {}
                score = {"score": 0.98765432}
                entities.append(
                    {**name, **score, **where, "word": match[0], "start": match.start(), "end": match.end()}
                )
            results.append(entities)
        return results

    def fill_mask(
        self, texts: Sequence[str], top_k: int, *, targets: Sequence[str] | None, on_extent: OnExtent, **told: Any
    ) -> list[Any]:
        self._look(texts, on_extent, top_k=top_k, targets=targets, **told)
        results = []
        for text in texts:
            masks: list[Any] = []
            for _ in range(text.count(self.mask_token)):
                found = [*(targets or ("one", "two", "three"))][:top_k]
                masks.append(
                    [
                        {
                            "score": 0.5 / (i + 1),
                            "token": i,
                            "token_str": word,
                            "sequence": text.replace(self.mask_token, word, 1),
                        }
                        for i, word in enumerate(found)
                    ]
                )
            results.append(masks[0] if len(masks) == 1 else masks)
        return results

    def score(self, texts: Sequence[str], *, on_extent: OnExtent, **told: Any) -> list[dict[str, Any]]:
        self._look(texts, on_extent, **told)
        return [{"score": -2.0 * len(text), "tokens": len(text), "perplexity": 7.389056} for text in texts]

    def answer(
        self, question: Sequence[str], context: Sequence[str], top_k: int, *, on_extent: OnExtent, **told: Any
    ) -> list[Any]:
        self._look(question, on_extent, top_k=top_k, context=[*context], **told)
        results = []
        for asked, text in zip(question, context, strict=True):
            found = [match for match in re.finditer(r"\S+", text) if match[0].lower() in asked.lower()][:top_k]
            answers = [{"score": 0.5, "start": m.start(), "end": m.end(), "answer": m[0]} for m in found]
            results.append(answers or [{"score": 0.125, "start": 0, "end": 0, "answer": ""}])
        return [result[0] for result in results] if top_k == 1 else results

    def rank(self, query: str, documents: Sequence[str], *, on_extent: OnExtent, **told: Any) -> list[dict[str, Any]]:
        self._look(documents, on_extent, query=query, **told)
        found = [{"index": i, "score": text.count(query) / 4, "text": text} for i, text in enumerate(documents)]
        return sorted(found, key=lambda each: -each["score"])

    def embed(
        self,
        texts: Sequence[str],
        pooling: str | None,
        normalize: bool | None,
        dimensions: int | None,
        *,
        on_extent: OnExtent,
        **told: Any,
    ) -> Any:
        self._look(texts, on_extent, pooling=pooling, normalize=normalize, dimensions=dimensions, truncate=True, **told)
        if pooling == "none":
            return [np.array([[len(word), 0.5, 0] for word in text.split()], np.float32) for text in texts]
        vectors = np.array([[len(text), len(text.split()), 0] for text in texts], np.float32)
        return vectors.reshape(-1, 3)[:, :dimensions]

    def _look(self, texts: Sequence[Any], on_extent: OnExtent, **told: Any) -> None:
        self.told = told
        if texts:  # without any, it was asked whether it can
            self.calls.append([*texts])
        for index, text in enumerate(texts):
            words = len((text if isinstance(text, str) else " ".join(text)).split())
            longer = words > self.max_length
            cut = bool(told.get("truncate"))
            windows = 1 if cut else max(-(-words // self.max_length), 1)
            on_extent(index, Extent(words, windows, cut and longer))


class FakeTagger(FakeModel):
    """The same with the labels of names."""

    labels = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
