"""`paycli serve`: assemble store and server, and run them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import options, output, serve_observed
from paycli.errors import InputError, StoreError

if TYPE_CHECKING:
    from paycli.host.app import App, Control, OpenApp

READY = "Payment Processing Service ready!"


def serve(
    *,
    host: Annotated[
        str, typer.Option(envvar="PAYCLI_HOST", help="Address to listen on; default: loopback.")
    ] = "localhost",
    port: Annotated[
        int,
        typer.Option(
            "--port",  # named, since typer 0.27 takes the name of a metavar that is equal but for case
            envvar="PAYCLI_PORT",
            metavar="PORT",
            min=0,
            max=65535,
            help="Port; 0 picks a free one.",
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
    log_calls: serve_observed.LogCalls = False,
    log_format: serve_observed.LogFormatOption = serve_observed.LogFormat.TEXT,
    metrics_host: serve_observed.MetricsHost = "localhost",
    metrics_port: serve_observed.MetricsPort = None,
) -> None:
    """Run a durable payment service; SIGTERM or Ctrl-C stops it."""
    from functools import partial

    from paycli.host.lifecycle import Options
    from paycli.host.lifecycle import serve as serve_app

    host = _address("--host", host, allow_unprotected=allow_unprotected)
    metrics_host = _address("--metrics-host", metrics_host, allow_unprotected=allow_unprotected)
    with serve_observed.watching(log_format, log_calls=log_calls) as watch:
        open_app: OpenApp = partial(
            _payment_app, store, authorization_ttl, processor_timeout, watch
        )
        if metrics_port is not None:
            open_app = watch.with_metrics(metrics_host, metrics_port, open_app)
        where = Options(host, port, port_file, drain_timeout, watch.calls)
        _run(serve_app(where, open_app, partial(_say_ready, watch)))


def _address(option: str, host: str, *, allow_unprotected: bool) -> str:
    from paycli.host.ports import is_loopback

    host = host.strip("[]").lower()  # as in an address, [::1]:50051
    if not host:
        raise InputError(f"{option} is empty; leave it out to listen on localhost.")
    if not allow_unprotected and not is_loopback(host):
        raise InputError(
            f"{host} lets other machines in without TLS or tokens. Listen on localhost, or add "
            "--allow-unprotected if a proxy or a closed network protects the server."
        )
    return host


@asynccontextmanager
async def _payment_app(
    store_url: str,
    authorization_ttl_s: float,
    processor_timeout_s: float,
    watch: serve_observed.Watch,
    control: Control,
) -> AsyncIterator[App]:
    """The payment service with all that it needs. Raises StoreError, also when the store broke."""
    from paycli.engine.engine import Engine
    from paycli.engine.simulator import Simulator
    from paycli.engine.upkeep import upkeep
    from paycli.payments.store import Health
    from paycli.servicers.app import PaymentApp
    from paycli.storage.stores import open_store, place_of

    broken = False

    def store_is(health: Health) -> None:
        nonlocal broken
        broken = health is Health.BROKEN
        if watch.commits is not None:
            watch.commits.health(health)
        if broken:
            control.give_up()
        else:
            control.report(serving=health is Health.SERVING)

    store = open_store(store_url, store_is, watch.commits)
    engine = Engine(
        store,
        Simulator(),
        authorization_ttl_s=authorization_ttl_s,
        processor_timeout_s=processor_timeout_s,
    )
    try:
        async with upkeep(store, engine):
            watch.places.append(f"Payments are kept in {place_of(store_url)}")
            yield PaymentApp(engine, store)
    finally:
        await engine.close()
        await store.close()
    if broken:
        raise StoreError("The store failed, as said above; start the server again.")


def _say_ready(watch: serve_observed.Watch, addresses: Sequence[str]) -> None:
    for each in (*watch.places, f"Listening on {' and '.join(addresses)}"):
        watch.say(each)
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
