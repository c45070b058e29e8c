"""The C functions of a kernel library (`edgebert.kernels.signatures`)."""

from numba.core import types

from edgebert.kernels.dense import dense
from edgebert.kernels.encoder import encode
from edgebert.kernels.lstm import lstm
from edgebert.kernels.scratch import scratch_bytes
from edgebert.kernels.signatures import PREFIX, SIGNATURES

_KERNELS = {"encode": encode, "dense": dense, "lstm": lstm, "scratch_bytes": scratch_bytes}

ENTRIES = {
    f"{PREFIX}{name}": (_KERNELS[name], types.int64(*[types.int64] * len(arguments)))
    for name, arguments in SIGNATURES.items()
}
"""C name -> (kernel, signature)."""
