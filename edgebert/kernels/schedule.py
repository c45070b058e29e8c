"""How the threads of a team share a forward pass: by stages, and in a stage by tasks that they draw.

No thread is waited for, only tasks: one that the operating system holds up (another program has its core, it has
not woken yet) costs no more than the task that it may be at, and one that comes late runs through what is over.
"""

from edgebert.kernels.jit import kernel
from edgebert.kernels.plan import FINISHED_OFFSET, STAGE_BYTES, TIME_OFFSET
from edgebert.kernels.simd.ops import atomic_add, atomic_load, call, pause, read_clock

SPINS_PER_YIELD = 256
SPINS = 4096
"""Looks at a counter before the processor is offered to other threads: about 0.1 ms."""

TASKS_PER_THREAD = 4
"""At least so many tasks for each thread, where the work can be cut: a slow one does not hold up the rest."""


@kernel
def share(count, part, parts):
    """Return where part `part` of `parts` nearly equal ranges of `count` begins."""
    return count * part // parts


@kernel
def draw(stages, stage):
    """Draw the next task of a stage; at or beyond the number of its tasks there are none left."""
    return atomic_add(stages + stage * STAGE_BYTES, 1)


@kernel
def finish_and_draw(stages, stage):
    """Say that a task is finished and its results can be read; draw the next."""
    atomic_add(stages + stage * STAGE_BYTES + FINISHED_OFFSET, 1)
    return draw(stages, stage)


@kernel
def complete(plan, stage, tasks):
    """Wait until all tasks of a stage are finished; return the number of the next stage."""
    record = plan.stages + stage * STAGE_BYTES
    wait_for(record + FINISHED_OFFSET, tasks, plan.yield_processor)
    if plan.clock != 0:
        read_clock(plan.clock, record + TIME_OFFSET)
    return stage + 1


@kernel
def linger(epoch_address, epoch, active, yield_processor):
    """Wait a while for the next forward pass: return when one has begun after `epoch`, or none comes.

    To park and be woken takes longer than a short text. And what waits here holds up nobody: back in Python it would
    contend for the interpreter's lock with the thread that has just finished, and wants to return.
    """
    spins = 0
    while spins < SPINS and (atomic_load(epoch_address) == epoch or atomic_load(active) == 0):
        spins += 1
        pause()
        if spins % SPINS_PER_YIELD == 0:
            call(yield_processor)


@kernel
def wait_for(counter, value, yield_processor):
    """Wait until a counter has a value."""
    spins = 0
    while atomic_load(counter) != value:
        spins += 1
        if spins < SPINS:
            pause()
        else:
            call(yield_processor)
