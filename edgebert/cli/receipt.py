"""How a receipt is told to people."""

from __future__ import annotations

from typing import Any

__all__ = ["figure_lines", "megabytes", "receipt_lines"]


def receipt_lines(receipt: dict[str, Any]) -> list[str]:
    """Return the lines of a conversion's receipt."""
    worst = [f"{name} {error:.1e}" for name, error in receipt["worst_layers"].items()]
    finer = [f"{name} {group}" for name, group in receipt["finer_groups"].items()]
    lines = figure_lines(receipt["evaluation"])
    words = receipt["embeddings"]
    lines.append(
        f"word embeddings   {words['kind']}, {megabytes(words['bytes'])},"
        f" {_cosines(words['cosine_mean'], words['cosine_worst'])}"
    )
    lines.append(f"worst layers      {'; '.join(worst)}")
    depths = list(receipt["depths"].values())
    lines.append(f"depth 2           {depths.count(2)} of {len(depths)} linear layers")
    if finer:
        lines.append(f"finer groups      {'; '.join(finer)}")
    if receipt["below_min_agreement"]:
        lines.append(f"forced            the agreement is below the {receipt['min_agreement']} that was asked for")
    return lines


def figure_lines(figures: dict[str, Any]) -> list[str]:
    """Return the lines of a comparison's figures (`edgebert.evaluate.Comparison.figures`)."""
    from edgebert.heads import HEADS

    lines = [f"against fp32      on {figures['texts']} texts of {figures['tokens']} tokens"]
    for name, what in (("pooled", "text vectors"), ("token", "token vectors")):
        lines.append(f"{what:<18}{_cosines(figures[f'{name}_cosine_mean'], figures[f'{name}_cosine_worst'])}")
    for head, found in figures["heads"].items():
        lines.append(
            f"{'same ' + HEADS[head].decision:<18}{100 * found['agreement']:.2f} % of {found['decisions']},"
            f" logits at most {found['largest_logit_difference']:.3f} apart{_correlation(found)}"
        )
    return lines


def _correlation(found: dict[str, Any]) -> str:
    # Files of older versions do not have it.
    return f", correlation {found['logit_correlation']:.5f}" if "logit_correlation" in found else ""


def _cosines(mean: float, least: float) -> str:
    return f"cosine {mean:.5f} on the average, {least:.5f} at worst"


def megabytes(size: int) -> str:
    """Return a number of bytes in MB or kB."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
