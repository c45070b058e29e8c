"""``edgebert answer``: where a text answers a question."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from edgebert.cli import model_option
from edgebert.cli.formats import Row, RowFormat
from edgebert.cli.help import command
from edgebert.cli.highlight import excerpt
from edgebert.cli.lines import Task, answer_lines, row_writer
from edgebert.cli.options import LineOptions, line_options
from edgebert.cli.parameters import Text
from edgebert.cli.terminal import Terminal, escape

if TYPE_CHECKING:
    from edgebert.coverage import OnCoverage
    from edgebert.model import Model

__all__ = ["answer"]

_AT_ONCE = 16
"""Texts that are searched together: each is read once for every question."""


@command(
    short_help="Find the answer to a question in a text.",
    examples=[
        'edgebert answer report.txt -q "Who wrote it?" -m deepset/roberta-base-squad2',
    ],
)
@click.option(
    "-q",
    "--question",
    "questions",
    type=Text(),
    required=True,
    multiple=True,
    metavar="QUESTION",
    help="What is asked of the text; may be repeated.",
)
@click.option(
    "--top-k", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="How many answers."
)
@click.option(
    "--max-answer-len",
    type=click.IntRange(min=1),
    default=15,
    show_default=True,
    metavar="N",
    help="Most tokens of an answer, before it is widened to words.",
)
@click.option(
    "--align-to-words/--no-align-to-words",
    default=True,
    show_default=True,
    help="Widen answers to whole words, where the text has spaces between them.",
)
@click.option("--no-answer", is_flag=True, help="There may be none: that, too, has a score, and an empty answer.")
@line_options(windows=True, several=False, split="files")
def answer(
    options: LineOptions,
    questions: tuple[str, ...],
    top_k: int,
    max_answer_len: int,
    align_to_words: bool,
    no_answer: bool,
) -> None:
    """Find the answer to a question in texts.

    A text is the whole of one of FILES, of standard input (-), or of --text, in UTF-8; or a row of a table. A long text
    is read in windows that overlap, each with the question.

    \b
    tsv    score, start, end, answer, question; a line for each answer, the
           best first; no header; tab, newline, return and backslash are
           \\t \\n \\r \\\\
    csv    question, rank, score, start, end, answer, tokens, windows,
           truncated; with a header
    jsonl  an object for each question: question, answers (a list of {"score",
           "start", "end", "answer"}), tokens, windows, truncated
    table  for people: the answer in colour, or in brackets, with some of the
           text around it

    start and end count the characters of the text from 0; the answer is what stands there.
    """
    from edgebert.coverage import Coverage

    model_option.check_model("answer", options.model)
    if len(options.texts) > 1:
        raise click.UsageError("There is one text to answer from: give --text once.")

    def ask(model: Model, items: list[Any], on_coverage: OnCoverage) -> list[Any]:
        wanted = [i for i, (_, context) in enumerate(items) if context.strip()]
        found = model.answer(
            [items[i][0] for i in wanted],
            [items[i][1] for i in wanted],
            top_k,
            max_answer_len=max_answer_len,
            handle_impossible_answer=no_answer,
            align_to_words=align_to_words,
            **options.cut,
            on_coverage=lambda k, coverage: on_coverage(wanted[k], coverage),
        )
        results: list[Any] = [[] for _ in items]
        for i, answers in zip(wanted, found, strict=True):
            results[i] = [answers] if top_k == 1 else answers
        for i in set(range(len(items))).difference(wanted):  # a blank text keeps its place, with no answer
            on_coverage(i, Coverage(0, 0, False))
        return results

    form = RowFormat(
        records=lambda row: [{"question": row.text[0], **found} for found in _ranked(row.answer) or [{}]],
        document=lambda row: {"question": row.text[0], "answers": row.answer},
        columns=("score", "start", "end", "answer", "question"),
        sheet=("question", "rank", "score", "start", "end", "answer"),
        texts=(),
        draw=_drawing,
    )
    task = Task("answer", ask, "searched", at_once=_AT_ONCE, questions=questions)
    answer_lines(options, task, row_writer(options, form))


def _ranked(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"rank": i, **found} for i, found in enumerate(answers, start=1)]


def _drawing(terminal: Terminal) -> Callable[[Row], str]:
    def draw(row: Row) -> str:
        question, context = row.text
        shown = escape(question)
        lines = [click.style(shown, bold=True) if terminal.colour else shown]
        for found in row.answer:
            score = f"{found['score']:.4f}"
            around = excerpt(context, found["start"], found["end"], terminal, len(score) + 2)
            told = around if found["answer"] else "no answer"
            lines.append(f"{click.style(score, dim=True) if terminal.colour else score}  {told}")
        return "".join(f"{line}\n" for line in lines)

    return draw
