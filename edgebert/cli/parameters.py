"""Kinds of arguments and options that a shell completes."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["CommandName", "FileName", "ModelName"]


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


class ModelName(FileName):
    """What -m takes: a file, or the name of a model that is here, which a shell completes."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Offer the models that are here, and let the shell look for files."""
        from click.shell_completion import CompletionItem

        from edgebert.bundled import BUNDLED
        from edgebert.model_cache import kept_models

        names = [model.name for model in BUNDLED] + [kept.name for kept in kept_models()]
        near = [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return near + super().shell_complete(ctx, param, incomplete)


class CommandName(click.ParamType):  # type: ignore[type-arg] # generic from click 8.3 on
    """The name of a command, which a shell completes; whether there is one, is asked by who reads it."""

    name = "command"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:  # noqa: ARG002
        """Offer the commands."""
        from click.shell_completion import CompletionItem

        root = ctx.find_root()
        assert isinstance(root.command, click.Group)
        return [CompletionItem(name) for name in root.command.list_commands(root) if name.startswith(incomplete)]
