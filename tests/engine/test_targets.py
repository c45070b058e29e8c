"""What kernels can be compiled for, and what links them."""

import shutil
import subprocess

import pytest

from edgebert.engine import compiler, linker
from edgebert.engine.kernel_file import KernelFile, this_platform
from edgebert.engine.library import KernelLibrary
from edgebert.engine.linker import TRIPLES, find_compiler, link_shared
from edgebert.engine.processor import available_families
from edgebert.engine.targets import NAMES, find_target
from edgebert.errors import EdgebertError, SettingError
from edgebert.kernels.simd.families import FAMILIES
from tests.cli.command import invoke, run

KNOWN = """
import llvmlite.binding as llvm, os, sys
llvm.initialize_all_targets()
for name in sys.argv[2:]:
    llvm.Target.from_triple(sys.argv[1]).create_target_machine(cpu=name)
"""


@pytest.mark.parametrize(
    ("name", "family", "platform"),
    [
        ("raspberrypi3", "neon", "linux-aarch64"),
        ("raspberrypi4", "neon", "linux-aarch64"),
        ("raspberrypi5", "neon_dotprod", "linux-aarch64"),
        ("cortex-a72", "neon", "linux-aarch64"),
        ("neoverse-n2", "neon_i8mm", "linux-aarch64"),
        ("x86-64-v3", "avx2", "linux-x86_64"),
        ("x86-64-v4", "avx512bw", "linux-x86_64"),
        ("znver4", "avx512_vnni", "linux-x86_64"),
        ("avx_vnni", "avx_vnni", "linux-x86_64"),
        ("portable", "portable", this_platform()),
        ("native", available_families()[0], this_platform()),
    ],
)
def test_names(name, family, platform):
    assert find_target(name) == (family, platform)


@pytest.mark.parametrize("name", ["", "pentium", "RASPBERRYPI4", "reference"])
def test_a_name_that_is_not_known(name):
    with pytest.raises(SettingError, match=f"there is no target '{name}', expected native, a family .*raspberrypi4"):
        find_target(name)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_llvm_knows_these_processors(run_python, machine):
    """A name of LLVM's that it does not know would be a word of our own."""
    own = ("raspberrypi", "x86-64-v")
    names = [name for name, family in NAMES.items() if FAMILIES[family].machine == machine and not name.startswith(own)]
    assert len(names) > 10
    assert run_python(KNOWN, f"{machine}-unknown-linux-gnu", *names).stderr == ""
    assert "not a recognized processor" in run_python(KNOWN, f"{machine}-unknown-linux-gnu", "pentium9").stderr


@pytest.fixture
def commands(monkeypatch):
    """Return a function that says which commands there are."""

    def give(*names, ziglang=False):
        monkeypatch.setattr(linker.shutil, "which", lambda name: name if name in names else None)
        monkeypatch.setattr(linker.importlib.util, "find_spec", lambda name: "a spec" if ziglang else None)
        monkeypatch.delenv("CC", raising=False)

    return give


def test_which_compiler(commands, monkeypatch):
    other = next(platform for platform in TRIPLES if platform != this_platform())
    commands("cc", f"{TRIPLES[other]}-gcc", "my-cc")
    assert find_compiler(this_platform()) == ["cc"]
    assert find_compiler(other) == [f"{TRIPLES[other]}-gcc"]
    monkeypatch.setenv("CC", "my-cc")
    assert find_compiler(this_platform()) == ["my-cc"]
    commands("cc")
    assert find_compiler(other) is None
    commands(ziglang=True)
    assert find_compiler(other)[1:] == ["-m", "ziglang", "cc", "-target", f"{TRIPLES[other]}.2.28"]
    assert find_compiler("darwin-aarch64") is None
    commands("cc", "my-cc", f"{TRIPLES[other]}-gcc", ziglang=True)
    assert find_compiler(other) == [f"{TRIPLES[other]}-gcc"]
    for platform in TRIPLES:
        zig = find_compiler(platform, portable=True)
        assert zig[1:] == ["-m", "ziglang", "cc", "-target", f"{TRIPLES[platform]}.2.28"]
    monkeypatch.setenv("CC", "my-cc")
    assert find_compiler(this_platform(), portable=True) == ["my-cc"]


def test_without_a_compiler(commands):
    commands()
    with pytest.raises(EdgebertError, match=r"no C compiler for linux-aarch64 here.*aarch64-linux-gnu-gcc, or: pip"):
        link_shared(b"", "linux-aarch64")
    with pytest.raises(EdgebertError, match=r"win32-x86_64 here.*expected linux-x86_64 or linux-aarch"):
        link_shared(b"", "win32-x86_64")


@pytest.mark.parametrize(
    ("family", "platform", "arguments"),
    [
        ("neon", "linux-aarch64", ["neon", "--triple", "aarch64-linux-gnu"]),
        ("avx2", "linux-x86_64", ["avx2", "--triple", "x86_64-linux-gnu"]),
        ("portable", None, ["portable"]),
    ],
)
def test_what_the_compiler_is_asked_for(monkeypatch, family, platform, arguments):
    asked = []
    monkeypatch.setattr(compiler, "run_compiler", lambda *what: asked.append(what) or b"code")
    monkeypatch.setattr(compiler, "this_platform", lambda: "darwin-aarch64")
    assert compiler.compile_object(family, platform) == b"code"
    ((module, given, _),) = asked
    assert (module, given) == ("edgebert.kernels.compile", arguments)


