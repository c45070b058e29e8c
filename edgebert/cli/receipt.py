"""How a receipt is told to people."""

from __future__ import annotations

from typing import Any

from edgebert.cli.written import size_of

__all__ = ["figure_rows", "receipt_rows", "short_rows"]

Rows = list[tuple[str, str]]
"""What is told, and of what; `edgebert.cli.drawing.listed` makes lines of them."""


def short_rows(receipt: dict[str, Any]) -> Rows:
    """Return what most people want to know of a receipt, in three rows; a fourth if the conversion was forced."""
    figures = receipt["evaluation"]
    rows = figure_rows(figures)
    decided = _decisions(figures)
    vectors = [row for row in rows if row[0].endswith("vectors")]
    return [rows[0], *([("the same", decided), vectors[0]] if decided else vectors), *_forced(receipt)]


def receipt_rows(receipt: dict[str, Any]) -> Rows:
    """Return all of a receipt."""
    words, depths = receipt["embeddings"], list(receipt["depths"].values())
    rows = figure_rows(receipt["evaluation"])
    rows.append(
        (
            "word embeddings",
            f"{words['kind']}, {size_of(words['bytes'])}, {_cosines(words['cosine_mean'], words['cosine_worst'])}",
        )
    )
    if "columns_with_factors" in words:
        rows.append(("far larger or smaller", f"{words['columns_with_factors']} columns of them, kept with factors"))
    rows.append(("worst layers", "; ".join(f"{name} {error:.1e}" for name, error in receipt["worst_layers"].items())))
    rows.append(("depth 2", f"{depths.count(2)} of {len(depths)} linear layers"))
    finer = "; ".join(f"{name} {group}" for name, group in receipt["finer_groups"].items())
    return [*rows, *([("finer groups", finer)] if finer else []), *_forced(receipt)]


def figure_rows(figures: dict[str, Any]) -> Rows:
    """Return a comparison's figures (`edgebert.evaluate.Comparison.figures`)."""
    from edgebert.heads import decision_of

    rows = [("against fp32", f"on {figures['texts']} texts of {figures['tokens']} tokens")]
    for name, what in (("pooled", "text vectors"), ("token", "token vectors")):
        rows.append((what, _cosines(figures[f"{name}_cosine_mean"], figures[f"{name}_cosine_worst"])))
    for head, found in figures["heads"].items():
        rows.append(
            (
                f"same {decision_of(head)}",
                f"{100 * found['agreement']:.2f} % of {found['decisions']},"
                f" logits at most {found['largest_logit_difference']:.3f} apart{_correlation(found)}",
            )
        )
    return rows


def _decisions(figures: dict[str, Any]) -> str:
    """Return how much of what each head decides is the same; empty without a head."""
    from edgebert.heads import decision_of

    return "; ".join(
        f"{decision_of(head)} in {100 * found['agreement']:.2f} % of {found['decisions']}"
        for head, found in figures["heads"].items()
    )


def _forced(receipt: dict[str, Any]) -> Rows:
    if not receipt["below_min_agreement"]:
        return []
    return [("forced", f"the agreement is below the {receipt['min_agreement']} that was asked for")]


def _correlation(found: dict[str, Any]) -> str:
    # Files of older versions do not have it.
    return f", correlation {found['logit_correlation']:.5f}" if "logit_correlation" in found else ""


def _cosines(mean: float, least: float) -> str:
    return f"cosine {mean:.5f} on the average, {least:.5f} at worst"
