"""The options of `paycli serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paycli.cli import options

Servicers = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODULE:SERVICER]...",
        help="Servicers of your own, found from here. Default: paycli's payment service.",
    ),
]
Host = Annotated[str, typer.Option(help="Address to listen on; default: loopback.")]
Port = Annotated[
    int,
    typer.Option(
        "--port",  # named, since typer 0.27 takes the name of a metavar that is equal but for case
        metavar="PORT",
        min=0,
        max=65535,
        help="Port; 0 picks a free one.",
    ),
]
PortFile = Annotated[Path | None, typer.Option(help="Write the port here once calls are accepted.")]
Store = Annotated[
    str, options.store_url("sqlite:///FILE, sqlite:///:memory: or postgresql://HOST/DB")
]
DrainTimeout = Annotated[
    float, options.seconds("Seconds that calls in flight get at a stop.", least=0)
]
AuthorizationTtl = Annotated[
    float,
    options.seconds(
        "Seconds after which an authorization that was not captured is given back.",
    ),
]
ProcessorTimeout = Annotated[float, options.seconds("Seconds that the processor gets to answer.")]
Threads = Annotated[
    int,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        max=10_000,
        help="Threads for methods of yours that are not async.",
    ),
]
Reload = Annotated[
    bool,
    typer.Option(
        "--reload", help="Start anew when code or protos below this folder are saved; gen first."
    ),
]
Channelz = Annotated[
    bool, typer.Option("--channelz", help="Show connections and calls (scope admin, with tokens).")
]
AllowUnprotected = Annotated[
    bool,
    typer.Option("--allow-unprotected", help="Let other machines in without TLS or tokens."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        max=1000,
        help="Processes on one port; one that ends is started again, SIGUSR2 renews all.",
    ),
]
Worker = Annotated[int | None, typer.Option("--worker", metavar="PORT", hidden=True)]
TlsCert = Annotated[
    Path | None,
    typer.Option(metavar="PEM", help="Certificate; renewals are seen."),
]
TlsKey = Annotated[Path | None, typer.Option(metavar="PEM", help="Its key.")]
ClientCa = Annotated[
    Path | None,
    typer.Option(
        metavar="PEM",
        help="Who signs the certificates clients must show.",
    ),
]
Tokens = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Who may call; 'paycli serve token NAME' makes a line of it.",
    ),
]
PrintConfig = Annotated[
    bool,
    typer.Option("--print-config", help="Show each setting and where it comes from, and end."),
]
MaxCalls = Annotated[
    int,
    typer.Option(
        metavar="N", min=1, help="Calls in flight, and streams, beyond which more are refused."
    ),
]
MaxConnections = Annotated[
    int, typer.Option(metavar="N", min=1, help="Connections at an address; more are closed.")
]
MaxPeerConnections = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Of these, by one peer (an IPv4 address, an IPv6 /64)."),
]
MaxConnectionIdle = Annotated[
    float | None, options.seconds("Seconds after which a connection without calls ends.")
]
MaxConnectionAge = Annotated[
    float | None, options.seconds("Seconds after which any connection ends, its calls first.")
]
