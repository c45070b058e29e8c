"""The values that options may have, for the library and for the command line, which lists them without NumPy."""

__all__ = ["EMBED_WINDOWS", "FUNCTIONS", "POOLINGS", "POOLS", "STRATEGIES", "TRUNCATION_SIDES"]

POOLINGS = ("mean", "cls", "max", "weightedmean", "lasttoken", "mean_sqrt_len_tokens")
"""The names are those of sentence-transformers."""

STRATEGIES = ("none", "simple", "first", "average", "max")
"""Ways to make spans: every token on its own; neighbours of one kind; and words, tagged as their first token is, by
the average of their tokens, or by the surest of them."""

FUNCTIONS = {
    "single_label_classification": "softmax",
    "multi_label_classification": "sigmoid",
    "regression": "none",
}
"""``problem_type`` of a classifier -> what turns its logits into scores."""

POOLS = ("mean", "max", "first")
"""What becomes of the scores of a text's windows: their mean, the largest for each label, those of the first."""

TRUNCATION_SIDES = ("right", "left")
"""Where a text that is too long may be cut."""

EMBED_WINDOWS = ("one", "mean", "each")
"""How a long text is embedded: from one window, by the mean of its windows' vectors, or as a vector for each window."""
