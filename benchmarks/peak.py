"""The peak of an instruction family: its int8 dot product on registers alone, nothing else in the loop."""

from __future__ import annotations

import ctypes
import itertools
import re

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from edgebert.engine.processor import available_families
from edgebert.kernels.simd.dot import Dot
from edgebert.kernels.simd.families import FAMILIES, MATRIX
from edgebert.kernels.simd.ops import load_tile_shapes, tile_call
from edgebert.kernels.simd.tile import LOWERINGS

__all__ = ["Peak"]

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
# As many sums as hide the latency and fit the registers beside their operands: 32 registers, 16, or whatever there is.
_SUMS = {MATRIX: 4, "vpdpbusd_512": 12, "vpmaddubsw_512": 10, "vpdpbusd_256": 7, "vpmaddubsw_256": 5, "portable": 4}
_SUMS |= {"smmla": 8, "sdot": 16, "smlal": 8}


class Peak:
    """A compiled loop of dot products whose operands stay in registers.

    Of vectors, the weights alone are read again in each round, from the first-level cache: were they constant, the
    compiler would take the products out of the loop.

    Parameters
    ----------
    family : str
        A name in `edgebert.kernels.simd.families.FAMILIES`.
    int16_steps : int
        Steps of four inputs that are added in 16 bits, where the family does that.
    """

    def __init__(self, family: str, int16_steps: int = 1) -> None:
        chosen = FAMILIES[family]
        self.sums = _SUMS[chosen.dot]
        dot = LOWERINGS.get(chosen.dot)
        self.int16_steps = int16_steps if int16_steps in chosen.tiles else 1
        self.macs_of_one = 4 * max(self.int16_steps, dot.steps) * dot.lanes * dot.rows if dot else 16 * 16 * 64
        if chosen.name not in available_families():  # which also asks for what the operating system grants on request
            raise ValueError(f"this processor cannot run {chosen.name}")
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = ",".join(f"+{name}" for name in chosen.needs)
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=chosen.cpu, features=features, opt=3, codemodel="jitdefault"
        )
        # llvmlite has no word for a load that must happen each time.
        loop = _loop(dot, self.int16_steps, self.sums) if dot else _matrix_loop()
        text = re.sub(r'("weights[.\d]*" = load)', r"\1 volatile", str(loop))
        module = llvm.parse_assembly(text)
        module.triple = llvm.get_process_triple()
        self.assembly: str = machine.emit_assembly(module)
        self._engine = llvm.create_mcjit_compiler(module, machine)
        self._engine.finalize_object()
        signature = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)
        self._run = signature(self._engine.get_function_address("peak"))
        self._operands = np.ones(16 * 64, np.uint8)
        self._out = np.zeros(16 * 64, np.uint8)

    def macs(self, rounds: int) -> int:
        """Return the multiplications that so many rounds do."""
        return rounds * self.sums * self.macs_of_one

    def __call__(self, rounds: int) -> None:
        """Run the loop."""
        a, out = self._operands.ctypes.data, self._out.ctypes.data
        self._run(rounds, a, a, out)


def _matrix_loop() -> ir.Module:
    """Write void peak(rounds, activations, weights, out) with tile registers, as large as they can be."""
    module = ir.Module("peak")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_I64] * 4), "peak")
    rounds, a_address, w_address, _ = function.args
    entry, loop, done = (function.append_basic_block(label) for label in ("entry", "loop", "done"))
    address = _I8.as_pointer()

    builder = ir.IRBuilder(entry)
    load_tile_shapes(builder)
    for register in range(4):
        tile_call(builder, "tilezero", _I8(register))
    for register, operand in ((4, a_address), (5, a_address), (6, w_address), (7, w_address)):
        tile_call(builder, "tileloadd64", _I8(register), builder.inttoptr(operand, address), _I64(64))
    builder.branch(loop)
    builder = ir.IRBuilder(loop)
    count = builder.phi(_I64)
    for total, a, w in ((0, 4, 6), (1, 4, 7), (2, 5, 6), (3, 5, 7)):
        tile_call(builder, "tdpbusd", _I8(total), _I8(a), _I8(w))
    next_count = builder.add(count, _I64(1))
    count.add_incoming(_I64(0), entry)
    count.add_incoming(next_count, loop)
    builder.cbranch(builder.icmp_signed("<", next_count, rounds), loop, done)
    builder = ir.IRBuilder(done)
    tile_call(builder, "tilerelease")
    builder.ret_void()
    return module


def _loop(dot: Dot, int16_steps: int, sums: int) -> ir.Module:
    """Write void peak(rounds, activations, weights, out)."""
    module = ir.Module("peak")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_I64] * 4), "peak")
    rounds, a_address, w_address, out_address = function.args
    vector = ir.VectorType(_I32, dot.lanes)
    entry, loop, done = (function.append_basic_block(label) for label in ("entry", "loop", "done"))

    def at(builder: ir.IRBuilder, address: ir.Value, i: int) -> ir.Value:
        return builder.inttoptr(builder.add(address, _I64(4 * dot.lanes * i)), vector.as_pointer())

    def operand(i: int) -> list[ir.Value]:
        starts = [4 * (i * dot.rows + r) for r in range(dot.rows)]
        rows = [[builder.add(a_address, _I64(start + 4 * s)) for s in range(steps)] for start in starts]
        return dot.activations(builder, rows)

    steps = max(int16_steps, dot.steps)
    builder = ir.IRBuilder(entry)
    # An operand for each sum: with one for all, the products would be the same and computed once.
    operands = [operand(i) for i in range(sums)]
    builder.branch(loop)

    builder = ir.IRBuilder(loop)
    count = builder.phi(_I64)
    acc = [[builder.phi(vector) for _ in range(dot.parts)] for _ in range(sums)]
    weights = [builder.load(at(builder, w_address, s), name="weights", align=4) for s in range(steps)]
    following = acc
    for begin in range(0, steps, dot.turn or steps):
        turn = slice(begin, begin + (dot.turn or steps))
        following = [
            dot.multiply_add(builder, parts, a[turn], weights[turn])
            for parts, a in zip(following, operands, strict=True)
        ]
    next_count = builder.add(count, _I64(1))
    count.add_incoming(_I64(0), entry)
    count.add_incoming(next_count, loop)
    for phi, later in zip(itertools.chain(*acc), itertools.chain(*following), strict=True):
        phi.add_incoming(ir.Constant(vector, None), entry)
        phi.add_incoming(later, loop)
    builder.cbranch(builder.icmp_signed("<", next_count, rounds), loop, done)

    builder = ir.IRBuilder(done)
    for i, result in enumerate(itertools.chain(*following)):
        builder.store(result, at(builder, out_address, i), align=4)
    builder.ret_void()
    return module
