"""Machine code for processors that are not at hand: the right instruction in the loop, and nothing to link."""

import re
import shutil
import struct
import subprocess

import pytest

from edgebert.kernels.signatures import PREFIX, SIGNATURES
from edgebert.kernels.simd.families import FAMILIES, MATRIX
from tests.selection import few

# Both outputs of one compilation: an object file, and the assembly of the same module.
EMIT = """
import sys
from edgebert.kernels.compile import compile_family
family, triple, output = sys.argv[1:]
machine, module = compile_family(family, triple=triple or None)
with open(output + ".s", "w") as file:
    file.write(machine.emit_assembly(module.clone()))
with open(output + ".o", "wb") as file:
    file.write(machine.emit_object(module))
"""
LINUX = "x86_64-unknown-linux-gnu"
ARM_LINUX = "aarch64-unknown-linux-gnu"
CASES = {
    # the dot product of the tile's loop, as a pattern
    ("amx", LINUX): r"\btdpbusd\s.*%tmm",
    ("avx512_vnni", LINUX): r"\bvpdpbusd\s.*%zmm",
    ("avx512bw", LINUX): r"\bvpmaddubsw\s.*%zmm",
    ("avx_vnni", LINUX): r"\{vex\}\s+vpdpbusd\s.*%ymm",
    ("avx2", LINUX): r"\bvpmaddubsw\s.*%ymm",
    ("portable", LINUX): r"\bpmaddwd\s.*%xmm",
    ("neon_i8mm", ARM_LINUX): r"\bsmmla\s",
    ("neon_dotprod", ARM_LINUX): r"\bsdot\s.*\.4b\[",
    ("neon", ARM_LINUX): r"\bsmlal2?\s(?s:.*)\bsadalp\s",
    ("portable", ARM_LINUX): r"\bsmull2?\s+v\d+\.",
}
MACHINES = {"x86_64": 62, "aarch64": 183}
"""First word of a triple -> the ELF header's e_machine."""
BIGGER_REGISTERS = {"%zmm": r"%tmm", "%ymm": r"%[tz]mm", "%xmm": r"%[tyz]mm"}


@pytest.fixture(scope="module", params=few(CASES), ids=lambda case: f"{case[0]}-{case[1].split('-')[0]}")
def emitted(request, run_python, tmp_path_factory):
    """Compile one case: (case, assembly, object file)."""
    output = tmp_path_factory.mktemp("emitted") / "kernels"
    run_python(EMIT, *request.param, output)
    return request.param, output.with_suffix(".s").read_text(), output.with_suffix(".o").read_bytes()


def functions(assembly):
    """Cut assembly into its functions: name -> text."""
    return dict(re.findall(r"^(\w+):\s.*?\n(.*?)^\.Lfunc_end\d+:", assembly, re.M | re.S))


def test_the_tile_multiplies_with_the_familys_instruction(emitted):
    case, assembly, _ = emitted
    tiles = {name: text for name, text in functions(assembly).items() if name.startswith(("dot_tile_", "linear_tile_"))}
    family = FAMILIES[case[0]]
    row_counts = 2 if family.dot == MATRIX else family.tile_rows
    deep_rows, deep_panels = family.deep_tile or (0, 0)
    assert len(tiles) == 2 * row_counts * family.tile_panels + deep_rows * deep_panels
    for name, text in tiles.items():
        assert re.search(CASES[case], text), f"{name} of {case} has no {CASES[case]}:\n{text[:2000]}"


def test_no_instruction_needs_more_than_the_family_has(emitted):
    """No wider registers than the dot product's, and none of AVX in the portable one."""
    (_, triple), assembly, _ = emitted
    if triple == LINUX:
        widest = next(size for size in ("%tmm", "%zmm", "%ymm", "%xmm") if size in CASES[emitted[0]])
        wider = BIGGER_REGISTERS.get(widest)
        assert wider is None or not re.search(wider, assembly)


PREDICTIONS = {
    "avx512_vnni": ("cascadelake", "icelake-server"),
    "avx_vnni": ("alderlake",),
    "avx2": ("haswell", "znver2", "znver3"),
    "neon_dotprod": ("cortex-a76", "neoverse-n1"),
    "neon": ("cortex-a72",),
}
"""Family -> processors whose ports llvm-mca knows well enough; the Neoverse N1 is a Cortex-A76 for servers."""
PEAKS = {"neon_dotprod": 32, "neon": 8}
"""Multiply-accumulates in a cycle: two `sdot` of 16, one `smlal` of 8 (Arm's optimization guides of both cores)."""
DOTS = r"^.*\b(?:vpdpbusd|vpmaddubsw|vpaddw|vpmaddwd|vpaddd|sdot|smull2?|smlal2?|sadalp)\s.*$"
LOOP = r"^(\.LBB\w+):(.*?^\s+(?:j\w+|b\.\w+)\s+\1$)"
ITERATIONS = 200


