"""A device with a model's kernels: a GPU where there is one, else Numba's simulator, or an interpreter of their PTX."""

from __future__ import annotations

import os
from contextlib import contextmanager

import numpy as np

from edgebert.batch import pack
from edgebert.cuda.device import Device
from edgebert.cuda.layout import batch_words, describe_batch
from edgebert.cuda.program import load_program
from edgebert.cuda.shape import Shape
from edgebert.cuda.signatures import launches_of
from edgebert.cuda.target import target_of
from edgebert.engine.devices import cuda_driver, missing_for_cuda
from tests.cuda.plain import PLAIN

SIMULATED = bool(missing_for_cuda()) or "EDGEBERT_TEST_PTX" in os.environ
SHAPE = Shape(64, 64, 32, False, False, 64, "erf", (64,), (64, 128), **PLAIN)
CAPACITY = 128


def driver_and_target(shape, shared_bytes=None):
    """Return the driver, and the target whose tiles kernels have: small ones where a thread is Python's."""
    if not SIMULATED:
        return cuda_driver(), None
    from tests.cuda.fake_driver import FakeDriver, PtxDriver

    if "EDGEBERT_TEST_PTX" in os.environ:  # like 8.0, or 8.0 dp4a
        capability, _, product = os.environ["EDGEBERT_TEST_PTX"].partition(" ")
        major, minor = map(int, capability.split("."))
        target = target_of((major, minor), product or None)
    else:
        target = target_of((9, 0))._replace(warps=2)
    target = target._replace(shared_bytes=shared_bytes or target.shared_bytes)
    driver = PtxDriver if "EDGEBERT_TEST_PTX" in os.environ else FakeDriver
    return driver(shape, target), target


@contextmanager
def kernels(shape, shared_bytes=None):
    """Yield a device with the kernels of a shape, and its target: with less shared memory, but for a real GPU."""
    driver, target = driver_and_target(shape, shared_bytes)
    device = Device(driver)
    target = target or target_of(device.capability)
    device.load(b"" if SIMULATED else load_program(shape, device.capability))
    for name, launch in launches_of(shape, target).items():
        device.prepare(name, launch)
    yield device, target
    device.close()


def read(device, address, shape, dtype):
    """Copy memory of the device."""
    array = device.pinned(shape, dtype)
    device.copy_out(array, address, array.nbytes)
    device.wait()
    return array.copy()


def upload_batch(device, lengths, key_counts=None):
    """Put a batch on the device; return its address and its number of tokens."""
    batch = pack([[1] * length for length in lengths])._replace(key_counts=key_counts)
    words = np.zeros(batch_words(sum(lengths)), np.int32)
    describe_batch(batch, words)
    return device.upload(words), sum(lengths)
