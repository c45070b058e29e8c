"""Tests of the GPU path: in the simulator where there is no GPU."""
