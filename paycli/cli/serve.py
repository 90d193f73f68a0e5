"""`paycli serve`: assemble store and server, and run them."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated

import typer

from paycli.cli import options, output
from paycli.errors import InputError

READY = "Payment Processing Service ready!"


def serve(
    *,
    host: Annotated[
        str, typer.Option(envvar="PAYCLI_HOST", help="Address to listen on; default: loopback.")
    ] = "localhost",
    port: Annotated[
        int,
        typer.Option(
            envvar="PAYCLI_PORT", metavar="PORT", min=0, max=65535, help="Port; 0 picks a free one."
        ),
    ] = 50051,
    port_file: Annotated[
        Path | None, typer.Option(help="Write the port here once calls are accepted.")
    ] = None,
    store: Annotated[
        str, typer.Option(envvar="PAYCLI_STORE", help="sqlite:///FILE or sqlite:///:memory:")
    ] = options.DEFAULT_STORE,
    drain_timeout: Annotated[
        float, options.seconds("Seconds that calls in flight get at a stop.", least=0)
    ] = 10.0,
    authorization_ttl: Annotated[
        float,
        options.seconds(
            "Seconds after which an authorization that was not captured is given back.",
            envvar="PAYCLI_AUTHORIZATION_TTL",
        ),
    ] = 7 * 24 * 3600.0,
    processor_timeout: Annotated[
        float, options.seconds("Seconds that the processor gets to answer.")
    ] = 10.0,
    allow_unprotected: Annotated[
        bool, typer.Option("--allow-unprotected", help="Let other machines in without TLS.")
    ] = False,
) -> None:
    """Run a durable payment service; SIGTERM or Ctrl-C stops it."""
    import logging
    from functools import partial

    from paycli.server import host as server_host
    from paycli.server.transport import is_loopback
    from paycli.storage.stores import open_store

    host = host.strip("[]").lower()  # as in an address, [::1]:50051
    if not host:
        raise InputError("--host is empty; leave it out to listen on localhost.")
    if not allow_unprotected and not is_loopback(host):
        raise InputError(
            f"{host} lets other machines in without TLS or tokens. Listen on localhost, or add "
            "--allow-unprotected if a proxy or a closed network protects the server."
        )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = server_host.Options(
        host, port, port_file, drain_timeout, authorization_ttl, processor_timeout
    )
    _run(server_host.serve(settings, partial(open_store, store), _say_ready))


def _say_ready(addresses: Sequence[str]) -> None:
    output.progress(f"Listening on {' and '.join(addresses)}")
    output.result(READY)


def _run(main: Coroutine[object, object, None]) -> None:
    import asyncio
    import importlib.util

    factory = None
    if importlib.util.find_spec("uvloop"):  # not on every platform
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)
