"""`paycli serve token`: make a token, and the line that lets it in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from paycli.cli import output
from paycli.errors import InputError
from paycli.host.protection.scopes import Scope

_OWN: Final = 0o600


def serve_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who will have it.")],
    *,
    scopes: Annotated[
        list[Scope] | None,
        typer.Option("--scope", help="What it may; repeatable. Default: read and write."),
    ] = None,
    tokens: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Add its line to this file.")
    ] = None,
) -> None:
    """Make a token for clients of `serve --tokens FILE`; it is shown once, and only its hash is kept."""
    from paycli.host.protection.tokens import make_token

    token, line = make_token(name, frozenset(scopes or (Scope.READ, Scope.WRITE)))
    if tokens is None:
        output.progress("Add this line to the file of --tokens, which nobody else may read:")
        output.progress(line)
    else:
        _append(tokens, line)
        output.progress(f"{tokens} lets it in. It is shown this once:")
    output.result(token)


def _append(path: Path, line: str) -> None:
    try:
        if path.exists() and not path.is_file():  # reading a pipe may never end
            raise InputError(f"{path} is no file; name one that 'serve --tokens' can read again.")
        made = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, _OWN)
        with open(made, "a+b") as file:  # noqa: PTH123 - for its mode
            file.seek(0)
            before = file.read()
            start = b"\n" if before and not before.endswith(b"\n") else b""
            file.write(start + line.encode() + b"\n")
    except OSError as problem:
        raise InputError(f"Cannot write {path}: {problem.strerror}.") from problem
