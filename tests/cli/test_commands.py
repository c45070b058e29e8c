"""The group itself: help at once, the version with the machine, and how a command ends."""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

import edgebert
from edgebert import cli as cli_module
from edgebert.choices import FUNCTIONS, POOLINGS, POOLS, STRATEGIES
from edgebert.cli import cli
from edgebert.cli.help import GROUPS, Command
from edgebert.cli.parameters import FileName
from edgebert.errors import InputError, TruncationWarning
from edgebert.layout import EMBEDDINGS
from tests.cli.command import invoke, run
from tests.cli.fake_model import FakeModel

LINE_COMMANDS = {
    "classify": [],
    "tag": [],
    "fill-mask": [],
    "next-sentence": [],
    "score": [],
    "rank": ["--query", "q"],
    "embed": ["-o", "out.npy"],
}
"""Commands that go over texts line by line, with what they need besides."""


@pytest.mark.parametrize("command", [(), *((name,) for name in cli.list_commands(None))])
def test_help_imports_no_numpy_and_no_engine(command: tuple[str, ...]) -> None:
    code = (
        "import sys; sys.argv = ['edgebert', *sys.argv[1:], '--help']\n"
        "from edgebert.cli import cli\n"
        "try: cli(prog_name='edgebert')\n"
        "finally: print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("Usage: edgebert ")
    loaded = result.stderr.split()
    assert "click" in loaded
    assert not {"numpy", "numba", "llvmlite", "tokenizers", "safetensors", "huggingface_hub"} & set(loaded)


def test_every_command_explains_its_options() -> None:
    for name in cli.list_commands(None):
        command = cli.get_command(None, name)
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts}"


@pytest.mark.parametrize("command", [*LINE_COMMANDS, "answer"])
def test_help_says_where_texts_come_from_and_what_is_written(command: str) -> None:
    told = " ".join((cli.get_command(None, command).help or "").split())
    assert "FILES, " in told
    assert "of standard input (-)" in told or "from standard input (-)" in told
    assert "--text" in told
    columns = ["OUT.npy", "OUT.jsonl"] if command == "embed" else ["tsv", "csv", "jsonl", "table"]
    assert all(name in told for name in [*columns, "tokens, windows, truncated" if command != "score" else "windows"])


def test_choices_are_those_of_the_library() -> None:
    def choices(command: str, option: str) -> set[str]:
        (found,) = (each for each in cli.get_command(None, command).params if f"--{option}" in each.opts)
        assert isinstance(found.type, click.Choice)
        return set(found.type.choices)

    assert choices("classify", "pool") == {*POOLS}
    assert choices("classify", "function") == {*FUNCTIONS.values()}
    assert choices("tag", "strategy") == {*STRATEGIES}
    assert choices("embed", "pooling") == {*POOLINGS, "none"}
    assert choices("convert", "embeddings") == {*EMBEDDINGS}


def test_no_command_shows_the_help() -> None:
    result = invoke()
    assert result.exit_code == 2
    assert "\nTexts:\n  classify  " in result.output


def test_the_list_of_commands_has_all_of_them_and_nothing_is_cut_off() -> None:
    told = invoke("--help").output
    listed = re.findall(r"^  ([a-z][a-z-]+)  ", told, re.MULTILINE)
    assert sorted(listed) == sorted(cli.list_commands(None))
    assert not re.search(r"[a-z]\.\.\.", told)


@pytest.mark.parametrize("command", [(), *((name,) for name in cli.list_commands(None))])
def test_help_fits_eighty_columns(command: tuple[str, ...]) -> None:
    assert max(map(len, invoke(*command, "--help").output.splitlines())) <= 80


@pytest.mark.parametrize("name", cli.list_commands(None))
def test_every_command_has_examples_that_it_understands(name: str) -> None:
    """The words of each example are parsed, and nothing is run."""
    command = cli.get_command(None, name)
    assert isinstance(command, Command)
    assert command.examples
    for example in command.examples:
        told = re.search(r"edgebert [^#|)]+", example)
        assert told is not None
        _, first, *rest = shlex.split(told[0])
        assert first == name
        command.make_context(name, rest, parent=click.Context(cli)).close()


def test_groups_are_of_options_that_there_are() -> None:
    known = {parameter.name for parameter in cli.params}
    for name in cli.list_commands(None):
        command = cli.get_command(None, name)
        assert command is not None
        known |= {parameter.name for parameter in command.params}
    assert {name for names in GROUPS.values() for name in names} <= known


def test_options_are_in_groups_and_the_commands_own_come_first() -> None:
    told = invoke("classify", "--help").output
    titles = re.findall(r"^([A-Z][a-z ]+):$", told, re.MULTILINE)
    assert titles == [
        *("Examples", "Options", "Input", "Output", "Model", "Long texts", "Speed and memory", "Other", "Details")
    ]
    groups = dict(zip(titles, re.split(r"^[A-Z][a-z ]+:$", told, flags=re.MULTILINE)[1:], strict=True))
    for option, title in [
        ("--top-k", "Options"),
        ("--text", "Input"),
        ("-o, --output", "Output"),
        ("--pool", "Long texts"),
        ("--threads", "Speed and memory"),
        ("-h, --help", "Other"),
    ]:
        assert f"\n  {option}" in groups[title]
    assert "[FILE | -]" not in groups["Options"]


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ("clasify", "Did you mean classify?"),
        ("fill_mask", "Did you mean fill-mask?"),
        ("EMBED", "Did you mean embed?"),
        (__file__, f"To label a file: edgebert classify {__file__}"),
        ("xyz", "edgebert --help lists all."),
    ],
)
@pytest.mark.parametrize("asked", [(), ("help",)])
def test_a_command_that_there_is_not(wrong: str, advice: str, asked: tuple[str, ...]) -> None:
    result = invoke(*asked, wrong)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"Error: There is no command {wrong!r}. {advice}" in result.stderr


