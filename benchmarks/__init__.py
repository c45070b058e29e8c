"""What measures edgebert, and the engines that users would pick instead, side by side in one run.

========================  =============================================================================
``benchmarks.prepare``    make the peers' models from one Hugging Face folder
``benchmarks.latency``    token ids to hidden states, one sequence at a time
``benchmarks.throughput`` texts to vectors, tokenization included
``benchmarks.accuracy``   vectors against fp32, and against human scores
``benchmarks.sentiment``  the default model on sentences it has never seen
``benchmarks.memory``     peak resident memory of the command line
``benchmarks.kernels``    the int8 matmul alone, against the peak of its instructions
========================  =============================================================================

Each is run from the repository's root (``python -m benchmarks.latency --help``) and prints the environment first.
"""
