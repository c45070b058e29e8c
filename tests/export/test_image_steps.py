"""No step of an image is taken that reads what is not there: places, parts, sizes of what parts share."""

import struct
from contextlib import suppress

import numpy as np
import pytest

from edgebert.engine.kernel_file import this_platform
from edgebert.engine.linker import find_compiler
from edgebert.export.records import HEADER
from edgebert.kernels.plan import STEP, STEP_CODES, addresses
from edgebert.steps import AddAndNorm, Attend, Embed, Expand, Normalise, Place, Project, ProjectHeads, Quantize
from tests.export.c_model import Refused, Status
from tests.export.tiny import CAUSAL, LONGEST, MODERNBERT
from tools.fuzz.images import place_of_steps, places_of_shapes, resealed

pytestmark = pytest.mark.skipif(find_compiler(this_platform()) is None, reason="there is no C compiler")

SIZES = "its sizes are not those of its arrays"
STEPS = r"its step \d+ cannot be taken; export it again"
SIDES, PARTS = ("before", "behind"), ("query", "key")
OUT_OF_REACH = (LONGEST + 1, 2**31, 2**63 - 1, -1, -(2**63))


def with_step(data, kind, field, change, which=0, *, own=False):
    """Change a field of one of the steps of a kind; to its own value only where that is meant."""
    count = int(np.frombuffer(data, HEADER, 1)[0]["step_count"])
    steps = np.frombuffer(data, STEP, count, offset=place_of_steps()).copy()
    number = np.flatnonzero(steps["code"] == STEP_CODES[kind])[which]
    value = change(steps[number][field])
    assert own or steps[number][field] != value
    steps[number][field] = value
    end = place_of_steps() + steps.nbytes
    return resealed(data[: place_of_steps()] + steps.tobytes() + data[end:])


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (Embed, "code", 8),
        (Embed, "code", STEP_CODES[Normalise]),  # before there is a stream
        (Embed, "target", Place.HEADS),
        (Embed, "reader", 2),  # which wants rows of another size
        (Quantize, "source", Place.INTERMEDIATE),
        (Project, "linear", 0),
        (Project, "linear", 1),  # for which nothing is quantized there
        (Project, "source", Place.INTERMEDIATE),
        (ProjectHeads, "linear", 2),
        (ProjectHeads, "source", Place.INTERMEDIATE),
        (Attend, "code", STEP_CODES[ProjectHeads]),
        (AddAndNorm, "norm", 0),
        (AddAndNorm, "target", Place.HEADS),
        (AddAndNorm, "target", Place.INTERMEDIATE),
        (AddAndNorm, "reader", 4),
        (Expand, "activation", -1),
        (Expand, "activation", 5),
        (Expand, "factor", 0),
        (Expand, "source", Place.INTERMEDIATE),
        (Expand, "reader", 0),
        (Expand, "reader", 1),
        (Expand, "linear", 4),
        (Expand, "gated", 1),
        (Expand, "gated", 2),
        (Attend, "before", 0),  # which no bias masks
        (Attend, "before", 48),
        (Attend, "behind", 0),
    ],
)
def test_steps_that_cannot_be_taken_are_refused(opened, exported, kind, field, value):
    data = with_step(exported("classifier")[1].read_bytes(), kind, field, lambda own: value)
    with pytest.raises(Refused, match=STEPS) as caught:
        opened(data)
    assert caught.value.status == Status.DAMAGED


@pytest.mark.parametrize(
    ("kind", "field", "change", "which", "message"),
    [
        (Embed, "target", lambda own: Place.INTERMEDIATE, 0, STEPS),
        (AddAndNorm, "target", lambda own: Place.HEADS, 0, STEPS),
        (Expand, "gated", lambda own: 0, 0, STEPS),
        (Expand, "gated", lambda own: -1, 0, STEPS),
        (Expand, "gated", lambda own: 2, 0, STEPS),
        (Expand, "gated", lambda own: 2**62, 0, STEPS),
        (Attend, "before", lambda own: 9, 0, STEPS),  # where all are seen, and nothing masks
        (Attend, "behind", lambda own: LONGEST - 2, 0, STEPS),
        (Attend, "bias", lambda own: 0, 1, STEPS),
        *((Attend, side, lambda own, n=n: n, 1, SIZES) for side in SIDES for n in (0, 8, 10, *OUT_OF_REACH)),
        *((Attend, "bias_row", lambda own, n=n: n, 1, SIZES) for n in (1, 163, -1, 2**62)),
        *((Attend, "bias_centre", lambda own, n=n: n, 1, SIZES) for n in (72, 74, 9, 2**62, 2**63 - 1, -(2**63))),
        # Which does not agree with the step that has the same bias.
        *((Attend, side, lambda own: own + 1, 3, SIZES) for side in SIDES),
        (Attend, "bias_row", lambda own: 163, 3, SIZES),
        (Attend, "bias_centre", lambda own: own - 1, 3, SIZES),
        *((Attend, side, lambda own, n=n: n, 0, SIZES) for side in SIDES for n in OUT_OF_REACH),
        (Attend, "bias", lambda own: 1, 0, SIZES),  # of a window
    ],
)
def test_steps_of_a_model_with_windows(opened, exported, kind, field, change, which, message):
    data = with_step(exported(MODERNBERT)[1].read_bytes(), kind, field, change, which)
    with pytest.raises(Refused, match=message) as caught:
        opened(data)
    assert caught.value.status == Status.DAMAGED


