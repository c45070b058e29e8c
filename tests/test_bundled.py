"""The models that come with edgebert: what they weigh, say of themselves, and can do."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest

import edgebert
from edgebert.bundled import BUNDLED, bundled_model, default_for, default_model
from edgebert.errors import InputError
from edgebert.model_file import ModelFile

SHA256 = {
    "sentiment": "ef123a4e894ca56ebd3a7622a8ba6016a2a79399710f1e8a98cf81f838f46c8d",
    "minilm": "0e5667121b7cb2761585f881378f12d303a625f27b83a78a1fdd694c693d03ce",
    "personal-data": "634518a374b43310fc21c96484c000737b793abe9d09571c3c91c6d23d2a8b51",
}
"""Of files that git keeps for ever: a new one has a reason, and is said in CHANGELOG.md."""
TEXT = "My name is Alice Johnson, write to 742 Evergreen Terrace, Springfield."


def test_they_are_small():
    assert sum(model.path.stat().st_size for model in BUNDLED) <= 65_000_000


@pytest.mark.parametrize("model", BUNDLED, ids=lambda model: model.name)
def test_what_a_file_says_of_itself(model):
    data = model.path.read_bytes()
    assert hashlib.sha256(data).hexdigest() == SHA256[model.name]
    assert re.findall(rb"/(?:home|root|tmp|work|Users)/[\w/.-]*", data) == []
    file = ModelFile(model.path)
    receipt, source = file.facts["receipt"], file.info.source
    assert receipt["agreement"] >= 0.99
    assert not receipt["below_min_agreement"]
    assert source == (model.hub or "sentiment-hf")
    card = " ".join(file.info.card.split())
    assert model.licence.replace("CC-BY", "CC BY").replace("-4.0", " 4.0") in card or model.licence in card
    assert "## Limits" in file.info.card
    if model.hub:
        assert f"https://huggingface.co/{model.hub}" in card
        assert "quantized to int8" in card
        assert f"# {model.title}, as it comes with edgebert" in card


def test_the_notice_of_rampart_is_kept():
    """As its licence wants it: who made it, the licence and where it is, that it was changed, no warranties."""
    card = " ".join(ModelFile(default_model("tag")).info.card.split())
    for words in (
        "Copyright 2026 National Design Studio",
        "Creative Commons Attribution 4.0 International",
        "https://creativecommons.org/licenses/by/4.0/",
        "**Changes**",
        "without warranties",
    ):
        assert words in card
    notice = (default_model("tag").parent / "README.md").read_text(encoding="utf-8")
    for model in BUNDLED:
        assert f"{model.name}.edgebert" in notice
        assert model.licence in notice
    assert "Copyright 2026 National Design Studio" in notice


def test_which_one_is_asked():
    names = {task: default_model(task).stem for task in ("classify", "embed", "rank", "search")}
    assert names == {
        "classify": "sentiment",
        "embed": "minilm",
        "rank": "minilm",
        "search": "minilm",
    }
    assert default_model("tag") == default_model("redact") == BUNDLED[2].path
    assert default_for("fill_mask") is None
    with pytest.raises(InputError, match="task is 'answer', expected one of classify, "):
        default_model("answer")
    assert bundled_model("nationaldesignstudio/rampart") == BUNDLED[2]
    assert bundled_model("") is None  # sentiment has no name on the hub


def test_they_do_what_they_are_for():
    """By their names alone, with no network and nothing converted."""
    minilm = edgebert.load("minilm")
    food, meal, stocks = minilm.embed(["A man is eating.", "Someone has a meal.", "The stock market fell."])
    assert food @ meal > food @ stocks + 0.3
    assert np.linalg.norm(food) == pytest.approx(1, abs=1e-5)
    documents = ["The kettle boils fast.", "The film was dull.", "I paid with my card."]
    assert minilm.rank("boiling water", documents, 1)[0]["index"] == 0
    (found,) = minilm.classify(["I was charged twice."], labels=["payment", "delivery"])
    assert found["labels"][0] == "payment"
    (spans,) = edgebert.load("personal-data").tag([TEXT])
    assert [(each["entity_group"], each["word"]) for each in spans] == [
        ("GIVEN_NAME", "Alice"),
        ("SURNAME", "Johnson"),
        ("BUILDING_NUMBER", "742"),
        ("STREET_NAME", "Evergreen Terrace"),
        ("CITY", "Springfield"),
    ]
    (label,) = edgebert.load("sentiment").classify(["What a lovely, funny film."])
    assert label["label"] == "POSITIVE"
