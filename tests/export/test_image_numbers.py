"""The numbers of an image's header are checked, each by itself and against the others, before anything is read."""

import struct

import numpy as np
import pytest

from edgebert.engine.kernel_file import this_platform
from edgebert.engine.linker import find_compiler
from edgebert.export.records import HEADER, LIMITS
from tests.export.c_model import Refused, Status
from tests.export.tiny import CAUSAL, DEBERTA, MODERNBERT
from tools.fuzz.images import resealed

pytestmark = pytest.mark.skipif(find_compiler(this_platform()) is None, reason="there is no C compiler")

SIZES = "its sizes are not those of its arrays"
CONTRADICTION = "its sizes contradict each other"
STEPS = r"its step \d+ cannot be taken"


def with_field(data, name, value):
    """Set a number of the header, and the checksum right."""
    damaged = bytearray(data)
    struct.pack_into("<f" if "f" in HEADER[name].str else "<q", damaged, HEADER.fields[name][1], value)
    return resealed(bytes(damaged))


@pytest.mark.parametrize("name", LIMITS)
def test_numbers_out_of_their_limits_are_refused(opened, exported, name):
    data = exported("classifier")[1].read_bytes()
    low, high = LIMITS[name]
    for value in (low - 1, high + 1, -(2**63), 2**63 - 1):
        expected = f"its {name} is {value}, expected {low} to {high}; export it again"
        with pytest.raises(Refused, match=expected) as caught:
            opened(with_field(data, name, value))
        assert caught.value.status == Status.DAMAGED


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("vocab_size", lambda n: n + 1, SIZES),
        ("vocab_size", lambda n: n - 64, SIZES),
        ("type_vocab_size", lambda n: n + 1, SIZES),
        ("max_position_embeddings", lambda n: n + 1, SIZES),
        ("padding", lambda n: 0, SIZES),
        ("hidden_size", lambda n: n + 64, SIZES),
        ("hidden_size", lambda n: 2 * n, SIZES),
        ("intermediate_stride", lambda n: n + 64, SIZES),
        ("intermediate_stride", lambda n: n + 1, CONTRADICTION),
        ("num_attention_heads", lambda n: 2**16, CONTRADICTION),
        ("num_attention_heads", lambda n: n + 1, CONTRADICTION),
        ("num_key_value_heads", lambda n: 1, STEPS),
        ("num_key_value_heads", lambda n: 2 * n, CONTRADICTION),
        ("num_key_value_heads", lambda n: 2**16, CONTRADICTION),
        ("head_dim", lambda n: n + 16, STEPS),
        ("head_dim", lambda n: n + 1, CONTRADICTION),
        ("head_dim", lambda n: 2**16, STEPS),
        ("linear_count", lambda n: n + 1, SIZES),
        ("linear_count", lambda n: n - 1, SIZES),
        ("norm_count", lambda n: n + 1, SIZES),
        ("undo_count", lambda n: n - 1, SIZES),
        ("factor_count", lambda n: 0, SIZES),
        ("step_count", lambda n: n + 1, SIZES),
        ("step_count", lambda n: 2**13, SIZES),
        ("embedding_stride", lambda n: n + 64, SIZES),
        ("embedding_stride", lambda n: n + 1, CONTRADICTION),
        ("word_groups", lambda n: 1 - n, SIZES),
        ("word_groups", lambda n: 2, CONTRADICTION),
        ("has_position_embeddings", lambda n: 0, SIZES),
        ("has_token_type_embeddings", lambda n: 0, SIZES),
        ("angles_count", lambda n: 1, CONTRADICTION),  # of heads that have no halves of whole vectors
        ("bias_count", lambda n: 1, SIZES),
        ("max_length", lambda n: n + 1000, CONTRADICTION),
        ("head", lambda n: 0, CONTRADICTION),
        ("head_pooling", lambda n: 0, CONTRADICTION),
        ("head_layers", lambda n: 0, CONTRADICTION),
        ("head_layers", lambda n: 1, SIZES),
        ("head_layers", lambda n: 3, SIZES),
        ("label_count", lambda n: 0, CONTRADICTION),
        ("label_count", lambda n: n + 1, SIZES),
        ("label_bytes", lambda n: 0, SIZES),
        ("label_bytes", lambda n: n - 1, SIZES),
        ("label_bytes", lambda n: 2**30, "too short for its labels"),
        ("softmax_scale", lambda n: float("inf"), CONTRADICTION),
        ("softmax_scale", lambda n: float("nan"), CONTRADICTION),
        ("softmax_scale", lambda n: 1025.0, CONTRADICTION),
        ("softmax_scale", lambda n: 0.0, CONTRADICTION),
    ],
)
def test_numbers_are_checked_against_each_other(opened, exported, name, change, message):
    refuses(opened, exported("classifier")[1].read_bytes(), name, change, message)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("has_position_embeddings", lambda n: 1, SIZES),
        ("has_token_type_embeddings", lambda n: 1, SIZES),
        ("max_position_embeddings", lambda n: n - 1, SIZES),
        ("max_position_embeddings", lambda n: n + 1, SIZES),
        ("padding", lambda n: 0, CONTRADICTION),  # a position for which there is no angle
        ("head_dim", lambda n: n + 16, CONTRADICTION),  # which has no halves of whole vectors
        ("head_dim", lambda n: n + 32, SIZES),
        ("num_attention_heads", lambda n: 2 * n, STEPS),
        ("angles_count", lambda n: 0, SIZES),
        ("angles_count", lambda n: n - 1, SIZES),
        ("angles_count", lambda n: n + 1, SIZES),
        ("bias_count", lambda n: 0, SIZES),
        ("bias_count", lambda n: n + 1, SIZES),
    ],
)
def test_numbers_of_a_model_with_windows_are_checked_against_each_other(opened, exported, name, change, message):
    refuses(opened, exported(MODERNBERT)[1].read_bytes(), name, change, message)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("distances_count", lambda n: 0),
        ("distances_count", lambda n: n - 1),
        ("distances_count", lambda n: n + 1),
        ("max_position_embeddings", lambda n: n + 8),
        ("max_position_embeddings", lambda n: n - 8),
    ],
)
def test_numbers_of_a_model_with_distances_are_checked_against_each_other(opened, exported, name, change):
    refuses(opened, exported(DEBERTA)[1].read_bytes(), name, change, SIZES)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("num_attention_heads", lambda n: n + 1, CONTRADICTION),
        ("num_attention_heads", lambda n: n + 2, STEPS),
        ("num_attention_heads", lambda n: 2**16, STEPS),
        ("num_key_value_heads", lambda n: 1, STEPS),
        ("num_key_value_heads", lambda n: n + 1, CONTRADICTION),
        ("num_key_value_heads", lambda n: 2 * n, STEPS),
        ("head_dim", lambda n: 2**16, SIZES),  # so large are the angles
        ("norm_count", lambda n: n - 1, SIZES),
        ("undo_count", lambda n: 1, SIZES),
        ("has_position_embeddings", lambda n: 1, SIZES),
        ("has_token_type_embeddings", lambda n: 1, SIZES),
    ],
)
def test_numbers_of_a_model_with_shared_keys_are_checked_against_each_other(opened, exported, name, change, message):
    refuses(opened, exported(CAUSAL)[1].read_bytes(), name, change, message)


def refuses(opened, data, name, change, message):
    """Change a number of the header: the image is refused."""
    value = change(np.frombuffer(data, HEADER, 1)[0][name].item())
    with pytest.raises(Refused, match=message) as caught:
        opened(with_field(data, name, value))
    assert caught.value.status == Status.DAMAGED
