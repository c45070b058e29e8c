"""What runs the kernels: which processor, how many threads, the compiled library, the team, the workspace."""
