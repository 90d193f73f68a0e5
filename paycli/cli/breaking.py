"""`paycli breaking`: what a change of protos does to deployed clients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paycli.cli import findings, options, output
from paycli.toolchain.rules.formats import Format


def breaking(
    protos: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PROTO]...", help="Report on these alone. Default: all."),
    ] = None,
    *,
    against: Annotated[
        str,
        typer.Option(
            metavar="OLD",
            help="A directory (the root of the old protos), a descriptor set file, or else a git "
            "revision such as main, v1.2 or HEAD~1. A path that exists wins.",
        ),
    ],
    roots: options.ProtoRoots = None,
    config: options.BufConfigFile = None,
    form: findings.FindingsFormat = Format.TEXT,
    json: options.Json = False,
) -> None:
    """Name each change of protos that breaks a deployed client."""
    from paycli.toolchain.breaking.former import read_former
    from paycli.toolchain.breaking.run import find_breaking
    from paycli.toolchain.rules.buf_config import load_buf_config

    settings = load_buf_config(config, roots or [])
    workspace = settings.workspace([])
    former = read_former(against, workspace, settings)
    found = find_breaking(workspace, former, settings)
    if former.paths.keys().isdisjoint(workspace.names):
        output.progress(f"No file is in both: is {against} the root of the old protos?")
    if protos:
        named = {workspace.path_of(name) for name in settings.workspace(protos).names}
        found = [finding for finding in found if finding.path in named]
    findings.show(found, Format.JSON if json else form)
    if found:
        output.progress(f"{output.counted(len(found), 'finding')} against {against}.")
        raise typer.Exit(1)
    output.progress(f"Nothing breaks against {against}.")
