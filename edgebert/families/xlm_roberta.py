"""XLM-RoBERTa (arXiv 1911.02116): RoBERTa in a hundred languages."""

from edgebert.families.roberta import family

__all__ = ["FAMILY"]

FAMILY = family("xlm-roberta", "XLMRoberta", vocab_size=30522)
