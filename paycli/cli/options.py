"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Target = Annotated[
    str, typer.Option(envvar="PAYCLI_TARGET", metavar="HOST:PORT", help="The service to call.")
]
Timeout = Annotated[float, typer.Option(min=0.001, help="Seconds to wait for an answer.")]
Plaintext = Annotated[
    bool | None,
    typer.Option("--plaintext/--tls", help="Default: plaintext on loopback, TLS elsewhere."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON; lists as one document a line.")]

DEFAULT_TARGET = "localhost:50051"
DEFAULT_TIMEOUT_S = 10.0
