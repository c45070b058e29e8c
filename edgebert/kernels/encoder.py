"""The forward pass of an encoder: every thread of a team takes its steps (`edgebert.steps`) by running `encode`."""

import numpy as np

from edgebert.kernels.attention import attend, attend_tasks
from edgebert.kernels.feed_forward import expand, expand_tasks
from edgebert.kernels.jit import kernel
from edgebert.kernels.matmul import project, project_tasks
from edgebert.kernels.plan import (
    CODE_ADD_AND_NORM,
    CODE_ATTEND,
    CODE_EMBED,
    CODE_EXPAND,
    CODE_NORMALISE,
    CODE_PROJECT,
    CODE_PROJECT_HEADS,
    PLAN,
    STEP,
)
from edgebert.kernels.project_heads import project_heads, project_heads_tasks
from edgebert.kernels.rows import add_and_norm, embed, normalise, quantize, row_tasks
from edgebert.kernels.schedule import complete, draw, finish_and_draw, linger, wait_for
from edgebert.kernels.simd.ops import atomic_add, atomic_load, configure_tiles, record, release_tiles

plan_at = record(PLAN)
step_at = record(STEP)
STEP_BYTES = STEP.itemsize


@kernel
def encode(plan_address, epoch, thread):
    """Run one batch through the encoder: thread `thread` of a team.

    Reads a PLAN; leaves the last hidden states in `plan.hidden`. Thread 0 returns when they are there and no
    other thread reads the plan any more; the others help as far as they come in time, that is while the plan
    is in this `epoch`, and linger for the next. Twin: `reference.encode`.
    """
    plan = plan_at(plan_address)
    epoch_address, active, yield_processor = plan.epoch, plan.active, plan.yield_processor
    # First counted, then checked: thread 0 ends the epoch first, and waits for the count then.
    atomic_add(plan.active, 1)
    if atomic_load(plan.epoch) == epoch:
        configure_tiles()
        scratch = plan.scratch + thread * plan.scratch_bytes
        for number in range(plan.step_count):
            take(plan, step_at(plan.steps + number * STEP_BYTES), np.int64(number), thread, scratch)
        release_tiles()
    atomic_add(plan.active, -1)
    if thread == 0:
        atomic_add(plan.epoch, 1)
        wait_for(plan.active, 0, plan.yield_processor)
    else:
        linger(epoch_address, epoch, active, yield_processor)
    return 0


def shared(tasks, task):
    """Make the kernel of a step that a team shares: `tasks` says into how many tasks it is cut, `task` does one.

    Both take the plan and the step; `task` also the thread's scratch memory and the number of the task.
    """

    @kernel
    def run(plan, step, number, thread, scratch):
        count = tasks(plan, step)
        drawn = draw(plan, number, count, thread)
        while drawn < count:
            task(plan, step, scratch, drawn)
            drawn = finish_and_draw(plan, number, count, thread)
        complete(plan, number, count)

    return run


run_embed = shared(row_tasks, embed)
run_quantize = shared(row_tasks, quantize)
run_project = shared(project_tasks, project)
run_project_heads = shared(project_heads_tasks, project_heads)
run_attend = shared(attend_tasks, attend)
run_add_and_norm = shared(row_tasks, add_and_norm)
run_normalise = shared(row_tasks, normalise)
run_expand = shared(expand_tasks, expand)


@kernel
def take(plan, step, number, thread, scratch):
    """Take a step, as one of the threads of a team."""
    code = step.code
    if code == CODE_ADD_AND_NORM:
        run_add_and_norm(plan, step, number, thread, scratch)
    elif code == CODE_PROJECT:
        run_project(plan, step, number, thread, scratch)
    elif code == CODE_EXPAND:
        run_expand(plan, step, number, thread, scratch)
    elif code == CODE_PROJECT_HEADS:
        run_project_heads(plan, step, number, thread, scratch)
    elif code == CODE_ATTEND:
        run_attend(plan, step, number, thread, scratch)
    elif code == CODE_EMBED:
        run_embed(plan, step, number, thread, scratch)
    elif code == CODE_NORMALISE:
        run_normalise(plan, step, number, thread, scratch)
    else:
        run_quantize(plan, step, number, thread, scratch)