@pytest.mark.parametrize(
    ("kind", "field", "change", "which", "message"),
    [
        (Embed, "reader", lambda own: 100, 0, SIZES),
        (Embed, "target", lambda own: Place.BRANCH, 0, STEPS),  # nothing stands in the stream
        (Normalise, "source", lambda own: Place.BRANCH, 0, STEPS),
        (Normalise, "target", lambda own: Place.RESIDUAL, 0, STEPS),
        (Normalise, "target", lambda own: Place.HEADS, 0, STEPS),
        (Normalise, "norm", lambda own: 0, 0, STEPS),
        (Normalise, "norm", lambda own: -1, 0, SIZES),
        (Normalise, "reader", lambda own: 0, 0, STEPS),
        (Normalise, "reader", lambda own: 2, 0, STEPS),
        *((ProjectHeads, f"{part}_norm", lambda own, n=n: n, 0, SIZES) for part in PARTS for n in (-1, 100, 2**62)),
        *((AddAndNorm, "branch_norm", lambda own, n=n: n, 0, SIZES) for n in (-1, 100, 2**62)),
        *(
            (Attend, side, lambda own, n=n: n, which, SIZES)
            for side in SIDES
            for n in (18, *OUT_OF_REACH)
            for which in (0, 1)
        ),
        *((Attend, "bias", lambda own, n=n: n, 1, SIZES) for n in (0, 1, 3)),
        (Attend, "bias", lambda own: 0, 2, STEPS),
        (Attend, "bias", lambda own: 2, 2, SIZES),
    ],
)
def test_steps_of_a_model_with_shared_keys(opened, exported, kind, field, change, which, message):
    data = with_step(exported(CAUSAL)[1].read_bytes(), kind, field, change, which)
    with pytest.raises(Refused, match=message) as caught:
        opened(data)
    assert caught.value.status == Status.DAMAGED


@pytest.mark.parametrize(
    ("kind", "field", "of_heads"),
    [
        (Embed, "norm", False),
        (Normalise, "norm", False),
        (AddAndNorm, "norm", False),
        (AddAndNorm, "branch_norm", False),
        (ProjectHeads, "query_norm", True),
        (ProjectHeads, "key_norm", True),
    ],
)
def test_norms_are_as_long_as_what_they_normalise(opened, exported, kind, field, of_heads):
    """Which of those in the file may stand there: 6 are of heads, the others of the stream."""
    data = exported(CAUSAL)[1].read_bytes()
    count = int(np.frombuffer(data, HEADER, 1)[0]["norm_count"])
    places = places_of_shapes(data)[-count:]
    taken = []
    for number, place in enumerate(places, 1):
        with suppress(Refused):
            opened(with_step(data, kind, field, lambda own, number=number: number, own=True)).close()
            taken.append(struct.unpack_from("<q", data, place)[0])
    assert taken == ([36] * 6 if of_heads else [72] * (count - 6))


@pytest.mark.parametrize(
    ("field", "value"), [("bias_row", 0), ("bias_row", 1), ("bias_centre", 0), ("before", 4), ("behind", 4)]
)
@pytest.mark.parametrize("which", [0, 1])
def test_learned_distances_are_as_long_as_texts(opened, exported, field, value, which):
    data = with_step(exported("mpnet-padding")[1].read_bytes(), Attend, field, lambda own: value, which)
    with pytest.raises(Refused, match=SIZES):
        opened(data)


@pytest.mark.parametrize("field", addresses(STEP))
@pytest.mark.parametrize("value", [-(2**63), -1, 100, 2**31, 2**62])
def test_a_step_with_a_part_that_is_not_there_is_refused(opened, exported, field, value):
    data = bytearray(exported("classifier")[1].read_bytes())
    struct.pack_into("<q", data, place_of_steps() + STEP.fields[field][1], value)
    with pytest.raises(Refused, match=SIZES):
        opened(resealed(bytes(data)))
