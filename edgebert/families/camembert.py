"""CamemBERT (arXiv 1911.03894): RoBERTa in French."""

from edgebert.families.roberta import family

__all__ = ["FAMILY"]

FAMILY = family("camembert", "Camembert", vocab_size=30522)
