"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paycli.toolchain.formats import Format

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

Store = Annotated[
    str,
    typer.Option(envvar="PAYCLI_STORE", metavar="URL", help="sqlite:///FILE or sqlite:////FILE."),
]

DEFAULT_STORE = "sqlite:///.paycli/paycli.db"
DEFAULT_TARGET = "localhost:50051"
DEFAULT_TIMEOUT_S = 10.0

EXIT_CODES = """
Exit codes: 0 success; 1 it ran and failed (declined, smoke failed, drift found); 2 wrong usage or
invalid input; 3 service unreachable; 4 refused (authentication, permission); 5 outcome unknown (it
may have been paid: retry with the same key); 70 a bug in paycli; 130 stopped by Ctrl-C.
"""
