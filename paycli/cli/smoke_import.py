"""`paycli smoke import`: a suite of the calls of grpcurl in a script, or other text."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from paycli.cli import inputs, output, schemas, smoke_written
from paycli.errors import CheckFailed


def smoke_import(
    file: Annotated[
        Path, typer.Argument(metavar="[FILE]", help="A script, or Markdown; default: stdin.")
    ] = Path(inputs.STDIN),
    *,
    roots: Annotated[
        list[Path] | None,
        typer.Option("-I", "--proto-path", help="Protos of other contracts than ours."),
    ] = None,
    descriptor_set: schemas.DescriptorSet = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The suite. Default: stdout.")
    ] = None,
    force: smoke_written.Force = False,
) -> None:
    """Write a suite of the calls of grpcurl in a script; each has to succeed, until you say more."""
    from paycli.client.forms import decoded
    from paycli.scenarios.contracts import Contracts
    from paycli.scenarios.recording.file import refuse_taken
    from paycli.scenarios.recording.grpcurl import read_grpcurl
    from paycli.scenarios.recording.suite import make_suite

    if out is None:
        output.refuse_closed_stdout()
    else:
        refuse_taken(out, force=force)
    contracts = Contracts(schemas.local_schema(roots, descriptor_set))
    name = inputs.name_of(file)
    entries, addresses = read_grpcurl(decoded(inputs.read_input(file), name), name, contracts)
    made = make_suite(entries, time.time())
    if not made.count:
        raise CheckFailed(f"No call can be in a suite. {made.left_out[0].said}.")
    origin = f"Imported by 'paycli smoke import' from grpcurl's lines for {', '.join(addresses)}."
    for each in made.left_out:
        output.progress(f"Left out: {each.said}")
    smoke_written.write(made, out, origin, force=force)
