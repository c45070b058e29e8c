"""A picture of a comparison (needs matplotlib, the extra ``plot``)."""

from __future__ import annotations

import os

import numpy as np

from edgebert.errors import OutputError
from edgebert.evaluate.compare import Comparison
from edgebert.heads.classification import softmax

__all__ = ["draw"]

_MOST_TEXTS, _LONGEST = 8, 60


def draw(comparison: Comparison, path: str | os.PathLike[str]) -> None:
    """Draw agreement, score differences, and the texts that changed their label, into an image file.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    classified = comparison.logits is not None
    figure, axes = pyplot.subplots(1, 3 if classified else 2, figsize=(15 if classified else 10, 4.5))
    try:
        errors = 1 - comparison.pooled_cosines
        axes[0].hist(errors, bins=40, color="#4878a8")
        axes[0].set(title="Text vectors", xlabel="1 - cosine to fp32", ylabel="texts")
        order = np.sort(1 - comparison.token_cosines)
        axes[1].plot(order, np.linspace(0, 1, len(order)), color="#4878a8")
        axes[1].set(title="Token vectors", xlabel="1 - cosine to fp32", ylabel="share of tokens below")
        if classified:
            _draw_labels(axes[2], comparison)
        figure.suptitle(f"int8 against fp32 on {len(comparison.texts)} texts: agreement {comparison.agreement:.4f}")
        figure.tight_layout()
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise OutputError(f"{os.fspath(path)} could not be written: {error.strerror or error}") from error
    except ValueError as error:  # a suffix that matplotlib has no format for
        raise OutputError(f"{os.fspath(path)} could not be written: {error}") from error
    finally:
        pyplot.close(figure)


def _draw_labels(axes, comparison: Comparison) -> None:  # type: ignore[no-untyped-def] # matplotlib's types are an extra
    assert comparison.logits is not None
    assert comparison.exact_logits is not None
    of_label = comparison.exact_logits.argmax(axis=1)
    rows = np.arange(len(of_label))
    exact = softmax(comparison.exact_logits)[rows, of_label]
    found = softmax(comparison.logits)[rows, of_label]
    changed = ~comparison.same_label
    axes.scatter(exact[~changed], found[~changed], s=8, color="#4878a8", label="same label")
    axes.scatter(exact[changed], found[changed], s=20, color="#c44e52", label=f"changed ({changed.sum()})")
    axes.set(title="Score of fp32's label", xlabel="fp32", ylabel="int8")
    axes.legend(loc="upper left")
    texts = [comparison.texts[i] for i in changed.nonzero()[0][:_MOST_TEXTS]]
    if texts:
        listed = "\n".join(text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..." for text in texts)
        axes.text(0.98, 0.02, listed, transform=axes.transAxes, ha="right", va="bottom", fontsize=6)
