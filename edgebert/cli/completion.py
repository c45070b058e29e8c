"""``edgebert completion``: commands, options and files completed by the shell."""

from __future__ import annotations

import click

from edgebert.cli.help import command
from edgebert.output import print_text

__all__ = ["completion"]

_INSTALL = {
    "bash": ("~/.bashrc", 'eval "$(edgebert completion bash)"'),
    "zsh": ("~/.zshrc, after compinit", 'eval "$(edgebert completion zsh)"'),
    "fish": ("~/.config/fish/config.fish", "edgebert completion fish | source"),
}
"""Shell -> the file that it reads when it starts, and the line to add there."""


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
