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

    from paycli.chaos.dice import Dice
    from paycli.chaos.injection import Drop
    from paycli.chaos.requests import Requests
    from paycli.chaos.witness import Notice
    from paycli.host.lifecycle import OnReady, Options

_DRAIN_S = 10.0
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
    drain_timeout: serve_options.DrainTimeout = _DRAIN_S,
    log_calls: serve_observed.LogCalls = False,
    log_format: serve_observed.LogFormatOption = serve_observed.LogFormat.TEXT,
) -> None:
    """Put faults on demand before any gRPC server; SIGTERM or Ctrl-C stops it."""
    from paycli.host.lifecycle import Options
    from paycli.host.transport.server import Limits

    with serve_observed.watching(log_format, log_calls=log_calls) as watch:
        watch.warn_of_environment()
        faults = faults_of(chaos, host, port, watch.say)
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
        requests = _requests(faults, behind)
        ready = partial(_say_ready, watch, target)
        _serve(behind, target, (faults.dice, faults.relay.drop, requests), given, ready)


def serve_witness(
    behind: Service, target: str, port: int, port_file: Path | None, notice: Notice, ready: OnReady
) -> None:
    """The proxy without faults, on loopback, until a signal; `notice` is told of each call."""
    from paycli.chaos.dice import Dice
    from paycli.chaos.plan import Plan
    from paycli.chaos.relay import Relay
    from paycli.chaos.witness import witnessed
    from paycli.host.lifecycle import Options
    from paycli.host.transport.server import Limits

    given = Options(
        *("localhost", port, port_file, _DRAIN_S),
        limits=Limits(message_bytes=-1),
        interceptors=(witnessed(notice),),
        standard_services=False,
    )
    _serve(behind, target, (Dice(Plan(Path(), 0, ())), Relay().drop, {}), given, ready)


def _serve(
    behind: Service,
    target: str,
    does: tuple[Dice, Drop, Requests],
    given: Options,
    ready: OnReady,
) -> None:
    from paycli.chaos.proxy import Proxy, open_proxy
    from paycli.cli.event_loop import run
    from paycli.client.channel import aio_channel
    from paycli.host.lifecycle import serve

    connect = partial(aio_channel, target, behind.access, _UNLIMITED)
    make = partial(Proxy, *does, behind.access.headers)
    run(serve(given, partial(open_proxy, connect, make), ready))


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
