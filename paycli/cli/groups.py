"""What all commands do alike, and those that have commands."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, Final

from typer.core import TyperArgument, TyperCommand, TyperGroup
from typer.models import TyperPath

from paycli.cli import output
from paycli.cli.variables import misspelt
from paycli.errors import InputError

_COLUMN_MAX: Final = 30  # of names of options, before what they do
_WORD_MAX: Final = 28  # of help, such as a default or a variable's name
_PAGES: Final = {  # of the documentation, for commands that have one
    "breaking": "breaking",
    "lint": "lint",
    "mcp": "mcp",
    "pay": "fixtures",
    "pay_settle": "bulk",
    "proxy": "chaos",
    "smoke": "suites",
    "smoke_import": "suites",
    "smoke_record": "suites",
}
_MARGINS: Final = 4


class _Help:
    """How the help of a command and of a group of them is laid out."""

    name: str | None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """For terminals of any width."""
        _narrow(formatter)
        super().format_help(ctx, formatter)  # type: ignore[misc]  # of click's command

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """And where to read on."""
        super().format_epilog(ctx, formatter)  # type: ignore[misc]  # as above
        _point_to_docs(formatter, self.name)


class Command(_Help, TyperCommand):
    """Takes no empty value where something has to be named: it is a shell's variable that is not set."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        may_be_empty = any(not each or each.endswith("=") for each in args)
        # For a completion, what is typed may yet become something.
        if ctx.resilient_parsing or not may_be_empty:
            return super().parse_args(ctx, args)
        typed, _, _ = self.make_parser(ctx).parse_args(list(args))
        for each in self.params:
            value = typed.get(str(each.name))
            is_empty = value == "" or (isinstance(value, list | tuple) and "" in value)
            if is_empty and _names_something(each):
                otherwise = "" if each.required else ", or leave it out"
                raise InputError(f"{_called(each)} is empty; give it a value{otherwise}.")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Say first what the environment does not mean; whoever writes a log says it there."""
        if "log_format" not in ctx.params or ctx.params.get("print_config"):
            for warning in misspelt(os.environ):
                output.progress(warning)
        return super().invoke(ctx)


def _names_something(parameter: Any) -> bool:
    """A file, a setting, or what a command is nothing without; of the others "" may be meant."""
    return bool(parameter.envvar or parameter.required or isinstance(parameter.type, TyperPath))


def _called(parameter: Any) -> str:
    if isinstance(parameter, TyperArgument):
        return str(parameter.human_readable_name).strip("[].").upper()
    return str(parameter.opts[0])


def _narrow(formatter: Any) -> None:
    """Where there is little room, the name of a long option has a line of its own."""
    column = min(_COLUMN_MAX, max(formatter.width - _WORD_MAX - _MARGINS, 0))
    formatter.write_dl = partial(formatter.write_dl, col_max=column)


def _point_to_docs(formatter: Any, command: str | None) -> None:
    page = _PAGES.get(str(command), "")
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(f"Documentation: paycli docs {page}")


class CommandGroup(_Help, TyperGroup):
    """Says all of what each of its commands does, and its help when none is named."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - click's signature
        """List the commands; a description that is long goes on in the next line."""
        rows = [
            (name, (each.help or "").partition("\n\n")[0]) for name, each in self.commands.items()
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            output.result(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)
