"""How a receipt is told to people."""

from __future__ import annotations

from typing import Any

__all__ = ["figure_lines", "megabytes", "receipt_lines"]


def receipt_lines(receipt: dict[str, Any]) -> list[str]:
    """Return the lines of a conversion's receipt."""
    worst = [f"{name} {error:.1e}" for name, error in receipt["worst_layers"].items()]
    finer = [f"{name} {group}" for name, group in receipt["finer_groups"].items()]
    lines = figure_lines(receipt["evaluation"])
    lines.append(f"worst layers      {'; '.join(worst)}")
    if finer:
        lines.append(f"finer groups      {'; '.join(finer)}")
    if receipt["below_min_agreement"]:
        lines.append(f"forced            the agreement is below the {receipt['min_agreement']} that was asked for")
    return lines


def figure_lines(figures: dict[str, Any]) -> list[str]:
    """Return the lines of a comparison's figures (`edgebert.evaluate.Comparison.figures`)."""
    lines = [f"against fp32      on {figures['texts']} texts of {figures['tokens']} tokens"]
    for name, what in (("pooled", "text vectors"), ("token", "token vectors")):
        mean, least = figures[f"{name}_cosine_mean"], figures[f"{name}_cosine_worst"]
        lines.append(f"{what:<18}cosine {mean:.5f} on the average, {least:.5f} at worst")
    if "label_agreement" in figures:
        lines.append(
            f"same label        {100 * figures['label_agreement']:.2f} %,"
            f" logits at most {figures['largest_logit_difference']:.3f} apart"
        )
    return lines


def megabytes(size: int) -> str:
    """Return a number of bytes in MB or kB."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
