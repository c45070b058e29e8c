"""What Numba compiles: the forward pass of a BERT encoder, as functions of addresses and integers.

Nothing here is imported to run a model: `edgebert.kernels.compile` turns these modules into one
object file for one instruction family, in a process of its own, and `edgebert.engine` loads that.
`plan` (the layout both sides share) and `reference` (the same encoder in NumPy) need no Numba.
"""