def test_what_cannot_be_linked_is_not_compiled(commands, monkeypatch, tmp_path):
    """That takes long."""
    commands()
    monkeypatch.setattr(compiler, "compile_object", lambda *_, **__: pytest.fail("it was compiled"))
    result = invoke("compile", "--target", "raspberrypi4", "-o", tmp_path / "pi4.so")
    assert result.exit_code == 1
    assert "there is no C compiler for linux-aarch64 here" in result.stderr


def test_a_compiler_that_fails_says_why():
    if find_compiler(this_platform()) is None:
        pytest.skip("there is no C compiler")
    with pytest.raises(EdgebertError, match=r"failed: .*kernels\.o"):
        link_shared(b"no object file", this_platform())


@pytest.mark.slow
@pytest.mark.skipif(find_compiler(this_platform()) is None, reason="there is no C compiler")
def test_a_library_does_not_ask_for_a_stack_that_may_run_programs(object_code, tmp_path):
    """Assemblers mark no object file of LLVM's as doing without; hardened systems refuse to load such a library."""
    (tmp_path / "kernels.so").write_bytes(link_shared(object_code, this_platform()))
    said = subprocess.run(
        ["readelf", "-lW", tmp_path / "kernels.so"], capture_output=True, text=True, check=True
    ).stdout
    (stack,) = [line.split() for line in said.splitlines() if "GNU_STACK" in line]
    assert "RW" in stack
    assert "RWE" not in stack


@pytest.fixture
def object_code(cache_home, monkeypatch):
    """Compile the portable kernels once; `compile_object` gives them from then on."""
    code = compiler.compile_object("portable")
    monkeypatch.setattr(compiler, "compile_object", lambda *_, **__: code)
    return code


@pytest.mark.slow
def test_kernels_without_a_linker_are_an_object_file(object_code, commands):
    commands()
    kernels = compiler.compile_kernels("portable")
    assert (kernels.form, kernels.code) == ("object", object_code)
    assert KernelLibrary(kernels).scratch_bytes(16, 16) > 0


@pytest.mark.slow
def test_a_linker_that_fails_costs_the_shared_library_only(object_code, monkeypatch, capsys):
    def fail(*_):
        raise EdgebertError("cc failed: no space")

    monkeypatch.setattr(compiler, "find_compiler", lambda platform: ["cc"])
    monkeypatch.setattr(compiler, "link_shared", fail)
    assert compiler.compile_kernels("portable").form == "object"
    assert "not linked, which makes every start slower: cc failed: no space" in capsys.readouterr().err


@pytest.mark.needs_emulator
@pytest.mark.skipif(shutil.which("aarch64-linux-gnu-gcc") is None, reason="there is no cross compiler")
def test_a_shared_library_for_another_platform(tmp_path):
    path = tmp_path / "pi4.so"
    done = run("compile", "--target", "raspberrypi4", "-o", str(path))
    assert done.returncode == 0
    assert done.stdout.decode().startswith(f"{path}: shared kernels for neon on linux-aarch64, needs neon, ")
    kernels = KernelFile.read(path)
    assert kernels.incompatibility(frozenset({"neon"})) == f"they are for linux-aarch64, this is {this_platform()}"
    said = subprocess.run(["readelf", "-hd", path], capture_output=True, text=True, check=True).stdout
    assert "AArch64" in said
    assert "NEEDED" not in said


@pytest.fixture
def asked(monkeypatch):
    """Return what the compiler and the linker are asked for, instead of asking them."""
    calls = []

    def called(name, answer):
        def call(*arguments):
            calls.append((name, *arguments))
            return answer

        return call

    monkeypatch.setattr(compiler, "compile_object", called("compile", b"o" * 2500))
    monkeypatch.setattr(linker, "require_compiler", called("require", None))
    monkeypatch.setattr(linker, "link_shared", called("link", b"s" * 3500))
    return calls


def test_the_command_compiles_an_object_file_for_another_processor(asked, tmp_path):
    said = invoke("compile", "--target", "raspberrypi5", "-o", tmp_path / "pi5.o")
    needs = ", ".join(FAMILIES["neon_dotprod"].needs)
    assert said.stdout == (
        f"{tmp_path / 'pi5.o'}: object kernels for neon_dotprod on linux-aarch64, needs {needs}, 2 kB\n"
    )
    assert asked == [("compile", "neon_dotprod", "linux-aarch64")]
    assert (tmp_path / "pi5.o").read_bytes() == b"o" * 2500


def test_the_command_links_a_library_named_by_its_target(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = invoke("compile", "--target", "raspberrypi4")
    assert said.stdout.startswith("edgebert-raspberrypi4.so: shared kernels for neon on linux-aarch64, ")
    assert said.stdout.endswith(", 3 kB\n")
    assert [call[0] for call in asked] == ["require", "compile", "link"]
    assert asked[0] == ("require", "linux-aarch64")
    assert asked[2] == ("link", b"o" * 2500, "linux-aarch64")
    read = KernelFile.read(tmp_path / "edgebert-raspberrypi4.so")
    assert (read.family, read.platform, read.form) == ("neon", "linux-aarch64", "shared")


def test_the_command_keeps_kernels_for_this_processor(monkeypatch, tmp_path):
    """Those that are kept say where; where nothing can be kept, that is said, too."""
    family = available_families()[0]
    made = KernelFile.of(family, this_platform(), "shared", b"s" * 1500)
    for kept, place in ((made._replace(path=tmp_path / "kept.so"), str(tmp_path / "kept.so")), (made, "nowhere")):
        monkeypatch.setattr(compiler, "compile_and_keep", lambda asked_for, kept=kept: asked_for == family and kept)
        assert invoke("compile").stdout.startswith(f"{place}: shared kernels for {family} on {this_platform()}")
