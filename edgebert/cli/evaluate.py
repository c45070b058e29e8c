"""``edgebert evaluate``: how far an int8 model is from the one that it was made from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from edgebert.cli.drawing import listed
from edgebert.cli.help import command
from edgebert.cli.options import device_option, errors_option, threads_option
from edgebert.cli.parameters import FileName, ModelName, Text
from edgebert.cli.progress import show_steps
from edgebert.cli.receipt import figure_rows
from edgebert.cli.terminal import Terminal
from edgebert.cli.texts import Inputs, open_texts, read_texts
from edgebert.errors import InputError
from edgebert.output import print_text

if TYPE_CHECKING:
    from edgebert.evaluate import Comparison

__all__ = ["evaluate"]

_MOST_SHOWN = 10


@command(
    short_help="Compare an .edgebert file with what it was made from.",
    examples=[
        "edgebert evaluate my.edgebert --against ./my-bert --texts sentences.txt",
    ],
)
@click.argument("model", type=ModelName(), metavar="MODEL")
@click.option(
    "--against",
    required=True,
    type=FileName(),
    metavar="SOURCE",
    help="What the model was converted from: a folder, or org/name.",
)
@click.option(
    "--texts",
    required=True,
    type=FileName(),
    metavar="FILE",
    help="Texts, one a line; with --labels a table: csv, or what its name says (.tsv .jsonl .parquet).",
)
@click.option("--labels", type=Text(), metavar="COLUMN", help="The column of FILE that has the right labels.")
@click.option(
    "--text-column",
    type=Text(),
    default="text",
    show_default=True,
    metavar="COLUMN",
    help="The column of FILE that has the texts.",
)
@errors_option
@click.option("--plot", type=FileName(), metavar="OUT.png", help="Draw the comparison (needs matplotlib).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@threads_option
@device_option
def evaluate(
    model: str,
    against: str,
    texts: str,
    labels: str | None,
    text_column: str,
    errors: str,
    plot: str | None,
    as_json: bool,
    threads: int | None,
    device: str | None,
) -> None:
    """Compare an .edgebert file with the trained model that it was made from.

    Both read the same texts, edgebert's kernels in int8 and NumPy in fp32. A line for each of the model's heads
    says how much of what it decides is the same. With --labels, of a classifier of texts, the accuracy and the F1 of
    both are printed too.
    """
    from edgebert.cli.model_option import find_model_shown
    from edgebert.evaluate import evaluate as compare_files
    from edgebert.model_file import ModelFile

    if plot is not None:
        _check_matplotlib()
    path = find_model_shown(model)
    if labels is not None and "sequence_classification" not in ModelFile(path).info.heads:
        raise InputError("the model has no classifier of texts: leave --labels out")
    given, right = _read_labelled(texts, (text_column, labels), errors) if labels else (read_texts(texts, errors), None)
    with show_steps("texts") as on_progress:
        comparison = compare_files(path, against, given, threads=threads, device=device, on_progress=on_progress)
    facts: dict[str, Any] = comparison.figures
    if right is not None:
        facts |= _quality(comparison, right)
    changed = [] if comparison.logits is None else (~comparison.same_label).nonzero()[0].tolist()
    if plot is not None:
        from edgebert.evaluate.plot import draw

        draw(comparison, plot)
    if as_json:
        facts["changed"] = [{"index": i, "text": comparison.texts[i], **_names(comparison, i)} for i in changed]
        print_text(json.dumps(facts, ensure_ascii=False, indent=2) + "\n")
        return
    rows = figure_rows(facts)
    if right is not None:
        for name, what in (("int8", "int8"), ("fp32", "fp32")):
            found = f"accuracy {100 * facts[f'accuracy_{name}']:.2f} %, macro F1 {facts[f'f1_{name}']:.4f}"
            rows.append((f"{what} on labels", found))
    for i in changed[:_MOST_SHOWN]:
        names = _names(comparison, i)
        rows.append(("changed", f"{names['fp32']} became {names['int8']}: {comparison.texts[i]}"))
    if len(changed) > _MOST_SHOWN:
        rows.append(("", f"and {len(changed) - _MOST_SHOWN} more (--json has all)"))
    print_text(listed(rows, Terminal.at_stdout()))


def _names(comparison: Comparison, i: int) -> dict[str, str]:
    assert comparison.logits is not None
    assert comparison.exact_logits is not None
    label = comparison.labels
    return {"fp32": label[comparison.exact_logits[i].argmax()], "int8": label[comparison.logits[i].argmax()]}


def _quality(comparison: Comparison, right: list[str]) -> dict[str, float]:
    """Return accuracy and macro F1 of both models."""
    from edgebert.evaluate.quality import accuracy_and_f1

    assert comparison.logits is not None
    assert comparison.exact_logits is not None
    unknown = sorted(set(right) - set(comparison.labels))
    if unknown:
        raise InputError(f"{unknown[0]!r} is no label of the model, expected one of {', '.join(comparison.labels)}")
    facts = {}
    for name, logits in (("int8", comparison.logits), ("fp32", comparison.exact_logits)):
        found = [comparison.labels[i] for i in logits.argmax(axis=1)]
        facts[f"accuracy_{name}"], facts[f"f1_{name}"] = accuracy_and_f1(found, right)
    return facts


def _read_labelled(path: str, columns: tuple[str, str], errors: str) -> tuple[list[str], list[str]]:
    """Read texts and labels from two columns of a table: of csv unless its name says another kind."""
    from edgebert.tables.chunks import Reading
    from edgebert.tables.kinds import common_kind

    kind = common_kind([path]) or "csv"
    reading = Reading(kind, columns, pairs=True, errors=errors)
    with open_texts(Inputs((path,), (), reading, False)) as source:
        pairs = [pair for chunk in source for pair in chunk.texts]
    if not pairs:
        raise InputError(f"{path}: no text in it, expected a row for each text")
    return [text for text, _ in pairs], [label for _, label in pairs]


def _check_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise InputError("--plot needs matplotlib: pip install matplotlib") from error
