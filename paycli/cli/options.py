"""Options that several commands share."""

from __future__ import annotations

import math
from typing import Annotated

import typer

SECONDS_MAX = 1_000_000.0


def finite(seconds: float) -> float:
    """A callback: refuse nan and inf, which pass for numbers in every range."""
    if not math.isfinite(seconds):
        raise typer.BadParameter(f"{seconds} is not a number of seconds.")
    return seconds


Target = Annotated[
    str, typer.Option(envvar="PAYCLI_TARGET", metavar="HOST:PORT", help="The service to call.")
]
Timeout = Annotated[
    float,
    typer.Option(
        min=0.001, max=SECONDS_MAX, callback=finite, help="Seconds to wait for an answer."
    ),
]
Plaintext = Annotated[
    bool | None,
    typer.Option("--plaintext/--tls", help="Default: plaintext on loopback, TLS elsewhere."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON; lists as one document a line.")]

DEFAULT_TARGET = "localhost:50051"
DEFAULT_TIMEOUT_S = 10.0
