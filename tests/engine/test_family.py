"""Which instruction family: the best that the processor has, or what the environment asks for."""

import sys
from types import SimpleNamespace

import pytest

import edgebert
from edgebert.engine import kernel_file, processor
from edgebert.engine.processor import REFERENCE, available_families, choose_family
from edgebert.engine.threads import default_threads
from edgebert.errors import SettingError
from edgebert.kernels.simd.families import FAMILIES


@pytest.fixture
def available(monkeypatch):
    """Return a function that sets what the processor can run."""

    def give(*names):
        monkeypatch.setattr(processor, "available_families", lambda: names)

    return give


def test_what_this_processor_has():
    names = available_families()
    assert list(names) == [name for name in FAMILIES if name in names]
    assert names[-1] == "portable"


@pytest.fixture
def with_features(monkeypatch):
    """Return a function from a processor's features and machine to the families that it can run."""

    def compute(*names, machine="x86_64"):
        monkeypatch.setattr(processor, "features", lambda: frozenset(names))
        monkeypatch.setattr(processor, "this_platform", lambda: f"linux-{machine}")
        monkeypatch.setattr(processor, "_may_use_tiles", lambda: True)  # Linux grants them where they exist
        return available_families.__wrapped__()

    return compute


def test_families_by_features(with_features):
    """A family needs all of its features, and its machine."""
    everything = {feature for family in FAMILIES.values() for feature in family.needs}
    x86 = tuple(name for name, family in FAMILIES.items() if family.machine in ("", "x86_64"))
    arm = tuple(name for name, family in FAMILIES.items() if family.machine in ("", "aarch64"))
    assert with_features(*everything) == x86
    assert with_features(*everything, machine="aarch64") == arm
    assert with_features(*everything - {"avx512vnni"}) == ("avx512bw", "avx_vnni", "avx2", "portable")
    assert with_features(*everything - {"i8mm"}, machine="aarch64") == ("neon_dotprod", "neon", "portable")
    assert with_features("neon", machine="aarch64") == ("neon", "portable")
    assert with_features(*FAMILIES["avx2"].needs) == ("avx2", "portable")
    for feature in FAMILIES["avx2"].needs:
        assert with_features(*set(FAMILIES["avx2"].needs) - {feature}) == ("portable",)
    assert with_features() == ("portable",)


@pytest.mark.parametrize(("answer", "best"), [(0, "amx"), (-1, "avx512_vnni")])
def test_tiles_only_where_linux_grants_them(monkeypatch, answer, best):
    asked = []
    kernel = SimpleNamespace(syscall=lambda *arguments: (asked.append(arguments), answer)[1])
    monkeypatch.setattr(processor, "features", lambda: frozenset(FAMILIES["amx"].needs))
    monkeypatch.setattr(processor, "this_platform", lambda: "linux-x86_64")
    monkeypatch.setattr(processor.sys, "platform", "linux")
    monkeypatch.setattr(processor.ctypes, "CDLL", lambda name: kernel)
    assert available_families.__wrapped__()[0] == best
    assert asked == [(158, 0x1023, 18)]  # arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    monkeypatch.setattr(processor.sys, "platform", "darwin")
    assert available_families.__wrapped__()[0] == "avx512_vnni"


@pytest.mark.parametrize(
    ("there", "numba", "expected"),
    [
        (["avx2", "portable"], False, "avx2"),
        (["avx2"], True, "avx2"),
        (["portable"], True, "avx2"),
        (["portable"], False, "portable"),
        ([], False, "avx2"),
        ([], True, "avx2"),
    ],
)
def test_without_numba_what_is_compiled_already_is_chosen(available, monkeypatch, there, numba, expected):
    available("avx2", "portable")
    monkeypatch.setattr(processor, "given_kernels", lambda environment: None)
    monkeypatch.setattr(processor, "find_kernels", lambda name, features: name if name in there else None)
    monkeypatch.setattr(processor, "can_compile", lambda: numba)
    assert choose_family({}) == expected


CPUINFO = {
    # Haswell, Cascade Lake, Sapphire Rapids: what Linux says of them
    "avx2": "flags\t\t: fpu sse4_2 movbe popcnt aes avx f16c rdrand fma bmi1 avx2 bmi2 erms",
    "avx512_vnni": "flags\t\t: fpu sse4_2 popcnt avx f16c fma bmi1 avx2 bmi2 avx512f avx512dq avx512cd avx512bw"
    " avx512vl avx512_vnni",
    "amx": "flags\t\t: fpu sse4_2 popcnt avx fma avx2 bmi2 avx512f avx512dq avx512cd avx512bw avx512vl avx_vnni"
    " avx512_vnni amx_bf16 amx_tile amx_int8",
    "portable": "flags\t\t: fpu sse4_2 popcnt avx",
}


@pytest.mark.parametrize("best", CPUINFO)
def test_what_linux_says_of_a_processor(monkeypatch, with_features, best):
    text = f"processor\t: 0\nmodel name\t: some\n{CPUINFO[best]}\n\nprocessor\t: 1\n{CPUINFO[best]}\n"
    monkeypatch.setattr(processor.Path, "read_text", lambda path: text)
    monkeypatch.setattr(processor, "this_platform", lambda: "linux-x86_64")
    assert with_features(*processor.features.__wrapped__())[0] == best


