"""A driver without a GPU: memory of the host, and kernels in Numba's CUDA simulator or by their PTX.

For the first, a process needs ``NUMBA_ENABLE_CUDASIM=1``. It has the functions of `cuda.bindings.driver` that
`edgebert.cuda.device` calls, with their results, and refuses what the real one would refuse.
"""

from __future__ import annotations

import bisect
import ctypes
import sys
from types import SimpleNamespace

import numpy as np
from numba import cuda

from edgebert.cuda.compile import to_ptx
from edgebert.cuda.kernels import kernels_of
from edgebert.cuda.shape import Shape
from edgebert.cuda.signatures import SYMBOL
from edgebert.cuda.target import Target
from tests.cuda.ptx import Program, launch

PROCESSORS = 2
_GUARD = 256
_PATTERN = 0xA5


class FakeDriver:
    """See above.

    Parameters
    ----------
    shape : Shape
        The model whose kernels its "program" has.
    target : Target
    """

    CUdevice_attribute = SimpleNamespace(
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR="major",
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR="minor",
        CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT="processors",
    )
    CUfunction_attribute = SimpleNamespace(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES="shared")
    CUstream_flags = SimpleNamespace(CU_STREAM_NON_BLOCKING=SimpleNamespace(value=1))
    CUstreamCaptureMode = SimpleNamespace(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL=1)

    def __init__(self, shape: Shape, target: Target) -> None:
        # A switch of threads is what the simulator does most.
        sys.setswitchinterval(1e-5)
        self._kernels = {SYMBOL.format(name): kernel for name, kernel in kernels_of(shape, target).items()}
        self._functions = self._compiled(target)
        self._facts = {"major": target.capability[0], "minor": target.capability[1], "processors": PROCESSORS}
        self.memory: dict[int, np.ndarray] = {}
        self._kept: list | None = None
        self.launches: list[str] = []

    def _compiled(self, target):
        return {name: cuda.jit(kernel.function) for name, kernel in self._kernels.items()}

    def cuInit(self, flags):
        return (0,)

    def cuDeviceGet(self, number):
        return 0, number

    def cuDeviceGetName(self, size, device):
        return 0, b"simulated GPU\0\0"

    def cuDeviceGetAttribute(self, attribute, device):
        return 0, self._facts[attribute]

    def cuDevicePrimaryCtxRetain(self, device):
        return 0, "context"

    def cuCtxSetCurrent(self, context):
        return (0,)

    cuCtxSynchronize = cuStreamSynchronize = cuStreamDestroy = cuDevicePrimaryCtxRelease = cuModuleUnload = (
        lambda self, *_: (0,)
    )

    def cuStreamCreate(self, flags):
        return 0, "stream"

    def cuModuleLoadData(self, program):
        return 0, "module"

    def cuModuleGetFunction(self, module, name):
        return 0, name.decode()

    def cuFuncSetAttribute(self, function, attribute, value):
        assert value == self._kernels[function].shared_bytes
        return (0,)

    def cuOccupancyMaxActiveBlocksPerMultiprocessor(self, function, threads, shared_bytes):
        assert threads == self._kernels[function].threads
        return 0, 1

    def cuMemAlloc(self, size):
        raw = np.full(size + 2 * _GUARD, _PATTERN, np.uint8)
        address = raw.ctypes.data + _GUARD
        self.memory[address] = raw
        return 0, address

    def cuMemAllocHost(self, size):
        return self.cuMemAlloc(size)

    def cuMemFree(self, address):
        raw = self.memory.pop(address)
        guards = np.concatenate([raw[:_GUARD], raw[-_GUARD:]])
        assert (guards == _PATTERN).all(), "a kernel wrote next to its buffer"
        return (0,)

    cuMemFreeHost = cuMemFree

    def cuMemsetD8(self, address, value, size):
        ctypes.memset(address, value, size)
        return (0,)

    def _copy(self, to, source, size):
        for address in (to, source):
            for begin, raw in self.memory.items():
                if begin <= address < begin + len(raw) - 2 * _GUARD:
                    assert address + size <= begin + len(raw) - 2 * _GUARD
        ctypes.memmove(to, source, size)
        return (0,)

    cuMemcpyHtoD = _copy

    def cuMemcpyHtoDAsync(self, to, source, size, stream):
        return self._copy(to, source, size)

    cuMemcpyDtoHAsync = cuMemcpyHtoDAsync

    def cuStreamBeginCapture(self, stream, mode):
        self._kept = []
        return (0,)

    def cuStreamEndCapture(self, stream):
        kept, self._kept = self._kept, None
        return 0, kept

    def cuGraphInstantiate(self, graph, flags):
        return 0, list(graph)

    def cuGraphDestroy(self, graph):
        return (0,)

    def cuGraphLaunch(self, graph, stream):
        for kept in graph:
            self._run(*kept)
        return (0,)

    def cuLaunchKernel(self, function, gx, gy, gz, bx, by, bz, shared_bytes, stream, parameters, extra):
        assert (gy, gz, by, bz, extra) == (1, 1, 1, 1, 0)
        values, kinds = parameters
        wanted = self._kernels[function].arguments
        assert len(values) == len(kinds) == len(wanted), function
        # As ctypes would pack them: a number of another type would be refused or read as another one.
        packed = [kind(value).value for value, kind in zip(values, kinds, strict=True)]
        launched = function, gx, bx, shared_bytes, packed, kinds
        if self._kept is None:
            self._run(*launched)
        else:
            self._kept.append(launched)
        return (0,)

    def _run(self, function, blocks, threads, shared_bytes, values, kinds):
        self.launches.append(function)
        arguments = []
        for value, kind, wanted in zip(values, kinds, self._kernels[function].arguments, strict=True):
            arguments.append(self._argument(value, kind, wanted))
        with np.errstate(all="ignore"):
            self._functions[function][blocks, threads, 0, shared_bytes](*arguments)

    def _argument(self, value, kind, wanted):
        if kind is not ctypes.c_void_p:
            assert str(wanted) == {ctypes.c_int32: "int32", ctypes.c_float: "float32"}[kind]
            return np.dtype(str(wanted)).type(value)
        raw = self.memory[value]
        inside = raw[_GUARD : len(raw) - _GUARD]
        dtype = np.dtype(str(wanted.dtype))
        return inside[: len(inside) // dtype.itemsize * dtype.itemsize].view(dtype)


class PtxDriver(FakeDriver):
    """The same, with kernels compiled for a GPU and interpreted."""

    def _compiled(self, target):
        self._target = target
        return {}

    def _program(self, symbol):
        if symbol not in self._functions:
            name = symbol.removeprefix(SYMBOL.format(""))
            self._functions[symbol] = Program(to_ptx(name, self._kernels[symbol], self._target))
        return self._functions[symbol]

    def _run(self, function, blocks, threads, shared_bytes, values, kinds):
        ends = sorted((begin, begin + len(raw) - 2 * _GUARD) for begin, raw in self.memory.items())
        begins = [begin for begin, _ in ends]

        def check(address, size):
            begin, end = ends[bisect.bisect_right(begins, address) - 1]
            assert begin <= address <= end - size, f"{function} reaches {size} bytes at {address}, beyond its buffers"

        launch(self._program(function), blocks, threads, shared_bytes, values, check)
