"""`paycli lint`: check the style of protos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paycli.cli import findings, options, output
from paycli.toolchain.rules.formats import Format


def lint(
    protos: Annotated[
        list[Path] | None, typer.Argument(metavar="[PROTO]...", help="Default: all of the tree.")
    ] = None,
    *,
    roots: options.ProtoRoots = None,
    config: options.BufConfigFile = None,
    form: findings.FindingsFormat = Format.TEXT,
    json: options.Json = False,
) -> None:
    """Check the style of protos by buf's rules and buf.yaml."""
    from paycli.toolchain.lint.run import lint as run_lint
    from paycli.toolchain.rules.buf_config import load_buf_config

    found = run_lint(load_buf_config(config, roots or []), protos or [])
    findings.show(found, Format.JSON if json else form)
    if found:
        files = output.counted(len({finding.path for finding in found}), "file")
        output.progress(f"{output.counted(len(found), 'finding')} in {files}.")
        raise typer.Exit(1)
    output.progress("No findings.")
