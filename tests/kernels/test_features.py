"""What a family does not need, its code does not use, whatever else the processor has that it is scheduled for."""

import pytest

from edgebert.kernels.simd.families import FAMILIES

llvm = pytest.importorskip("llvmlite.binding")

from edgebert.kernels.compile import _features, _target_machine  # noqa: E402 (it wants llvmlite)

TRIPLES = {"x86_64": "x86_64-unknown-linux-gnu", "aarch64": "aarch64-unknown-linux-gnu"}
PROBES = {
    # feature -> machine, its instruction, and code that LLVM uses it for
    "bmi": ("x86_64", "andn", "i64 @f(i64 %a, i64 %b) { %n = xor i64 %a, -1\n%r = and i64 %n, %b ret i64 %r }"),
    "lzcnt": ("x86_64", "lzcnt", "i64 @f(i64 %a) { %r = call i64 @llvm.ctlz.i64(i64 %a, i1 false) ret i64 %r }"),
    "movbe": (
        "x86_64",
        "movbe",
        "i64 @f(ptr %a) { %v = load i64, ptr %a\n%r = call i64 @llvm.bswap.i64(i64 %v) ret i64 %r }",
    ),
    "f16c": (
        "x86_64",
        "vcvtph2ps",
        "<8 x float> @f(<8 x half> %a) { %r = fpext <8 x half> %a to <8 x float> ret <8 x float> %r }",
    ),
    "gfni": (
        "x86_64",
        "gf2p8affineqb",
        "<16 x i8> @f(<16 x i8> %a) { %r = call <16 x i8> @llvm.bitreverse.v16i8(<16 x i8> %a) ret <16 x i8> %r }",
    ),
    "avx512bitalg": (
        "x86_64",
        "vpopcntw",
        "<32 x i16> @f(<32 x i16> %a) { %r = call <32 x i16> @llvm.ctpop.v32i16(<32 x i16> %a) ret <32 x i16> %r }",
    ),
    "avx512vpopcntdq": (
        "x86_64",
        "vpopcntd",
        "<16 x i32> @f(<16 x i32> %a) { %r = call <16 x i32> @llvm.ctpop.v16i32(<16 x i32> %a) ret <16 x i32> %r }",
    ),
    "avx512fp16": (
        "x86_64",
        "vaddph",
        "<8 x half> @f(<8 x half> %a) { %r = fadd <8 x half> %a, %a ret <8 x half> %r }",
    ),
    "avx512vbmi": (
        "x86_64",
        "vpermb",
        "<64 x i8> @f(<64 x i8> %a) { %r = shufflevector <64 x i8> %a, <64 x i8> %a, <64 x i32> <"
        + ", ".join(f"i32 {i * 29 % 64}" for i in range(64))
        + "> ret <64 x i8> %r }",
    ),
    "lse": ("aarch64", "ldadd", "i64 @f(ptr %a) { %r = atomicrmw add ptr %a, i64 1 seq_cst ret i64 %r }"),
    "rcpc": ("aarch64", "ldapr", "i64 @f(ptr %a) { %r = load atomic i64, ptr %a acquire, align 8 ret i64 %r }"),
    "fullfp16": (
        "aarch64",
        "fadd\tv0.8h",
        "<8 x half> @f(<8 x half> %a) { %r = fadd <8 x half> %a, %a ret <8 x half> %r }",
    ),
}
IMPLIED = {"avx512f": {"f16c"}}
"""Features that all processors with another one have, by the law of LLVM."""


PAIRS = [(name, feature) for name in FAMILIES for feature in PROBES if FAMILIES[name].machine == PROBES[feature][0]]


@pytest.mark.parametrize(("name", "feature"), PAIRS)
def test_code_uses_what_its_family_needs(name, feature):
    family = FAMILIES[name]
    machine, instruction, code = PROBES[feature]

    def assembly(target):
        module = llvm.parse_assembly("define " + code.replace(" ret ", "\nret ").replace(" %r =", "\n%r ="))
        module.triple, module.data_layout = TRIPLES[machine], str(target.target_data)
        return target.emit_assembly(module)

    own = _target_machine(family, TRIPLES[machine])
    allowed = set(family.needs).union(*(IMPLIED.get(need, ()) for need in family.needs))
    assert (instruction in assembly(own)) == (feature in allowed)
    with_it = llvm.Target.from_triple(TRIPLES[machine]).create_target_machine(
        cpu=family.cpu, features=f"{_features(family)},+{feature}{',+avx512vl' if 'avx512' in feature else ''}"
    )
    assert instruction in assembly(with_it), "the probe probes nothing"
