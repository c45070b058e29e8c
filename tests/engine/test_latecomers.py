"""Threads that come late to a forward pass, or leave it late: what the team's counters are for.

Chance makes a thread late too seldom for a test, so here the threads are called by hand.
"""

import threading

import numpy as np
import pytest

import edgebert
from edgebert.batch import pack
from edgebert.kernels.plan import STAGE_BYTES

BATCH = pack([[1, 2, 3, 4, 5], list(range(1, 40))])
PATIENCE = 20


@pytest.fixture
def encoder(golden_files):
    """Return an encoder for two threads, of which there is none but the caller, that has computed BATCH once."""
    model = edgebert.load(golden_files["encoder"], threads=2)
    encoder = model._runner.backend.encode.__self__
    encoder._team.run = lambda job, needs: job(0)
    encoder.encode(BATCH)
    return encoder


def call(encoder, epoch, thread):
    """Do what a thread of the team does."""
    encoder._library.encode(encoder._plan.ctypes.data, epoch, thread)


def test_who_comes_after_the_end_changes_nothing(encoder):
    epoch = int(encoder._team.epoch[0])
    encoder._hidden[:] = np.nan
    encoder._stages[:] = 0
    call(encoder, epoch - 1, 1)
    assert np.isnan(encoder._hidden).all()
    assert not encoder._stages.any()
    assert (encoder._team.epoch[0], encoder._team.active[0]) == (epoch, 0)


def test_who_comes_alone_does_all_of_the_work(encoder):
    """No thread waits for another, only for work that another has begun."""
    tokens = len(BATCH.input_ids)
    expected = encoder._hidden[:tokens].copy()
    epoch = int(encoder._team.epoch[0])
    for thread in (1, 0):
        encoder._hidden[:] = np.nan
        encoder._stages[:] = 0
        call(encoder, epoch, thread)
        assert (encoder._hidden[:tokens] == expected).all()
    assert (encoder._team.epoch[0], encoder._team.active[0]) == (epoch + 1, 0)


def test_the_first_thread_waits_until_the_others_have_left(encoder):
    epoch = int(encoder._team.epoch[0])
    encoder._stages[:] = 0
    encoder._team.active[0] += 1  # another thread is in the forward pass
    first = threading.Thread(target=call, args=(encoder, epoch, 0), daemon=True)
    first.start()
    first.join(0.3)
    assert first.is_alive()
    assert encoder._team.epoch[0] == epoch + 1, "nobody may come in any more"
    encoder._team.active[0] -= 1
    first.join(PATIENCE)
    assert not first.is_alive()


def test_a_stage_waits_for_tasks_that_another_thread_has_drawn(encoder):
    """And goes on when they are finished: a task drawn, and not finished yet, is counted by hand."""
    epoch = int(encoder._team.epoch[0])
    threads = encoder._team.size
    stages = encoder._stages.view(np.int64).reshape(-1, 1 + threads, STAGE_BYTES // 8)[..., 0]
    encoder._stages[:] = 0
    call(encoder, epoch, 1)
    tasks, *drawn = stages[0]
    assert sum(drawn) == tasks, "its own share, and then the other's"

    encoder._stages[:] = 0
    stages[0, 1] = 1  # the first task of the first thread's share is taken
    second = threading.Thread(target=call, args=(encoder, epoch, 1), daemon=True)
    second.start()
    second.join(0.3)
    assert second.is_alive()
    assert stages[0, 0] == tasks - 1
    assert not stages[1].any(), "the next stage reads what is not there yet"
    stages[0, 0] += 1
    second.join(PATIENCE)
    assert not second.is_alive()
