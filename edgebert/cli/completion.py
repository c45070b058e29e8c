"""``edgebert completion``: commands, options and files completed by the shell."""

from __future__ import annotations

from typing import Any

import click

from edgebert.cli.help import command
from edgebert.output import print_text

__all__ = ["FileName", "completion"]

_INSTALL = {
    "bash": ("~/.bashrc", 'eval "$(edgebert completion bash)"'),
    "zsh": ("~/.zshrc, after compinit", 'eval "$(edgebert completion zsh)"'),
    "fish": ("~/.config/fish/config.fish", "edgebert completion fish | source"),
}
"""Shell -> the file that it reads when it starts, and the line to add there."""


class FileName(click.ParamType):  # type: ignore[type-arg] # generic from click 8.3 on
    """The name of a file, which a shell completes; whether there is one, is asked when it is opened."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """Return the name as it is."""
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:  # noqa: ARG002
        """Let the shell look."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


@command(
    short_help="Let a shell complete commands, options and files.",
    examples=[line for _, line in _INSTALL.values()],
)
@click.argument("shell", type=click.Choice([*_INSTALL]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that lets a shell complete commands, options and files.

    \b
    bash  add to ~/.bashrc:                   eval "$(edgebert completion bash)"
    zsh   add to ~/.zshrc, after compinit:    eval "$(edgebert completion zsh)"
    fish  add to ~/.config/fish/config.fish:  edgebert completion fish | source
    """
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    assert script is not None
    root = context.find_root()
    place, line = _INSTALL[shell]
    source = script(root.command, {}, "edgebert", "_EDGEBERT_COMPLETE").source()
    print_text(f"# To install it, add to {place}:\n#   {line}\n{source}\n")
