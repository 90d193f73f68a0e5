"""`paycli gen`: compile protos to Python."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paycli.cli import output
from paycli.errors import CheckFailed


def gen(
    protos: Annotated[
        list[Path] | None, typer.Argument(metavar="[PROTO]...", help="Default: all of the tree.")
    ] = None,
    *,
    roots: Annotated[
        list[Path] | None,
        typer.Option("-I", "--proto-path", help="Root of the protos; repeatable. Default: proto."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the code goes.")] = Path("paycli/generated"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if the code is not current.")
    ] = False,
) -> None:
    """Compile protos to messages, gRPC stubs and type stubs that import inside any package."""
    from paycli.toolchain.generate import find_drift, generate, write
    from paycli.toolchain.workspace import find_workspace

    workspace = find_workspace(roots or [Path("proto")], protos or [])
    files = generate(workspace)
    whole_tree = not protos
    if check:
        drift = find_drift(files, out, whole_tree=whole_tree)
    else:
        drift = write(files, out, whole_tree=whole_tree)
    named = {"stale": drift.stale, "missing": drift.missing, "left over": drift.left_over}
    lines = [f"{what}: {out / name}" for what, names in named.items() for name in names]
    if check and lines:
        listed = "\n  ".join(lines)
        raise CheckFailed(f"The generated code is not current; run 'paycli gen'.\n  {listed}")
    changes = "nothing changed" if not lines else f"{len(lines)} files changed"
    output.progress(f"{len(workspace.names)} protos, {len(files)} files in {out}: {changes}.")
