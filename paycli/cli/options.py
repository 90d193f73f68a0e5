"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paycli.toolchain.findings import Format

Target = Annotated[
    str, typer.Option(envvar="PAYCLI_TARGET", metavar="HOST:PORT", help="The service to call.")
]
Timeout = Annotated[float, typer.Option(min=0.001, help="Seconds to wait for an answer.")]
Plaintext = Annotated[
    bool | None,
    typer.Option("--plaintext/--tls", help="Default: plaintext on loopback, TLS elsewhere."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON; lists as one document a line.")]
FindingsFormat = Annotated[
    Format, typer.Option("--format", help="How findings are shown; --json is --format json.")
]
BufConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="BUF.YAML", help="Default: the buf.yaml here, if there is."),
]
ProtoRoots = Annotated[
    list[Path] | None,
    typer.Option(
        "-I", "--proto-path", help="Root of the protos; repeatable. Default: buf.yaml's, or proto."
    ),
]

DEFAULT_TARGET = "localhost:50051"
DEFAULT_TIMEOUT_S = 10.0
