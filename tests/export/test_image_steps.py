"""No step of an image is taken that reads what is not there: places, parts, sizes of what parts share."""

import struct

import numpy as np
import pytest

from edgebert.engine.kernel_file import this_platform
from edgebert.engine.linker import find_compiler
from edgebert.export.records import HEADER
from edgebert.kernels.plan import STEP, STEP_CODES
from edgebert.steps import AddAndNorm, Attend, Embed, Expand, Place, Project, ProjectHeads, Quantize
from tests.export.c_model import Refused, Status
from tests.export.tiny import MODERNBERT
from tools.fuzz.images import place_of_steps, resealed

pytestmark = pytest.mark.skipif(find_compiler(this_platform()) is None, reason="there is no C compiler")

SIZES = "its sizes are not those of its arrays"
STEPS = r"its step \d+ cannot be taken; export it again"


def with_step(data, kind, field, change, which=0):
    """Change a field of one of the steps of a kind."""
    count = int(np.frombuffer(data, HEADER, 1)[0]["step_count"])
    steps = np.frombuffer(data, STEP, count, offset=place_of_steps()).copy()
    number = np.flatnonzero(steps["code"] == STEP_CODES[kind])[which]
    value = change(steps[number][field])
    assert steps[number][field] != value
    steps[number][field] = value
    end = place_of_steps() + steps.nbytes
    return resealed(data[: place_of_steps()] + steps.tobytes() + data[end:])


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (Embed, "code", 7),
        (Embed, "norm", 0),
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
        (Attend, "window", 1),  # which no bias masks
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
        (Attend, "window", lambda own: 9, 0, STEPS),  # where all are seen, and nothing masks
        (Attend, "bias", lambda own: 0, 1, STEPS),
        *((Attend, "window", lambda own, n=n: n, 1, SIZES) for n in (0, 8, 10, 2**31, 2**63 - 1, -1, -(2**63))),
        *((Attend, "bias_row", lambda own, n=n: n, 1, SIZES) for n in (1, 163, -1, 2**62)),
        *((Attend, "bias_centre", lambda own, n=n: own + n, 1, SIZES) for n in (1, -1, 2**62)),
        (Attend, "window", lambda own: own + 1, 3, SIZES),  # which does not agree with the step that has the same bias
        (Attend, "bias_row", lambda own: 163, 3, SIZES),
        (Attend, "bias_centre", lambda own: own - 1, 3, SIZES),
        (Attend, "window", lambda own: -1, 0, SIZES),
        (Attend, "bias", lambda own: 1, 0, SIZES),  # of a window
    ],
)
def test_steps_of_a_model_with_windows(opened, exported, kind, field, change, which, message):
    data = with_step(exported(MODERNBERT)[1].read_bytes(), kind, field, change, which)
    with pytest.raises(Refused, match=message) as caught:
        opened(data)
    assert caught.value.status == Status.DAMAGED


@pytest.mark.parametrize(("field", "value"), [("bias_row", 0), ("bias_row", 1), ("bias_centre", 0), ("window", 4)])
@pytest.mark.parametrize("which", [0, 1])
def test_learned_distances_are_as_long_as_texts(opened, exported, field, value, which):
    data = with_step(exported("mpnet-padding")[1].read_bytes(), Attend, field, lambda own: value, which)
    with pytest.raises(Refused, match=SIZES):
        opened(data)


@pytest.mark.parametrize("field", ["linear", "reader", "norm", "undo", "factor", "angles", "bias"])
@pytest.mark.parametrize("value", [-(2**63), -1, 100, 2**31, 2**62])
def test_a_step_with_a_part_that_is_not_there_is_refused(opened, exported, field, value):
    data = bytearray(exported("classifier")[1].read_bytes())
    struct.pack_into("<q", data, place_of_steps() + STEP.fields[field][1], value)
    with pytest.raises(Refused, match=SIZES):
        opened(resealed(bytes(data)))
