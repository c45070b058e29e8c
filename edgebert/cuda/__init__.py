"""The encoder on NVIDIA GPUs: twins of the kernels in numba.cuda, and what runs them; an extra of its own."""