def test_an_option_that_there_is_not() -> None:
    result = invoke("classify", "--lables", "a,b")
    assert result.exit_code == 2
    assert re.search("Did you mean '?--labels'?", result.stderr)


@pytest.mark.parametrize("name", ["classify", "help", "doctor"])
def test_help_is_a_command_too(name: str) -> None:
    assert invoke("help", name).output == invoke(name, "--help").output
    assert invoke("help").output == invoke("--help").output


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("clas",), ["plain,classify"]),
        (("classify", "--trunc"), ["plain,--truncate"]),
        (("tag", "--strategy", "s"), ["plain,simple"]),
        (("classify", "rev"), ["file,rev"]),
        (("classify", "-m", "m"), ["plain,minilm", "file,m"]),
        (("help", "fill"), ["plain,fill-mask"]),
    ],
)
def test_bash_completes(words: tuple[str, ...], found: list[str]) -> None:
    completing = {"COMP_WORDS": f"edgebert {' '.join(words)}", "COMP_CWORD": str(len(words))}
    result = run(**completing, _EDGEBERT_COMPLETE="bash_complete")
    assert (result.returncode, result.stdout.decode().split()) == (0, found)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_for_every_shell(shell: str) -> None:
    told = invoke("completion", shell).stdout
    assert told.startswith("# To install it, add to ~/.")
    assert f"edgebert completion {shell}" in told
    assert f"_EDGEBERT_COMPLETE={shell}_complete" in told
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=told, text=True, check=True)


@pytest.mark.parametrize(("threads", "words"), [("1", "1 thread"), ("3", "3 threads")])
def test_version_names_family_and_threads(threads: str, words: str) -> None:
    result = run("--version", EDGEBERT_NUM_THREADS=threads)
    machine = edgebert.describe_machine()
    expected = f"edgebert {edgebert.__version__} ({machine['family']}, {words}) on {machine['processor']}\n"
    assert (result.returncode, result.stdout.decode(), result.stderr) == (0, expected, b"")


def test_version_with_a_setting_that_cannot_be() -> None:
    result = run("--version", EDGEBERT_NUM_THREADS="many")
    assert result.returncode == 1
    assert result.stderr.startswith(b"edgebert: error: EDGEBERT_NUM_THREADS is 'many'")
    assert result.stderr.count(b"\n") == 1


def test_python_m() -> None:
    result = subprocess.run([sys.executable, "-m", "edgebert", "--help"], capture_output=True, text=True, check=True)
    assert result.stdout == invoke("--help").stdout.replace("Usage: cli ", "Usage: edgebert ")


def test_an_error_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str | None, threads: int | None, max_memory: str | None, device: str | None) -> FakeModel:
        raise InputError("first line\nsecond line \x1b[2J")

    monkeypatch.setattr(edgebert, "load", fail)
    result = invoke("classify", "--text", "x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "edgebert: error: first line\\nsecond line \\x1b[2J\n"


def test_a_bug_shows_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str | None, threads: int | None, max_memory: str | None, device: str | None) -> FakeModel:
        raise OSError(errno.EIO, "not about the user's files")

    monkeypatch.setattr(edgebert, "load", fail)
    with pytest.raises(OSError, match="not about"):
        invoke("classify", "--text", "x")


def test_a_full_disk_is_no_bug_wherever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str | None, threads: int | None, max_memory: str | None, device: str | None) -> FakeModel:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/cache/kernels")

    monkeypatch.setattr(edgebert, "load", fail)
    result = invoke("classify", "--text", "x")
    assert result.exit_code == 1
    assert result.stderr == "edgebert: error: /cache/kernels could not be written: No space left on device\n"


@pytest.mark.parametrize("command", LINE_COMMANDS)
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["file", "--text", "x"], "Give either FILES or --text"),
        (["--threads", "0", "--text", "x"], "0 is not in the range x>=1"),
        (["--errors", "ignore", "--text", "x"], "'ignore' is not one of"),
        (["-", "--split", "words"], "'words' is not one of"),
        (["-", "--column", "text"], "--column does not go with plain text"),
    ],
)
def test_usage_errors(command: str, arguments: list[str], complaint: str, model: FakeModel) -> None:
    result = invoke(command, *arguments, *LINE_COMMANDS[command])
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert model.calls == []


@pytest.mark.parametrize("command", [[name, *needed] for name, needed in LINE_COMMANDS.items()])
def test_files_that_cannot_be_read(command: list[str], model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    for name, fault in [("none", "No such file"), ("folder", "there is no file"), ("empty", "no text in it")]:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            result = invoke(*command, tmp_path / name)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith(f"edgebert: error: {tmp_path / name}")
        assert fault in result.stderr
        assert result.stderr.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == ["empty", "folder"]


def test_warnings_of_others_look_as_python_has_them() -> None:
    found = cli_module._format_warning("about x", DeprecationWarning, "file.py", 3)
    assert found == "file.py:3: DeprecationWarning: about x\n"
    own = cli_module._format_warning("about\x1b y", TruncationWarning, "file.py", 3)
    assert own == "edgebert: warning: about\\x1b y\n"


def test_the_shell_completes_the_file_of_every_output():
    commands = [cli.get_command(None, name) for name in cli.list_commands(None)]
    outputs = [each for command in commands for each in command.params if each.name == "output"]
    assert len(outputs) > 10
    assert [each.type.__class__ for each in outputs] == [FileName] * len(outputs)
