"""`paycli proxy`: faults on demand before any gRPC server."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import output, serve_observed, serve_options
from paycli.cli.serve_chaos import Faults, faults_of
from paycli.cli.service import Service, calls_service_at_once
from paycli.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paycli.chaos.requests import Requests

_UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_metadata_size", 1024 * 1024))


@calls_service_at_once
def proxy(
    behind: Service,
    *,
    target: Annotated[str, typer.Option("--to", metavar="HOST:PORT", help="The server behind it.")],
    chaos: Annotated[
        Path, typer.Option(metavar="FILE", help="What is done to calls, as of serve --chaos.")
    ],
    host: serve_options.Host = "localhost",
    port: serve_options.Port = 50052,
    port_file: serve_options.PortFile = None,
    drain_timeout: serve_options.DrainTimeout = 10.0,
    log_calls: serve_observed.LogCalls = False,
    log_format: serve_observed.LogFormatOption = serve_observed.LogFormat.TEXT,
) -> None:
    """Put faults on demand before any gRPC server; SIGTERM or Ctrl-C stops it."""
    from paycli.chaos.proxy import Proxy, open_proxy
    from paycli.cli.event_loop import run
    from paycli.client.channel import aio_channel
    from paycli.host.lifecycle import Options, serve
    from paycli.host.transport.server import Limits

    access = behind.access
    with serve_observed.watching(log_format, log_calls=log_calls) as watch:
        watch.warn_of_environment()
        faults = faults_of(chaos, host, port, watch.say)
        make = partial(
            Proxy,
            faults.dice,
            faults.relay.drop,
            _requests(faults, behind),
            access.headers,
        )
        given = Options(
            host,
            port,
            port_file,
            drain_timeout,
            limits=Limits(message_bytes=-1),
            outermost=watch.interceptors(),
            front=faults.front,
            standard_services=False,
        )
        connect = partial(aio_channel, target, access, _UNLIMITED)
        run(serve(given, partial(open_proxy, connect, make), partial(_say_ready, watch, target)))


def _requests(faults: Faults, behind: Service) -> Requests:
    """What the server tells of its messages, when a fault looks into them.

    Raises DocumentError when it tells nothing, Unreachable when it is not there.
    """
    rule = faults.dice.first_about_requests
    if rule is None:
        return {}
    from paycli.chaos.requests import requests_of

    with behind.connect() as channel:
        found = requests_of(channel)
    if not found:
        raise DocumentError(
            rule.path,
            f"this fault looks into requests, and {behind.target} does not tell what they look like "
            "(reflection); leave out 'order', 'customer' and 'amount'.",
            rule.line,
        )
    return found


def _say_ready(
    watch: serve_observed.Watch, target: str, addresses: Sequence[str], _: Sequence[str]
) -> None:
    watch.say(f"Listening on {' and '.join(addresses)}")
    output.result(f"Proxy for {target} ready!")
