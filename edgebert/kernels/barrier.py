"""Where the threads of a team meet between two stages of the forward pass."""

from edgebert.kernels.jit import kernel
from edgebert.kernels.simd.ops import atomic_add, atomic_load, call, pause

SPINS = 4096
"""Looks at the counter before the processor is offered to other threads: about 0.1 ms."""


@kernel
def wait(arrived, target, yield_processor):
    """Arrive, then wait until `target` arrivals have been counted.

    The counter only ever grows, so that a barrier needs no second phase and a thread that is late to look
    still sees that it may go on: with `n` threads each barrier waits for `n` more.
    """
    if atomic_add(arrived, 1) + 1 >= target:
        return
    spins = 0
    while atomic_load(arrived) < target:
        spins += 1
        if spins < SPINS:
            pause()
        else:
            call(yield_processor)
