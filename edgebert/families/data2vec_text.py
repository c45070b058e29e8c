"""data2vec (arXiv 2202.03555) for texts: RoBERTa that was trained otherwise."""

import dataclasses

from edgebert.families import roberta

__all__ = ["FAMILY"]

FAMILY = dataclasses.replace(
    roberta.family("data2vec-text", "Data2VecText", vocab_size=30522),
    prefix="data2vec_text.",
    tokenizer="RobertaTokenizer",
)
