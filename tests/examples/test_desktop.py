"""The desktop example, driven on a display that nobody sees."""

import itertools
import os
import time
from collections import Counter

import pytest

import edgebert

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from PySide6.QtCore import QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from edgebert.examples.desktop import Answer, Asker, Window, qt_position

pytestmark = pytest.mark.needs_packages
SECONDS = 30


@pytest.fixture(scope="module")
def application():
    return QApplication.instance() or QApplication([])


@pytest.fixture
def open_window(application, cache_home):
    """Return a function that opens a window with models; all are closed afterwards."""
    windows = []

    def show(*paths, load=edgebert.load):
        classifier, tagger = (*paths, None, None)[:2]
        windows.append(Window(Asker(classifier, tagger, load)))
        windows[-1].show()
        return windows[-1]

    yield show
    for window in windows:
        window.close()


def wait(condition):
    """Let the window live until something is so."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        QTest.qWait(5)


class Slow:
    """A model that takes a while; it says POSITIVE of texts with an even number of characters."""

    labels = ("POSITIVE", "NEGATIVE")

    def __init__(self, seconds=0.3):
        self.seconds, self.asked = seconds, []

    def classify(self, texts):
        self.asked += texts
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:  # computes, as far as the interpreter's lock lets others
            sum(range(1000))
        return [{"label": self.labels[len(text) % 2], "score": 0.9} for text in texts]

    def tag(self, texts):
        word = "\N{PILE OF POO} Ada"
        places = [text.find(word) for text in texts]
        return [[{"entity_group": "PER", "score": 0.9, "start": at + 2, "end": at + 5}] for at in places]


def marks(window):
    return [each.cursor.selectedText() for each in window.editor.extraSelections()]


def test_a_text_is_labelled_as_it_is_typed(open_window, tmp_path):
    window = open_window()
    wait(lambda: window.label.text() == "")
    QTest.keyClicks(window.editor, "What a lovely little film")
    wait(lambda: window.label.text().startswith("POSITIVE"))
    window.editor.selectAll()
    QTest.keyClicks(window.editor, "The soup was cold and awful")
    wait(lambda: window.label.text().startswith("NEGATIVE"))
    window.editor.clear()
    wait(lambda: window.label.text() == "")


def test_names_are_marked_where_they_stand(open_window, tmp_path):
    """Also behind characters that Qt counts twice."""
    window = open_window("c", "t", load=lambda path: Slow(0))
    wait(lambda: window.label.text() == "")
    window.editor.setPlainText("Dear \N{PILE OF POO} Ada, \N{GRINNING FACE} hello")
    wait(lambda: marks(window) == ["Ada"])
    QTest.keyClicks(window.editor, "x")  # before the name: what was marked is unmarked at once
    assert marks(window) == []
    wait(lambda: marks(window) == ["Ada"])
    picture = window.grab()
    assert picture.save(str(tmp_path / "window.png"))
    image = picture.toImage()
    colours = Counter(image.pixel(x, y) for x in range(0, image.width(), 2) for y in range(0, image.height(), 2))
    assert len(colours) > 5, "the picture is blank"
    assert 0xFFFFE08A in colours, "no name is marked in the picture"


def test_the_window_is_never_held_up(open_window):
    model = Slow()
    window = open_window("c", load=lambda path: model)
    wait(lambda: window.label.text() == "")
    ticks = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(10)
    for i in range(40):
        QTest.keyClicks(window.editor, "ab")
        QTest.qWait(20)
        assert len(window.editor.toPlainText()) == 2 * (i + 1)
    wait(lambda: model.asked and len(model.asked[-1]) == 80 and window.label.text())
    timer.stop()
    gaps = [after - before for before, after in itertools.pairwise(ticks)]
    assert len(gaps) > 50
    assert max(gaps) < model.seconds, "the window waited for the model"
    # Only the newest text was asked about after each answer.
    assert len(model.asked) < 20


def test_an_answer_about_another_text_is_not_shown(open_window):
    window = open_window("c", load=lambda path: Slow(0))
    wait(lambda: window.label.text() == "")
    window.editor.setPlainText("even")
    wait(lambda: window.label.text() == "POSITIVE  0.90")
    window.show_answer(Answer("old text", "NEGATIVE", 0.8, [{"entity_group": "PER", "score": 1, "start": 0, "end": 3}]))
    assert window.label.text() == "POSITIVE  0.90"
    assert marks(window) == []


def test_a_model_that_is_missing_is_said(open_window, tmp_path):
    window = open_window(str(tmp_path / "nothing.edgebert"))
    wait(lambda: "there is no file" in window.statusBar().currentMessage())
    assert window.label.text() == ""


def test_it_closes_while_it_computes(open_window):
    model = Slow(0.5)
    window = open_window("c", load=lambda path: model)
    wait(lambda: window.label.text() == "")
    window.editor.setPlainText("a text")
    wait(lambda: model.asked)
    begin = time.monotonic()
    window.close()
    assert time.monotonic() - begin < 2
    assert not window._asker._thread.is_alive()


def test_places():
    text = "a\N{PILE OF POO}b\N{COMBINING ACUTE ACCENT}c"
    assert [qt_position(text, i) for i in range(len(text) + 1)] == [0, 1, 3, 4, 5, 6]
