"""Run PTX without a GPU: the text that is compiled for one, instruction by instruction, 32 lanes at a time.

What Numba's simulator cannot show: that inline assembly, wide loads and addresses are what they should be. Only the
instructions that the kernels have (NVIDIA's "PTX ISA"). Lanes that a branch has parted go on from the lowest place in
the program; what a whole warp has to do together is refused where it is not whole.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator

import numpy as np

WARP = 32
_REGISTER = re.compile(r"^%(p|rs|rd|r|f)\d+$")
_BITS = {"p": np.bool_, "rs": np.uint16, "r": np.uint32, "rd": np.uint64, "f": np.float32}
_TYPES = {
    **{f"s{8 * size}": np.dtype(f"i{size}") for size in (1, 2, 4, 8)},
    **{f"{kind}{8 * size}": np.dtype(f"u{size}") for kind in "ub" for size in (1, 2, 4, 8)},
    "f32": np.dtype(np.float32),
    "pred": np.dtype(np.bool_),
}
_COMPARE = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}
Check = Callable[[int, int], None]


class Program:
    """One kernel of a PTX text."""

    def __init__(self, text: str) -> None:
        text = re.sub(r"//.*", "", text)
        self.parameters = re.findall(r"\.param \.(\w+) (\w+_param_\d+)", text)
        body = text[text.index("{", text.index(".entry")) + 1 :]
        self.code: list[tuple[str, bool, list[str], list[str]]] = []
        self.labels: dict[str, int] = {}
        for line in re.split(r"[;\n]", re.sub(r"\n\s*(?=[^;]*;)", "\n", body)):
            line = line.strip()
            label = re.match(r"^(\$\w+):\s*", line)
            if label:
                self.labels[label[1]] = len(self.code)
                line = line[label.end() :]
            if not line or line[0] in "{}." or line.startswith("mov.b64 {"):
                continue
            guard, negated = "", False
            found = re.match(r"^@(!?)(%p\d+)\s+", line)
            if found:
                guard, negated, line = found[2], bool(found[1]), line[found.end() :]
            name, _, rest = line.partition(" ") if " " in line or "\t" not in line else line.partition("\t")
            operands = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", rest)
            self.code.append((guard, negated, name.strip().split("."), operands))


class Warp:
    """32 lanes in a program."""

    def __init__(self, program: Program, block: Block, number: int) -> None:
        self.program, self.block, self.number = program, block, number
        self.pc = np.zeros(WARP, np.int64)
        self.registers: dict[str, np.ndarray] = {}
        self.special = {
            "%tid.x": np.arange(WARP, dtype=np.uint32) + WARP * number,
            "%laneid": np.arange(WARP, dtype=np.uint32),
            "%ctaid.x": block.index,
            "%nctaid.x": block.blocks,
            "%ntid.x": block.threads,
            "%dynamic_smem_size": block.shared_bytes,
        }

    def run(self) -> Iterator[None]:
        """Run to the end, pausing at barriers."""
        end = len(self.program.code)
        while True:
            at = int(self.pc.min())
            if at >= end:
                return
            mask = self.pc == at
            guard, negated, name, operands = self.program.code[at]
            if guard:
                mask = mask & (self.registers[guard] ^ negated)
            skipped = (self.pc == at) & ~mask
            self.pc[skipped] = at + 1
            if not mask.any():
                continue
            self.pc[mask] = at + 1
            if name[0] == "bra":
                self.pc[mask] = self.program.labels[operands[0]]
            elif name[0] == "ret":
                self.pc[mask] = end
            elif name[0] == "bar":
                assert mask.all(), "a barrier without some lanes"
                yield
            else:
                getattr(self, f"do_{name[0]}")(name, operands, mask)

    def get(self, operand: str, kind: str) -> np.ndarray:
        """Return what an operand is, as a type of PTX."""
        dtype = _TYPES[kind]
        if operand in self.special:
            value = np.broadcast_to(np.asarray(self.special[operand], np.uint32), WARP)
        elif operand.startswith("%"):
            value = self.registers.get(operand)
            if value is None:  # a register that no lane has written is read by none that counts
                value = np.zeros(WARP, _BITS[_REGISTER.match(operand)[1]])
        elif operand.startswith("0f"):
            value = np.full(WARP, int(operand[2:], 16), np.uint32).view(np.float32)
        elif operand.lstrip("-").isdecimal():
            value = np.full(WARP, int(operand) & (1 << 8 * dtype.itemsize) - 1, f"u{dtype.itemsize}")
        else:  # the shared memory, which begins at 0
            value = np.zeros(WARP, f"u{dtype.itemsize}")
        if value.dtype.itemsize > dtype.itemsize:
            value = value.astype(f"u{dtype.itemsize}")
        assert value.dtype.itemsize == dtype.itemsize, (operand, kind)
        return value.view(dtype)

    def put(self, name: str, value: np.ndarray, mask: np.ndarray) -> None:
        """Write a register in some lanes; what is narrower is extended by its own type."""
        dtype = np.dtype(_BITS[_REGISTER.match(name)[1]])
        if value.dtype != dtype:
            if value.dtype.itemsize < dtype.itemsize:
                value = value.astype(f"{value.dtype.kind}{dtype.itemsize}")
            value = value.view(dtype)
        if not mask.all():
            value = np.where(mask, value, self.registers.get(name, np.zeros(WARP, dtype)))
        self.registers[name] = value

    def _address(self, operand: str) -> np.ndarray:
        base, _, offset = operand.strip("[]").partition("+")
        kind = "u32" if re.match(r"^%r\d", base) else "u64"
        return self.get(base, kind).astype(np.int64) + int(offset or 0)

    def _load(self, space: str, addresses: np.ndarray, dtype: np.dtype, count: int, mask: np.ndarray) -> np.ndarray:
        result = np.zeros((WARP, count), dtype)
        size = dtype.itemsize * count
        for lane in np.flatnonzero(mask):
            address = int(addresses[lane])
            assert address % size == 0, "a load that is not aligned"
            result[lane] = np.frombuffer(self.block.read(space, address, size), dtype)
        return result

    def do_ld(self, name, operands, mask):
        kind = name[-1]
        if name[1] == "param":
            return self.put(
                operands[0], np.full(WARP, self.block.arguments[operands[1].strip("[]")], _TYPES[kind]), mask
            )
        names = [part.strip() for part in operands[0].strip("{}").split(",")]
        values = self._load(name[1], self._address(operands[1]), _TYPES[kind], len(names), mask)
        for i, own in enumerate(names):
            self.put(own, np.ascontiguousarray(values[:, i]), mask)
        return None

    def do_st(self, name, operands, mask):
        names = [part.strip() for part in operands[1].strip("{}").split(",")]
        values = np.stack([self.get(own, name[-1]) for own in names], axis=1)
        addresses = self._address(operands[0])
        for lane in np.flatnonzero(mask):
            self.block.write(name[1], int(addresses[lane]), values[lane].tobytes())

    def do_cp(self, name, operands, mask):
        if name[2] != "cg":
            return
        to, source = (self._address(operand) for operand in operands[:2])
        for lane in np.flatnonzero(mask):
            self.block.write("shared", int(to[lane]), self.block.read("global", int(source[lane]), 16))

    def do_cvta(self, name, operands, mask):
        self.put(operands[0], self.get(operands[1], "u64"), mask)

    def do_mov(self, name, operands, mask):
        self.put(operands[0], self.get(operands[1], name[1]), mask)

    def do_cvt(self, name, operands, mask):
        to, value = _TYPES[name[-2]], self.get(operands[1], name[-1])
        if "rni" in name:
            value = np.clip(np.rint(value.astype(np.float64)), -(2**31), 2**31 - 1)
        self.put(operands[0], value.astype(to), mask)

    def do_setp(self, name, operands, mask):
        a, b = (self.get(operand, name[-1]) for operand in operands[1:])
        self.put(operands[0], getattr(np, _COMPARE[name[1]])(a, b), mask)

    def do_selp(self, name, operands, mask):
        a, b = (self.get(operand, name[1]) for operand in operands[1:3])
        self.put(operands[0], np.where(self.registers[operands[3]], a, b), mask)

    def _two(self, name, operands, mask, function):
        a, b = (self.get(operand, name[-1]) for operand in operands[1:])
        self.put(operands[0], function(a, b).astype(a.dtype, copy=False), mask)

    def do_add(self, name, operands, mask):
        self._two(name, operands, mask, np.add)

    def do_sub(self, name, operands, mask):
        self._two(name, operands, mask, np.subtract)

    def do_min(self, name, operands, mask):
        self._two(name, operands, mask, np.fmin)

    def do_max(self, name, operands, mask):
        self._two(name, operands, mask, np.fmax)

    def do_and(self, name, operands, mask):
        self._two(name, operands, mask, np.bitwise_and)

    def do_or(self, name, operands, mask):
        self._two(name, operands, mask, np.bitwise_or)

    def do_xor(self, name, operands, mask):
        self._two(name, operands, mask, np.bitwise_xor)

    def do_mul(self, name, operands, mask):
        kind = name[-1]
        a, b = (self.get(operand, kind) for operand in operands[1:])
        if "wide" in name:
            wide = a.dtype.kind + str(2 * a.dtype.itemsize)
            self.put(operands[0], a.astype(wide) * b.astype(wide), mask)
        elif "hi" in name:
            bits = 8 * a.dtype.itemsize
            high = [(int(x) * int(y)) >> bits for x, y in zip(a, b, strict=True)]
            self.put(operands[0], np.array(high, a.dtype), mask)
        else:
            self.put(operands[0], a * b, mask)

    def do_mad(self, name, operands, mask):
        a, b, c = (self.get(operand, name[-1]) for operand in operands[1:])
        self.put(operands[0], a * b + c, mask)

    def do_fma(self, name, operands, mask):
        a, b, c = (self.get(operand, "f32").astype(np.float64) for operand in operands[1:])
        self.put(operands[0], (a * b + c).astype(np.float32), mask)

    def _divided(self, a, b):
        safe = np.where(b == 0, 1, b)
        return [abs(int(x)) // abs(int(y)) * (1 if (x < 0) == (y < 0) else -1) for x, y in zip(a, safe, strict=True)]

    def do_div(self, name, operands, mask):
        a, b = (self.get(operand, name[-1]) for operand in operands[1:])
        self.put(operands[0], a / b if name[-1] == "f32" else np.array(self._divided(a, b), a.dtype), mask)

    def do_rem(self, name, operands, mask):
        a, b = (self.get(operand, name[-1]) for operand in operands[1:])
        self.put(operands[0], a - np.array(self._divided(a, b), a.dtype) * b, mask)

    def do_rcp(self, name, operands, mask):
        self.put(operands[0], np.float32(1) / self.get(operands[1], "f32"), mask)

    def do_sqrt(self, name, operands, mask):
        self.put(operands[0], np.sqrt(self.get(operands[1], "f32")), mask)

    def do_abs(self, name, operands, mask):
        self.put(operands[0], np.abs(self.get(operands[1], name[-1])), mask)

    def do_neg(self, name, operands, mask):
        self.put(operands[0], -self.get(operands[1], name[-1]), mask)

    def do_not(self, name, operands, mask):
        self.put(operands[0], ~self.get(operands[1], name[-1]), mask)

    def _shift(self, name, operands, mask, function):
        a, by = self.get(operands[1], name[-1]), self.get(operands[2], "u32")
        width = 8 * a.dtype.itemsize
        most = width - 1 if name[-1].startswith("s") else width
        whole = function(a.astype(object), np.minimum(by, most).astype(object))
        self.put(operands[0], np.array([int(x) & (1 << width) - 1 for x in whole], f"u{width // 8}"), mask)

    def do_shl(self, name, operands, mask):
        self._shift(name, operands, mask, np.left_shift)

    def do_shr(self, name, operands, mask):
        self._shift(name, operands, mask, np.right_shift)

    def do_prmt(self, name, operands, mask):
        a, b, selector = (self.get(operand, "u32").astype(np.uint64) for operand in operands[1:])
        both, result = a | b << np.uint64(32), np.zeros(WARP, np.uint64)
        for i in range(4):
            index = selector >> np.uint64(4 * i) & np.uint64(7)
            result |= (both >> np.uint64(8) * index & np.uint64(255)) << np.uint64(8 * i)
        self.put(operands[0], result.astype(np.uint32), mask)

    def do_shfl(self, name, operands, mask):
        assert mask.all(), "a shuffle without some lanes"
        other, lanes = self.get(operands[2], "u32"), np.arange(WARP, dtype=np.uint32)
        source = lanes ^ other if name[2] == "bfly" else other & 31
        self.put(operands[0], self.get(operands[1], "b32")[source], mask)

    def do_dp4a(self, name, operands, mask):
        kind = np.uint8 if name[1] == "u32" else np.int8
        a = self.get(operands[1], "u32").copy().view(kind).reshape(WARP, 4).astype(np.int32)
        b = self.get(operands[2], "u32").copy().view(np.int8).reshape(WARP, 4)
        self.put(operands[0], (a * b).sum(axis=1, dtype=np.int32) + self.get(operands[3], "s32"), mask)

    def do_mma(self, name, operands, mask):
        """Multiply matrices whose parts lanes have as PTX ISA, "matrix fragments for mma", says."""
        assert mask.all(), "a product without some lanes"
        out, a, b, c = ([part.strip() for part in operand.strip("{}").split(",")] for operand in operands)
        halves = 1 if "m8n8k16" in name else 2

        def matrix(names, dtype, rows):
            words = np.stack([self.get(own, "u32") for own in names], axis=1)
            # lane = row * 4 + place; words: half of the rows first, then half of the inputs
            parts = words.view(dtype).reshape(8, 4, len(names) // rows, rows, 4)
            return parts.transpose(3, 0, 2, 1, 4).reshape(8 * rows, -1).astype(np.int64)

        left = matrix(a, np.uint8 if "u8" in name else np.int8, halves)
        product = (left @ matrix(b, np.int8, 1).T).astype(np.int32)
        own = product.reshape(halves, 8, 4, 2).transpose(1, 2, 0, 3).reshape(WARP, 2 * halves)
        for i, (to, added) in enumerate(zip(out, c, strict=True)):
            self.put(to, self.get(added, "s32") + own[:, i], mask)


class Block:
    """A block of threads: its memory, and its warps in turn."""

    def __init__(self, arguments: dict, index: int, blocks: int, threads: int, shared_bytes: int, check: Check) -> None:
        self.arguments, self.index, self.blocks, self.threads = arguments, index, blocks, threads
        self.shared_bytes = shared_bytes
        self._shared, self._check = bytearray(shared_bytes), check

    def read(self, space: str, address: int, size: int) -> bytes:
        """Read memory, after a check of its bounds."""
        if space == "shared":
            assert 0 <= address <= len(self._shared) - size, "beyond the shared memory"
            return bytes(self._shared[address : address + size])
        self._check(address, size)
        return ctypes.string_at(address, size)

    def write(self, space: str, address: int, data: bytes) -> None:
        """Write memory, after a check of its bounds."""
        assert address % len(data) == 0, "a store that is not aligned"
        if space == "shared":
            assert 0 <= address <= len(self._shared) - len(data), "beyond the shared memory"
            self._shared[address : address + len(data)] = data
        else:
            self._check(address, len(data))
            ctypes.memmove(address, data, len(data))

    def run(self, program: Program) -> None:
        """Run all warps from barrier to barrier."""
        warps = [Warp(program, self, number).run() for number in range(self.threads // WARP)]
        while warps:
            going = [next(warp, self) is None for warp in warps]
            assert all(going) or not any(going), "some warps wait at a barrier, others have ended"
            if not any(going):
                return


def launch(program: Program, blocks: int, threads: int, shared_bytes: int, values: list, check: Check) -> None:
    """Run a kernel's blocks, one after the other, on memory of the host."""
    arguments = dict(zip((name for _, name in program.parameters), values, strict=True))
    with np.errstate(all="ignore"):
        for index in range(blocks):
            Block(arguments, index, blocks, threads, shared_bytes, check).run(program)
