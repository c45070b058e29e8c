"""A desktop program that labels a text and marks the names in it while one types; its window is never held up.

::

    python -m edgebert.examples.desktop [--classifier M] [--tagger M]

Models are loaded and asked in a thread of their own. While that computes, newer text replaces what waits: only the
newest is asked about next, and an answer about a text that has changed meanwhile is not shown.
"""

from __future__ import annotations

import threading
from html import escape
from typing import Any, NamedTuple

import click

try:
    from PySide6.QtCore import QObject, Qt, Signal
    from PySide6.QtGui import QCloseEvent, QColor, QTextCharFormat, QTextCursor
    from PySide6.QtWidgets import QApplication, QLabel, QMainWindow, QPlainTextEdit, QTextEdit, QVBoxLayout, QWidget
except ImportError as error:  # an extra: the base install has no window
    raise SystemExit(f"edgebert.examples.desktop: {error}; pip install PySide6-Essentials") from error

import edgebert

__all__ = ["Answer", "Asker", "Window", "main", "qt_position"]

_COLOURS = ("#ffe08a", "#a8e6a1", "#9fd3ff", "#f7b2d9", "#d3c4ff", "#ffc49f", "#8fe3d5", "#d9d9a3", "#c9d1d9")


class Answer(NamedTuple):
    """What the models say of a text.

    Attributes
    ----------
    text : str
    label, score
        Of the classifier; None without one, or for a blank text.
    entities : list of dict
        Of the tagger, as `edgebert.Model.tag` returns them.
    """

    text: str
    label: str | None
    score: float | None
    entities: list[dict[str, Any]]


class Asker(QObject):
    """Asks the models about the newest text, in a thread of its own.

    Parameters
    ----------
    classifier, tagger : str or None
        .edgebert files; the classifier is edgebert's own without a path.
    load : callable
        `edgebert.load`, or what stands in for it.
    """

    answered = Signal(object)
    failed = Signal(str)
    loaded = Signal()

    def __init__(self, classifier: str | None, tagger: str | None, load: Any = edgebert.load) -> None:
        super().__init__()
        self._paths, self._load = (classifier, tagger), load
        self._waiting: str | None = None
        self._closing = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="asker", daemon=True)

    def start(self) -> None:
        """Load the models; to be called when the signals are connected."""
        self._thread.start()

    def ask(self, text: str) -> None:
        """Ask about a text instead of whatever waits; the answer comes by `answered`."""
        with self._news:
            self._waiting = text
            self._news.notify()

    def close(self) -> None:
        """End the thread when it has answered what it is at."""
        with self._news:
            self._closing = True
            self._news.notify()
        self._thread.join()

    def _work(self) -> None:
        try:
            classifier = self._load(self._paths[0])
            tagger = None if self._paths[1] is None else self._load(self._paths[1])
        except edgebert.EdgebertError as error:
            self.failed.emit(str(error))
            return
        self.loaded.emit()
        while (text := self._next()) is not None:
            try:
                self.answered.emit(_answer(classifier, tagger, text))
            except edgebert.EdgebertError as error:
                self.failed.emit(str(error))

    def _next(self) -> str | None:
        """Wait for a text; None when there will be no more."""
        with self._news:
            self._news.wait_for(lambda: self._closing or self._waiting is not None)
            text, self._waiting = self._waiting, None
            return None if self._closing else text


def _answer(classifier: Any, tagger: Any, text: str) -> Answer:
    if not text.strip():
        return Answer(text, None, None, [])
    (best,) = classifier.classify([text])
    entities = tagger.tag([text])[0] if tagger else []
    return Answer(text, best["label"], best["score"], entities)


def qt_position(text: str, index: int) -> int:
    """Turn a place in a text [characters] into Qt's, which counts UTF-16's units."""
    return len(text[:index].encode("utf-16-le", "surrogatepass")) // 2


class Window(QMainWindow):
    """An editor, with the text's label below it and the names in it marked.

    Parameters
    ----------
    asker : Asker
        Closed with the window.
    """

    def __init__(self, asker: Asker) -> None:
        super().__init__()
        self.setWindowTitle("edgebert")
        self.resize(640, 360)
        self.editor, self.label, self.legend = QPlainTextEdit(), QLabel("Loading the model ..."), QLabel()
        self.editor.setPlaceholderText("Type a text")
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setWordWrap(True)
        middle = QWidget()
        layout = QVBoxLayout(middle)
        layout.addWidget(self.editor)
        layout.addWidget(self.legend)
        layout.addWidget(self.label)
        self.setCentralWidget(middle)
        self._asker = asker
        self._colours: dict[str, str] = {}
        self.editor.textChanged.connect(self._ask)
        asker.answered.connect(self.show_answer)
        asker.failed.connect(self._show_failure)
        asker.loaded.connect(self.label.clear)
        asker.start()

    def _ask(self) -> None:
        # What was marked may stand elsewhere now; the answer will mark it anew.
        self.editor.setExtraSelections([])
        self._asker.ask(self.editor.toPlainText())

    def _show_failure(self, message: str) -> None:
        self.label.setText("")
        self.statusBar().showMessage(message)

    def show_answer(self, answer: Answer) -> None:
        """Show what the models say, unless the text is another by now."""
        if answer.text != self.editor.toPlainText():
            return
        self.statusBar().clearMessage()
        known = answer.label is not None and answer.score is not None
        self.label.setText(f"{answer.label}  {answer.score:.2f}" if known else "")
        self.editor.setExtraSelections([self._marked(answer.text, entity) for entity in answer.entities])
        kinds = dict.fromkeys(entity["entity_group"] for entity in answer.entities)
        named = (
            f'<span style="background:{self._colours[kind]};color:black"> {escape(kind)} </span>' for kind in kinds
        )
        self.legend.setText("&nbsp; ".join(named))

    def _marked(self, text: str, entity: dict[str, Any]) -> QTextEdit.ExtraSelection:
        kind = entity["entity_group"]
        colour = self._colours.setdefault(kind, _COLOURS[len(self._colours) % len(_COLOURS)])
        marked = QTextEdit.ExtraSelection()
        form = QTextCharFormat()
        form.setBackground(QColor(colour))
        form.setForeground(QColor("black"))
        form.setToolTip(f"{kind} {entity['score']:.2f}")
        cursor = QTextCursor(self.editor.document())
        cursor.setPosition(qt_position(text, entity["start"]))
        cursor.setPosition(qt_position(text, entity["end"]), QTextCursor.MoveMode.KeepAnchor)
        marked.cursor, marked.format = cursor, form
        return marked

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 (Qt's name)
        """End the thread with the window."""
        self._asker.close()
        super().closeEvent(event)


@click.command()
@click.option("--classifier", metavar="MODEL", help="An .edgebert file.  [default: edgebert's own sentiment model]")
@click.option("--tagger", metavar="MODEL", help="An .edgebert file of a model that finds names.")
def main(classifier: str | None, tagger: str | None) -> None:
    """Label a text, and mark the names in it, while you type."""
    application = QApplication([])
    window = Window(Asker(classifier, tagger))
    window.show()
    raise SystemExit(application.exec())


if __name__ == "__main__":
    main()
