"""`--schema`: the JSON Schema of files that people write, for their editors."""

from __future__ import annotations

from typing import Any

import typer

from paycli.cli import output


def shows_schema(kind: str) -> Any:
    """The option that prints `configs/schemas/KIND.schema.json` and does nothing else."""

    def show(context: typer.Context, is_wanted: bool) -> None:
        if is_wanted and not context.resilient_parsing:
            from paycli.shipped import shipped

            path = shipped("configs") / f"schemas/{kind}.schema.json"
            output.result(path.read_text("utf-8").rstrip())
            raise typer.Exit

    words = f"Print the JSON Schema of a {kind}, for editors."
    return typer.Option("--schema", callback=show, is_eager=True, help=words)
