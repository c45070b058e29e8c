"""The arithmetic of scaling and of the profile."""

from __future__ import annotations

import time

import pytest

from benchmarks.profile import deep_shares, least_seconds, macs_of, stage_seconds
from benchmarks.scaling import cliffs, measure
from edgebert.engine.encoder import CompiledEncoder
from edgebert.engine.library import load_library
from edgebert.engine.processor import available_families
from edgebert.families import encoder_of
from edgebert.model_file import ModelFile


def test_cliffs_come_largest_first():
    assert cliffs({8: 1.0, 9: 1.1, 10: 2.2}) == [(pytest.approx(2.0), 10), (pytest.approx(1.1), 9)]


def test_measure_tells_slow_from_quick():
    found = measure({"slow": lambda: time.sleep(0.01), "quick": lambda: time.sleep(0.001)}, rounds=2, seconds=0.02)
    assert 0.01 <= found["slow"] < 0.1
    assert 0.001 <= found["quick"] < found["slow"]


@pytest.mark.slow
def test_a_profile_has_every_stage_and_adds_up(golden_files):
    """The stages' times are those of the whole pass, none below zero; times are taken only when asked for."""
    file = ModelFile(golden_files["encoder"])
    encoder = CompiledEncoder(file.info.config, file.tensors, load_library(available_families()[0]), 2, 64)
    between = []
    stages = stage_seconds(encoder, list(range(1, 60)), passes=20, between=lambda: between.append(1))
    assert len(between) >= 2
    names = {"embed", "query_key_value", "attend", "quantize_context", "attention_output", "add_and_norm"}
    assert stages.keys() == names | {"feed_forward", "output"}
    assert all(seconds >= 0 for seconds in stages.values())
    assert 1e-6 < sum(stages.values()) < 0.1


def test_multiplications_of_a_text(golden_files):
    """hidden 48, intermediate as in the file, 2 layers."""
    config = ModelFile(golden_files["encoder"]).info.config
    H, I = config.hidden_size, config.intermediate_size  # noqa: E741 (the field's own name)
    assert sum(macs_of(encoder_of(config), 10).values()) == 2 * 10 * (4 * H * H + 2 * H * I + 2 * 10 * H)


def test_multiplications_take_least_at_the_peak_of_their_depth(golden_files):
    file = ModelFile(golden_files["encoder"])
    encoder = encoder_of(file.info.config)
    shares = deep_shares(encoder, file.tensors)
    depths = [int(file.tensors[f"encoder.layer.{i}.output.dense.depth"][0]) for i in range(2)]
    assert shares["output"] == depths.count(2) / 2
    assert set(shares) == set(macs_of(encoder, 1)) - {"attend"}
    assert least_seconds(2_000_000_000, 0, [100, 200]) == pytest.approx(0.02)
    assert least_seconds(2_000_000_000, 1, [100, 200]) == pytest.approx(0.01)
    assert least_seconds(2_000_000_000, 0.5, [100]) == pytest.approx(0.02)
