"""``edgebert classify``: labels and scores for every line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgebert.choices import FUNCTIONS, POOLS
from edgebert.cli.formats import Row, RowFormat
from edgebert.cli.help import command
from edgebert.cli.lines import Task, answer_lines, pair_of, row_writer
from edgebert.cli.options import Count, LineOptions, labels_given, line_options, split_list
from edgebert.cli.parameters import Text

if TYPE_CHECKING:
    from edgebert.coverage import OnCoverage
    from edgebert.model import Model

__all__ = ["best_label", "classify"]

_AT_ONCE = 32
"""Lines for which other labels are looked for together: each is read once for every label."""


@command(
    short_help="Give every text a label and a score, or several.",
    examples=[
        "edgebert classify reviews.txt",
        "edgebert classify reviews.txt -o labelled.csv",
        "edgebert classify news.txt --labels sport,politics",
    ],
)
@click.option("--top-k", type=Count(), metavar="N|all", help="How many labels.  [default: 1, with --labels all]")
@click.option(
    "--function",
    type=click.Choice([*FUNCTIONS.values()]),
    help="What makes scores.  [default: as the model was trained]",
)
@click.option(
    "--pool",
    type=click.Choice(POOLS),
    default="mean",
    show_default=True,
    help="What becomes of the scores of a long text's windows: of each label the mean or the largest;"
    " or those of the first window.",
)
@click.option("--pairs", is_flag=True, help="Every text is two: a line with a tab between them, or two columns.")
@click.option(
    "--labels",
    type=Text(),
    callback=split_list,
    metavar="A,B,...",
    help="Choose from these instead of the model's own; each may be LABEL=DESCRIPTION. The model is one for vectors, or"
    " one of natural language inference.",
)
@click.option("--multi-label", is_flag=True, help="With --labels: several may hold, each has a score of its own.")
@click.option(
    "--hypothesis",
    type=Text(),
    metavar="TEMPLATE",
    help="With --labels and a model of natural language inference: what follows from a text if a label holds, which"
    " stands for {}.  [default: This example is {}.]",
)
@line_options(windows=True)
def classify(
    options: LineOptions,
    top_k: int | str | None,
    function: str | None,
    pool: str,
    labels: tuple[str, ...] | None,
    multi_label: bool,
    hypothesis: str | None,
) -> None:
    """Give every text a label and a score, or several.

    Texts come from FILES, from standard input (-), or from --text: in UTF-8, of plain text every line is one.
    A blank line keeps its place, with no label and no score.
    A long text is read in windows that overlap, and their scores are pooled.

    \b
    tsv    label, score, text; no header; tab, newline, return and backslash
           in a text are \\t \\n \\r \\\\
    csv    text, label, score, tokens, windows, truncated; with a header
    jsonl  the same as objects; null for what a blank line has not
    table  for people: aligned, long texts folded

    With several labels there is a line for each, the best first (csv has a column rank, from 1), and in jsonl
    an object for each text with "labels": [{"label", "score"}, ...]. With --pairs the columns text and
    text_pair stand for text.
    """
    if labels is None and (multi_label or hypothesis is not None):
        raise click.UsageError("--multi-label and --hypothesis go with --labels.")
    if labels is not None and (options.pairs or function is not None):
        raise click.UsageError("--labels goes with neither --pairs nor --function.")
    wanted = top_k or (1 if labels is None else "all")
    count = wanted if isinstance(wanted, int) else None
    if labels is None:
        alone = count == 1

        def ask(model: Model, items: list[Any], on_coverage: OnCoverage) -> list[Any]:
            return model.classify(items, count, function, pool=pool, **options.cut, on_coverage=on_coverage)

    else:
        alone, described = False, labels_given(labels)
        template: dict[str, Any] = {} if hypothesis is None else {"hypothesis_template": hypothesis}

        def ask(model: Model, items: list[Any], on_coverage: OnCoverage) -> list[Any]:
            results = model.classify(
                items,
                labels=described,
                multi_label=multi_label,
                pool=pool,
                **template,
                **options.cut,
                on_coverage=on_coverage,
            )
            return [_ranked(result)[:count] for result in results]

    def form(model: Model) -> RowFormat:
        names = model.labels if labels is None else tuple(described)
        make = best_label if alone else _best_labels
        return make(names, pairs=options.pairs, bars=function != "none")

    # Other labels are found without a classifier, too.
    task = Task("embed", ask, "classified", at_once=_AT_ONCE) if labels else Task("classify", ask, "classified")
    answer_lines(options, task._replace(read=pair_of) if options.pairs else task, row_writer(options, form))


def _ranked(result: dict[str, Any]) -> list[dict[str, Any]]:
    pairs = zip(result["labels"], result["scores"], strict=True)
    return [{"label": label, "score": score} for label, score in pairs]


def best_label(labels: tuple[str, ...], *, pairs: bool, bars: bool = True) -> RowFormat:
    """Return how a text, or a pair of texts, with one label is written; `bars` tells that scores are from 0 to 1."""
    texts = ("text", "text_pair") if pairs else ("text",)

    return RowFormat(
        records=lambda row: [row.answer],
        document=lambda row: row.answer,
        columns=("label", "score", *texts),
        sheet=(*texts, "label", "score"),
        texts=texts,
        widths={"score": 6},
        labels=labels,
        bars=bars,
    )


def _best_labels(labels: tuple[str, ...], *, pairs: bool, bars: bool = True) -> RowFormat:
    texts = ("text", "text_pair") if pairs else ("text",)

    def records(row: Row) -> list[dict[str, Any]]:
        return [{"rank": i, **each} for i, each in enumerate(row.answer, start=1)] or [{}]

    return RowFormat(
        records=records,
        document=lambda row: {"labels": row.answer},
        columns=("label", "score", *texts),
        sheet=(*texts, "rank", "label", "score"),
        texts=texts,
        widths={"score": 6},
        labels=labels,
        bars=bars,
    )
