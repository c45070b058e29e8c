"""How the threads of a team share a forward pass: by stages, and in a stage by tasks that they draw.

Each thread begins with its own share, which lies in its cache, and helps the others then. No thread is waited for, only
tasks: one that the operating system holds up (another program has its core, it has not woken yet) costs no more than
the task that it may be at, and one that comes late runs through what is over.
"""

from edgebert.kernels.jit import kernel
from edgebert.kernels.plan import BLOCK_ROWS, STAGE_BYTES, TIME_OFFSET
from edgebert.kernels.simd.ops import atomic_add, atomic_load, call, pause, read_clock

SPINS_PER_YIELD = 256
SPINS = 4096
"""Looks at a counter before the processor is offered to other threads: about 0.1 ms."""

FEWEST_ROWS = 16
"""Rows of a block at least: with fewer, reading the weights for each block costs more than sharing their columns."""

TASKS_PER_THREAD = 4
"""At least so many tasks for each thread, where the work can be cut: a slow one does not hold up the rest."""


@kernel
def share(count, part, parts):
    """Return where part `part` of `parts` nearly equal ranges of `count` begins."""
    return count * part // parts


@kernel
def row_blocks(M, parts):
    """Return into how many blocks M rows are cut: as many for each of `parts` threads, whose cache they stay in."""
    for_each = (M + BLOCK_ROWS * parts - 1) // (BLOCK_ROWS * parts)
    return max(min(for_each * parts, M // FEWEST_ROWS), 1)


@kernel
def stage_record(plan, stage):
    """Return the address of what is counted of a stage."""
    return plan.stages + stage * STAGE_BYTES * (1 + plan.threads)


@kernel
def draw(plan, stage, tasks, thread):
    """Draw the next task of a stage, one of the thread's own share while there are any; `tasks` when none are left.

    Tasks are numbered along the rows of a batch (attention's along its sequences): so a thread meets the rows that it
    has in its cache again.
    """
    for i in range(plan.threads):
        owner = (thread + i) % plan.threads
        begin = share(tasks, owner, plan.threads)
        count = share(tasks, owner + 1, plan.threads) - begin
        drawn = stage_record(plan, stage) + STAGE_BYTES * (1 + owner)
        # Looked at before it is written: the others need not fetch the line again for nothing.
        if atomic_load(drawn) < count:
            task = atomic_add(drawn, 1)
            if task < count:
                return begin + task
    return tasks


@kernel
def finish_and_draw(plan, stage, tasks, thread):
    """Say that a task is finished and its results can be read; draw the next."""
    atomic_add(stage_record(plan, stage), 1)
    return draw(plan, stage, tasks, thread)


@kernel
def complete(plan, stage, tasks):
    """Wait until all tasks of a stage are finished."""
    record = stage_record(plan, stage)
    wait_for(record, tasks, plan.yield_processor)
    if plan.clock != 0:
        read_clock(plan.clock, record + TIME_OFFSET)


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
