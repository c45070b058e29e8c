"""Every kernel as PTX and as machine code, for GPUs that are not here."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

pytestmark = [
    pytest.mark.needs_packages,
    pytest.mark.skipif(find_spec("numba_cuda") is None and os.environ.get("CI") != "true", reason="no numba-cuda"),
]

CODE = """
import re, sys
from edgebert.cuda.compile import assemble, to_ptx
from edgebert.cuda.kernels import kernels_of
from edgebert.cuda.shape import Shape
from edgebert.cuda.target import target_of
from tests.cuda.plain import PLAIN

major, minor, product, shape = sys.argv[1:]
target = target_of((int(major), int(minor)), product)
texts = {name: to_ptx(name, kernel, target) for name, kernel in kernels_of(eval(shape), target).items()}
instruction = {"m16n8k32": "mma.sync.aligned.m16n8k32", "m8n8k16": "mma.sync.aligned.m8n8k16", "dp4a": "dp4a."}
for name, text in texts.items():
    multiplies = name.startswith(("project", "attend", "expand"))
    assert (instruction[product] in text) == multiplies, name
    assert ".u8.s8" in text or ".u32.s32" in text or not multiplies, name
    assert f".target sm_{major}{minor}" in text, name
    assert f".entry edgebert_{name}(" in text, name
    # What should be in registers is not in memory.
    assert ".local" not in text, name
    # Only kernels take a multiplication and an addition together, never the compiler.
    assert "fma." not in re.sub("// begin inline asm.*?// end inline asm", "", text, flags=re.DOTALL), name
    assert ("cp.async.cg" in text) == (name.startswith(("project", "expand")) and int(major) >= 8), name
program = assemble(list(texts.values()), target)
assert program[:4] == b"\\x7fELF"
for name in texts:
    assert f"edgebert_{name}".encode() in program, name
print(len(program))
"""

MINILM = "Shape(384, 384, 32, False, False, 512, 'erf', (384,), (384,), **PLAIN)"
ALL = "Shape(128, 256, 48, True, True, 130, 'tanh', (64, 192, 320), (256, 320), **PLAIN)"
"""Projected embeddings in four bits, heads of an odd size, distances, the other GELU, groups of other sizes."""
MODERN = (
    "Shape(768, 768, 64, False, False, 8192, 'erf', (384,), (768,),"
    " **PLAIN | dict(reaches=((0, False), (64, False)), positions=False, token_types=False, rotary=True, gated=True,"
    " pre_norm=True))"
)
DECODER = (
    "Shape(1024, 1024, 128, False, True, 8192, 'silu', (384,), (1024, 2048),"
    " **PLAIN | dict(reaches=((0, True), (64, True)), positions=False, rotary=True, head_norms=True, gated=True,"
    " pre_norm=True))"
)


@pytest.mark.parametrize(
    ("capability", "product", "shape"),
    [
        ((7, 5), "m8n8k16", MINILM),
        ((8, 0), "m16n8k32", MINILM),
        ((9, 0), "m16n8k32", MINILM),
        ((9, 0), "m16n8k32", ALL),
        ((7, 5), "m8n8k16", MODERN),
        ((9, 0), "m16n8k32", MODERN),
        ((7, 5), "m8n8k16", DECODER),
        ((9, 0), "m16n8k32", DECODER),
    ],
)
def test_compiles(run_python, capability, product, shape):
    process = run_python(CODE, *capability, product, shape, environment={"NUMBA_ENABLE_CUDASIM": "0"})
    assert int(process.stdout.split()[-1]) > 10_000
