"""`paycli proto`: our contracts, for code in other languages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paycli.cli import options, output
from paycli.cli.groups import Command, CommandGroup

proto = typer.Typer(
    help="Take our contracts along, for code in other languages.",
    epilog=options.EXIT_CODES,
    cls=CommandGroup,
    add_completion=False,
    rich_markup_mode=None,
)


@proto.callback()
def root() -> None:
    """Take our contracts along, for code in other languages."""


@proto.command(cls=Command, epilog=options.EXIT_CODES)
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where they go.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace files that differ.")] = False,
    json: options.Json = False,
) -> None:
    """Write our protos and all that they import, for `protoc -I DIR`; again, nothing changes."""
    from paycli.toolchain.protos.export import export as export_to

    done = export_to(folder, force=force)
    if json:
        output.document({"dir": str(folder), **done._asdict()})
        return
    for name in done.written:
        output.progress(f"Wrote {folder / name}.")
    count = output.counted(len(done.written) or len(done.unchanged), "proto")
    output.result(
        f"{count} in {folder}." if done.written else f"Nothing to do: {count} in {folder}."
    )
