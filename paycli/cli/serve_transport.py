"""What carries the calls of `paycli serve`, and what it cannot do."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from paycli.cli import options
from paycli.errors import InputError

if TYPE_CHECKING:
    from paycli.host.transport.server import MakeServer


class TransportName(StrEnum):
    """grpc.aio, or pygrpc-native under the same servicers."""

    AIO = "aio"
    NATIVE = "native"


Transport = Annotated[
    TransportName,
    typer.Option("--transport", help="What carries the calls; native is faster, and can do less."),
]

_NO_TLS: Final = "it has no TLS"
_NO_END: Final = "it ends no connection that works"
NATIVE_LACKS: Final = {
    "tls_cert": _NO_TLS,
    "tls_key": _NO_TLS,
    "client_ca": _NO_TLS,
    "max_connections": "it counts no connections",
    "max_connection_idle": _NO_END,
    "max_connection_age": _NO_END,
    "channelz": "it keeps no account of its connections",
}


def make_server_of(transport: TransportName, context: typer.Context) -> MakeServer:
    """The one that was chosen. Raises InputError, naming the option, for what it cannot do."""
    if transport is TransportName.AIO:
        from paycli.host.transport import grpc_transport

        return grpc_transport.make_server
    for name, why in NATIVE_LACKS.items():
        if options.is_given(context, name):
            option = options.option_of(name)
            raise InputError(f"--transport native and {option} do not go together: {why}.")
    from paycli.addresses import is_loopback
    from paycli.host.transport import native_transport

    host = context.params["host"].strip("[]")
    if host and not is_loopback(host) and not context.params["allow_unprotected"]:
        raise InputError(
            f"--transport native does not hold out against strangers, and {host} lets them in. Leave out "
            "one of them, or give --allow-unprotected if a proxy or a closed network protects the server."
        )
    return native_transport.make_server
