"""Long texts as vectors: the mean of their windows, or each window with its place."""

from __future__ import annotations

import json

import numpy as np
import pytest

import edgebert
from edgebert.errors import InputError
from edgebert.heads.pooling import unit
from tests.checkpoint.folders import change_json, copy_model

LONG = "  the film was good. " * 40
MODULES = {"": "Transformer", "1_Pooling": "Pooling"}
TEXTS = ["the film", LONG, "", "\u4e2d\u6587"]


@pytest.fixture(scope="module")
def encoder(golden_files):
    return edgebert.load(golden_files["encoder"])


def test_what_fits_has_the_same_bits_every_way(encoder):
    short = [TEXTS[0], *TEXTS[2:]]
    one = encoder.embed(short)
    assert (encoder.embed(short, windows="mean") == one).all()
    assert all((each.vectors == row).all() for each, row in zip(encoder.embed(short, windows="each"), one, strict=True))


def test_each_window_is_the_text_that_it_says(encoder):
    short, long, blank, _ = encoder.embed(TEXTS, windows="each", stride=0)
    assert TEXTS[0][short.starts[0] : short.ends[0]] == "the film"
    assert (blank.starts.tolist(), blank.ends.tolist()) == ([0], [0])
    assert len(long.vectors) > 2
    parts = [LONG[start:end] for start, end in zip(long.starts, long.ends, strict=True)]
    assert parts == [part.strip() for part in parts]
    assert "".join(parts).replace(" ", "") == LONG.replace(" ", "")
    np.testing.assert_array_equal(long.vectors, encoder.embed(parts))


def test_windows_overlap_by_the_stride(encoder):
    whole = encoder._runner.tokenizer.content(LONG, offsets=True)
    (found,) = encoder.embed([LONG], windows="each", stride=7)
    for start, end in zip(found.starts[1:], found.ends, strict=False):
        assert ((whole.starts >= start) & (whole.starts < end)).sum() == 7


def test_the_mean_weighs_what_each_window_answers_for(encoder):
    (each,) = encoder.embed([LONG], windows="each", stride=0)
    tokens = len(encoder._runner.tokenizer.content(LONG).ids)
    room = encoder.max_length - 2
    sizes = [min(room, tokens - i) for i in range(0, tokens, room)]
    expected = np.average(each.vectors, axis=0, weights=sizes)
    (mean,) = encoder.embed([LONG], windows="mean", stride=0)
    np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)
    (normalized,) = encoder.embed([LONG], normalize=True, windows="mean", stride=0)
    assert np.linalg.norm(normalized) == pytest.approx(1, abs=1e-6)
    units = encoder.embed([LONG], normalize=True, windows="each", stride=0)[0].vectors
    np.testing.assert_allclose(normalized, unit(np.average(units, axis=0, weights=sizes)), atol=1e-6)


def test_coverage_is_of_the_whole_text(encoder):
    seen = {}
    encoder.embed(TEXTS, windows="mean", on_coverage=seen.__setitem__)
    assert [coverage.truncated for coverage in seen.values()] == [False] * 4
    assert seen[1].windows > 2
    assert seen[1].tokens == len(encoder._runner.tokenizer.content(LONG).ids) + 2
    with_a_bar = {}
    encoder.embed(TEXTS, windows="mean", progress=True, on_coverage=with_a_bar.__setitem__)
    assert with_a_bar == seen


@pytest.mark.parametrize("include", [True, False])
def test_every_window_begins_with_the_prompt(include, tmp_path):
    folder = copy_model("encoder", tmp_path / "model")
    modules = [{"idx": i, "path": path, "type": f"m.{kind}"} for i, (path, kind) in enumerate(MODULES.items())]
    (folder / "modules.json").write_text(json.dumps(modules))
    change_json(folder / "1_Pooling" / "config.json", pooling_mode="mean", include_prompt=include)
    model = edgebert.load(edgebert.convert(folder, tmp_path / "m.edgebert"))
    (found,) = model.embed([LONG], prompt="the good film: ", windows="each", stride=0)
    parts = [LONG[start:end] for start, end in zip(found.starts, found.ends, strict=True)]
    np.testing.assert_array_equal(found.vectors, model.embed(parts, prompt="the good film: "))
    assert not np.allclose(found.vectors[1], model.embed(parts)[1])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"windows": "all"}, "windows is 'all', expected one of one, mean, each"),
        ({"windows": "mean", "pooling": "none"}, "windows is 'mean', expected 'one' with pooling none"),
        ({"stride": 3}, "stride is 3, expected None with windows 'one'"),
        ({"windows": "mean", "stride": 1000}, "stride is 1000"),
        ({"windows": "mean", "stride": -1}, "stride is -1"),
        ({"windows": "each", "prompt": "the " * 70}, "no room for a text beside special ones and 70 of the prompt"),
        ({"progress": "no"}, "progress is 'no'"),
    ],
)
def test_options_that_are_none(options, match, encoder):
    with pytest.raises(InputError, match=match):
        encoder.embed([LONG], **options)
