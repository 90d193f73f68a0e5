"""Commands that have commands, and what all of them do alike."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

from paycli.cli import output


class CommandGroup(TyperGroup):
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
