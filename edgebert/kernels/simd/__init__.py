"""A vector type for Numba, and its lowerings for each instruction family.

The float vector has 16 lanes in every family: LLVM maps it to one 512-bit register, two of 256 bits or
four of 128, and every lane sees the same operations in the same order, so results do not depend
on the processor.
"""