def predict(code, triple, cpu):
    """Let llvm-mca predict a loop's body: (cycles of an iteration, the limit of its ports)."""
    command = ["llvm-mca", f"-mtriple={triple}", f"-mcpu={cpu}", f"-iterations={ITERATIONS}"]
    said = subprocess.run(command, input=code, capture_output=True, text=True, check=True).stdout
    cycles = int(re.search(r"Total Cycles:\s+(\d+)", said)[1]) / ITERATIONS
    return cycles, float(re.search(r"Block RThroughput:\s+([\d.]+)", said)[1])


def largest_loops(case, assembly):
    """Find the loop of the largest tile for each number of int16 steps: name of the tile -> text."""
    result = {}
    for int16_steps in FAMILIES[case[0]].tiles:
        own = {
            name: text for name, text in functions(assembly).items() if name.startswith(f"linear_tile_{int16_steps}x")
        }
        largest = max(own, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])
        loops = [
            body for _, body in re.findall(r"^(\.LBB\w+):(.*?^\s+(?:j\w+|b\.\w+)\s+\1$)", own[largest], re.M | re.S)
        ]
        (result[largest],) = [body for body in loops if re.search(CASES[case], body)]
    return result


def test_the_largest_tiles_keep_their_sums_in_registers(emitted):
    case, assembly, _ = emitted
    if FAMILIES[case[0]].dot in (MATRIX, "portable"):
        pytest.skip(f"{case[0]} has no vector registers of its own to fill")
    for name, loop in largest_loops(case, assembly).items():
        assert not re.search(r"\(%rsp|\[sp", loop), f"{name} of {case} spills registers:\n{loop}"


@pytest.mark.skipif(shutil.which("llvm-mca") is None, reason="llvm-mca is not installed")
def test_the_loop_of_the_largest_tile_is_as_fast_as_its_products(emitted):
    """Loads, broadcasts, prefetches and the loop itself hide behind the dot products, to 85 % at least."""
    (family, triple), assembly, _ = emitted
    if family not in PREDICTIONS:
        pytest.skip(f"llvm-mca does not model {family}")
    for name, loop in largest_loops(emitted[0], assembly).items():
        for cpu in PREDICTIONS[family]:
            _, limit = predict("\n".join(re.findall(DOTS, loop, re.M)), triple, cpu)
            cycles, _ = predict(loop, triple, cpu)
            assert limit >= 0.85 * cycles, f"{name} of {family} on {cpu}: {cycles} cycles, {limit} without the rest"
            if family in PEAKS:
                # An iteration of NEON's takes four steps of four inputs, for panels of 16 outputs.
                _, rows, panels = (int(number) for number in re.findall(r"\d+", name))
                per_cycle = rows * panels * 16 * 16 / cycles
                assert per_cycle >= 0.8 * PEAKS[family], f"{name} of {family} on {cpu}: {per_cycle} products a cycle"


def symbols(data):
    """Read the symbols of a 64-bit little-endian ELF object: (names defined for others, names undefined)."""
    start, size, count = struct.unpack_from("<Q", data, 40)[0], *struct.unpack_from("<HH", data, 58)
    # type, offset, size and link of each section: the table of symbols is of type 2 and links to its strings
    sections = [struct.unpack_from("<4xI16xQQI", data, start + size * i) for i in range(count)]
    offset, length, link = next(section[1:] for section in sections if section[0] == 2)
    strings = data[sections[link][1] :]
    defined, undefined = set(), set()
    for name, info, _, section, _, _ in struct.iter_unpack("<IBBHQQ", data[offset : offset + length]):
        text = strings[name:].split(b"\0", 1)[0].decode()
        if section == 0:
            undefined.add(text)
        elif info >> 4:  # not local
            defined.add(text)
    return defined, undefined - {""}


def test_the_object_stands_alone(emitted):
    """It calls no library: it can be loaded by anything, anywhere."""
    (_, triple), _, data = emitted
    assert data[:5] == b"\x7fELF\x02"
    assert struct.unpack_from("<H", data, 18)[0] == MACHINES[triple.split("-")[0]]
    defined, undefined = symbols(data)
    assert defined == {f"{PREFIX}{name}" for name in SIGNATURES}
    assert undefined <= {"_GLOBAL_OFFSET_TABLE_"}
