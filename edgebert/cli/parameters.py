"""Kinds of arguments and options: texts, and what a shell completes."""

from __future__ import annotations

import os
from typing import Any

import click

from edgebert.errors import shown

__all__ = ["CommandName", "FileName", "ModelName", "Text"]


class Text(click.ParamType):  # type: ignore[type-arg] # generic from click 8.3 on
    """Text that a user gives in an option; ``--errors`` decides about bytes that are not UTF-8, as it does in files."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text.

        Raises
        ------
        InputError
            When it is not UTF-8.
        """
        try:
            value.encode()
        except UnicodeEncodeError:  # Python keeps the bytes of an argument that it could not decode as lone surrogates
            from edgebert.tables.stream import decode

            assert param is not None
            assert ctx is not None
            data = os.fsencode(value)
            which = f" {shown(data.decode('utf-8', 'replace'))}" if param.multiple else ""  # one alone may be a secret
            return decode(data, ctx.params["errors"], f"{param.opts[-1]}{which}")
        return value


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
