"""A GPU by NVIDIA's driver interface: memory, one stream, a program's kernels, a graph of their launches."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

from edgebert.cuda.signatures import SYMBOL, Launch
from edgebert.errors import EdgebertError

__all__ = ["Device"]

_KINDS: dict[str, Any] = {"int32": ctypes.c_int32, "float32": ctypes.c_float}
"""Type of a number in a signature -> what the driver is told; all others are pointers."""


class Device:
    """The first GPU that this process may see (``CUDA_VISIBLE_DEVICES`` says which), and one stream on it.

    Parameters
    ----------
    driver : module
        `cuda.bindings.driver`, or what stands in for it.

    Attributes
    ----------
    name : str
    capability : (int, int)
    memory_bytes : int
        Device memory that has been allocated here.
    """

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.memory_bytes = 0
        self._call(driver.cuInit(0))
        self._device = self._call(driver.cuDeviceGet(0))
        self.name = self._call(driver.cuDeviceGetName(256, self._device)).split(b"\0")[0].decode()
        attribute = driver.CUdevice_attribute
        self.capability = (
            self._attribute(attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
            self._attribute(attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
        )
        self._processors = self._attribute(attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
        # The context that other libraries of this process share.
        self._context = self._call(driver.cuDevicePrimaryCtxRetain(self._device))
        self.enter()
        self.stream = self._call(driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_NON_BLOCKING.value))
        self._module: Any = None
        self._functions: dict[str, tuple[Any, int, Launch]] = {}
        self._allocated: list[int] = []
        self._pinned: list[int] = []

    def enter(self) -> None:
        """Make this GPU the calling thread's."""
        self._call(self._driver.cuCtxSetCurrent(self._context))

    def load(self, program: bytes) -> None:
        """Load a program in machine code."""
        self._module = self._call(self._driver.cuModuleLoadData(program))

    def prepare(self, name: str, launch: Launch) -> None:
        """Get a kernel of the program ready to be launched."""
        driver, threads, shared_bytes = self._driver, launch.threads, launch.shared_bytes
        function = self._call(driver.cuModuleGetFunction(self._module, SYMBOL.format(name).encode()))
        if shared_bytes:
            attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            self._call(driver.cuFuncSetAttribute(function, attribute, shared_bytes))
        resident = self._call(driver.cuOccupancyMaxActiveBlocksPerMultiprocessor(function, threads, shared_bytes))
        # Kernels go over their work in strides of the grid: one wave of blocks does all of it.
        self._functions[name] = function, max(1, resident) * self._processors, launch

    def launch(self, name: str, **arguments: float) -> None:
        """Launch a kernel on the stream, with the arguments of its signature, of which addresses are ints.

        Raises
        ------
        TypeError
            When one is missing, or is not the kernel's.
        """
        function, blocks, launch = self._functions[name]
        if arguments.keys() != launch.arguments.keys():
            raise TypeError(f"{name} got {sorted(arguments)}, expected {sorted(launch.arguments)}")
        values = tuple(arguments[argument] for argument in launch.arguments)
        kinds = tuple(_KINDS.get(kind, ctypes.c_void_p) for kind in launch.arguments.values())
        self._call(
            self._driver.cuLaunchKernel(
                *(function, blocks, 1, 1, launch.threads, 1, 1, launch.shared_bytes, self.stream, (values, kinds), 0)
            )
        )

    def allocate(self, size: int) -> int:
        """Return the address of device memory that holds zeros."""
        address = int(self._call(self._driver.cuMemAlloc(max(size, 16))))
        self._allocated.append(address)
        self.memory_bytes += max(size, 16)
        self._call(self._driver.cuMemsetD8(address, 0, max(size, 16)))
        return address

    def upload(self, array: np.ndarray) -> int:
        """Copy an array into device memory of its own; return its address."""
        array = np.ascontiguousarray(array)
        address = self.allocate(array.nbytes)
        self._call(self._driver.cuMemcpyHtoD(address, array.ctypes.data, array.nbytes))
        return address

    def pinned(self, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        """Return host memory that the GPU copies from and to by itself; it lives as long as this object."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        address = int(self._call(self._driver.cuMemAllocHost(size)))
        self._pinned.append(address)
        memory = (ctypes.c_uint8 * size).from_address(address)
        return np.ctypeslib.as_array(memory).view(dtype).reshape(shape)

    def copy_in(self, address: int, array: np.ndarray, size: int) -> None:
        """Queue a copy of the first bytes of pinned memory to the GPU."""
        self._call(self._driver.cuMemcpyHtoDAsync(address, array.ctypes.data, size, self.stream))

    def copy_out(self, array: np.ndarray, address: int, size: int) -> None:
        """Queue a copy from the GPU into the first bytes of pinned memory."""
        self._call(self._driver.cuMemcpyDtoHAsync(array.ctypes.data, address, size, self.stream))

    def wait(self) -> None:
        """Wait until all that was queued is done."""
        self._call(self._driver.cuStreamSynchronize(self.stream))

    def begin_graph(self) -> None:
        """From now on keep what is launched instead of running it."""
        # What was copied before was copied on another stream.
        self._call(self._driver.cuCtxSynchronize())
        mode = self._driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call(self._driver.cuStreamBeginCapture(self.stream, mode))

    def end_graph(self) -> Any:
        """Return what was kept, ready for `run_graph`."""
        graph = self._call(self._driver.cuStreamEndCapture(self.stream))
        try:
            return self._call(self._driver.cuGraphInstantiate(graph, 0))
        finally:
            self._call(self._driver.cuGraphDestroy(graph))

    def run_graph(self, graph: Any) -> None:
        """Queue a graph."""
        self._call(self._driver.cuGraphLaunch(graph, self.stream))

    def free_memory(self) -> int:
        """Return how much memory of the GPU is free [bytes]."""
        return int(self._call(self._driver.cuMemGetInfo())[0])

    def close(self) -> None:
        """Give memory, program and stream back."""
        driver, self._driver = self._driver, None
        if driver is None:
            return
        driver.cuCtxSetCurrent(self._context)
        for address in self._allocated:
            driver.cuMemFree(address)
        for address in self._pinned:
            driver.cuMemFreeHost(address)
        if self._module is not None:
            driver.cuModuleUnload(self._module)
        driver.cuStreamDestroy(self.stream)
        driver.cuDevicePrimaryCtxRelease(self._device)

    def _attribute(self, attribute: Any) -> int:
        return int(self._call(self._driver.cuDeviceGetAttribute(attribute, self._device)))

    def _call(self, result: tuple[Any, ...]) -> Any:
        """Return what a function of the driver returned besides its status."""
        status, *values = result
        if int(status) != 0:
            raise EdgebertError(
                f"the GPU's driver reported {getattr(status, 'name', status)}; device='cpu' computes on the processor"
            )
        return values[0] if len(values) == 1 else values