@pytest.mark.parametrize(
    ("best", "words"),
    [
        # Raspberry Pi 4, Raspberry Pi 5, Graviton 3: their words AT_HWCAP and AT_HWCAP2
        ("neon", {16: 0x887, 26: 0}),
        ("neon_dotprod", {16: 0x119FFF, 26: 0}),
        ("neon_i8mm", {16: 0x3FFFFF, 26: 0x2000}),
    ],
)
def test_what_linux_says_of_an_arm_processor(monkeypatch, with_features, best, words):
    monkeypatch.setattr(processor, "this_platform", lambda: "linux-aarch64")
    monkeypatch.setattr(processor, "_hardware_capabilities", words.__getitem__)
    assert with_features(*processor.features.__wrapped__(), machine="aarch64")[0] == best


@pytest.mark.parametrize(("machine", "name"), [("aarch64", "armv8l"), ("x86_64", "i686"), ("armv7l", "armv7l")])
def test_a_python_of_32_bits_on_a_system_of_64(monkeypatch, with_features, machine, name):
    """Raspberry Pi OS runs one; what is for the kernel's processor cannot be loaded into it."""
    monkeypatch.setattr(kernel_file.os, "uname", lambda: SimpleNamespace(machine=machine))
    assert kernel_file.this_platform.__wrapped__() == f"{sys.platform}-{machine}"
    monkeypatch.setattr(kernel_file.sys, "maxsize", 2**31 - 1)
    assert kernel_file.this_platform.__wrapped__() == f"{sys.platform}-{name}"
    everything = {feature for family in FAMILIES.values() for feature in family.needs}
    assert with_features(*everything, machine=name) == ("portable",)


def test_what_other_systems_say_of_a_processor(monkeypatch):
    """LLVM knows; without llvmlite nothing is known."""
    llvm = pytest.importorskip("llvmlite.binding")

    def no_such_file(path):
        raise FileNotFoundError

    monkeypatch.setattr(processor.Path, "read_text", no_such_file)
    monkeypatch.setattr(processor, "this_platform", lambda: "darwin-x86_64")
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: {"avx2": True, "avx": True, "avx512f": False})
    assert processor.features.__wrapped__() == {"avx", "avx2"}
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    assert processor.features.__wrapped__() == frozenset()


@pytest.mark.parametrize(
    "line", ["model name\t: Some processor", "Model\t\t: Some processor", "processor\t: 0\nmodel name : Some processor"]
)
def test_the_name_that_linux_gives_a_processor(monkeypatch, line):
    """On x86 that of each core, on a Raspberry Pi that of the board."""
    monkeypatch.setattr(processor.Path, "read_text", lambda path: f"bogomips\t: 1\n{line}\nflags\t: fpu\n")
    assert processor.processor_name() == "Some processor"


def test_linux_and_llvm_agree_on_this_processor():
    llvm = pytest.importorskip("llvmlite.binding")
    asked = {feature for family in FAMILIES.values() for feature in family.needs}
    said = {name for name, present in llvm.get_host_cpu_features().items() if present}
    assert processor.features() == said & asked


def test_the_best_is_chosen(available):
    available("avx2", "portable")
    assert choose_family({}) == "avx2"
    assert choose_family({"EDGEBERT_FAMILY": ""}) == "avx2"


def test_another_is_asked_for(available):
    available("avx2", "portable")
    assert choose_family({"EDGEBERT_FAMILY": "portable"}) == "portable"
    assert choose_family({"EDGEBERT_FAMILY": " reference "}) == REFERENCE


def test_one_that_the_processor_lacks(available):
    available("avx2", "portable")
    with pytest.raises(SettingError, match="avx512bw, which this processor cannot run; it can run avx2, portable"):
        choose_family({"EDGEBERT_FAMILY": "avx512bw"})


@pytest.mark.parametrize("bad", ["sse9", "AVX2", "avx2,portable", "0"])
def test_one_that_does_not_exist(available, bad):
    available("avx2", "portable")
    with pytest.raises(SettingError, match=rf"EDGEBERT_FAMILY is '{bad}', expected one of avx2, portable, reference"):
        choose_family({"EDGEBERT_FAMILY": bad})


def test_without_a_compiler_the_reference_serves(available):
    available("avx2", "portable")
    assert choose_family({"NUMBA_DISABLE_JIT": "1"}) == REFERENCE
    assert choose_family({"NUMBA_DISABLE_JIT": "0"}) == "avx2"
    assert choose_family({"NUMBA_DISABLE_JIT": ""}) == "avx2"
    assert choose_family({"NUMBA_DISABLE_JIT": "1", "EDGEBERT_FAMILY": "portable"}) == "portable"


def test_a_wrong_setting_stops_the_loading_of_a_model(golden_files, monkeypatch):
    monkeypatch.setenv("EDGEBERT_FAMILY", "sse9")
    with pytest.raises(SettingError, match="EDGEBERT_FAMILY"):
        edgebert.load(golden_files["encoder"])


def test_the_machine_is_described(monkeypatch):
    monkeypatch.setenv("EDGEBERT_FAMILY", "portable")
    monkeypatch.setenv("EDGEBERT_NUM_THREADS", "3")
    facts = edgebert.describe_machine()
    assert (facts["family"], facts["threads"]) == ("portable", default_threads(3))
    assert facts["processor"].strip()
