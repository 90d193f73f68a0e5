"""`paycli serve`: assemble store and server, and run them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import typer

from paycli.cli import (
    options,
    output,
    serve_chaos,
    serve_observed,
    serve_options,
    serve_transport,
    settings,
)
from paycli.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from paycli.cli.serve_started import Started
    from paycli.host.app import OpenApp
    from paycli.host.transport.tls import TlsFiles

_OF_ENGINE: Final = ("store", "authorization_ttl", "processor_timeout")
_NOT_WITH_WORKERS: Final = {
    "reload": "one is for making a servicer, the other for running it",
    "chaos": "its dice would fall in each process anew",
    "metrics_port": "each process counts its own calls, and a port shows one",
}
_GRACE_S: Final = 5.0  # to let go of what a server has, after its drain
_RESORT_S: Final = 10.0  # more than anything of ours takes, and than most clean-up of others
_RESORT_OF_WORKER_S: Final = 4.0  # so that it can say what keeps it before it is killed
_PAYMENTS: Final = "payment.PaymentService"


def serve(
    context: typer.Context,
    servicers: serve_options.Servicers = None,
    *,
    host: serve_options.Host = "localhost",
    port: serve_options.Port = 50051,
    port_file: serve_options.PortFile = None,
    transport: serve_transport.Transport = serve_transport.TransportName.AIO,
    store: serve_options.Store = options.DEFAULT_STORE,
    drain_timeout: serve_options.DrainTimeout = 10.0,
    authorization_ttl: serve_options.AuthorizationTtl = 7 * 24 * 3600.0,
    processor_timeout: serve_options.ProcessorTimeout = 10.0,
    threads: serve_options.Threads = 10,
    reload: serve_options.Reload = False,
    workers: serve_options.Workers = None,
    worker: serve_options.Worker = None,
    tls_cert: serve_options.TlsCert = None,
    tls_key: serve_options.TlsKey = None,
    client_ca: serve_options.ClientCa = None,
    tokens: serve_options.Tokens = None,
    max_calls: serve_options.MaxCalls = 1000,
    max_connections: serve_options.MaxConnections = 10_000,
    max_peer_connections: serve_options.MaxPeerConnections = None,
    max_connection_idle: serve_options.MaxConnectionIdle = None,
    max_connection_age: serve_options.MaxConnectionAge = None,
    channelz: serve_options.Channelz = False,
    allow_unprotected: serve_options.AllowUnprotected = False,
    chaos: serve_chaos.Chaos = None,
    log_calls: serve_observed.LogCalls = False,
    log_format: serve_observed.LogFormatOption = serve_observed.LogFormat.TEXT,
    metrics_host: serve_observed.MetricsHost = "localhost",
    metrics_port: serve_observed.MetricsPort = None,
    print_config: serve_options.PrintConfig = False,
) -> None:
    """Run a durable payment service, or servicers of your own; SIGTERM or Ctrl-C stops it."""
    if print_config:
        output.result(settings.explained(context))
        raise typer.Exit
    from paycli.cli.event_loop import run
    from paycli.host.lifecycle import Options
    from paycli.host.lifecycle import serve as serve_app
    from paycli.host.processes.last_resort import LastResort
    from paycli.host.transport.server import Limits

    make_server = serve_transport.make_server_of(transport, context)
    tls = _tls(tls_cert, tls_key, client_ca)
    protected = tls is not None or tokens is not None
    host = _address("--host", host, may_be_public=protected or allow_unprotected)
    metrics_host = _address("--metrics-host", metrics_host, may_be_public=allow_unprotected)
    _refuse_mixtures(context)
    patience_s = drain_timeout + _GRACE_S  # what a process may take to stop
    if reload:
        from paycli.cli.serve_reload import serve_and_reload

        raise typer.Exit(serve_and_reload(host, port, patience_s))
    with serve_observed.watching(log_format, log_calls=log_calls) as watch:
        if worker is None:
            _warn(watch, host, has_bare_tokens=tokens is not None and tls is None)
        if workers is not None and worker is None:
            alone = not servicers and not _is_shared(store)
            plan = (workers, patience_s, max_connection_age, alone)
            raise typer.Exit(_with_workers(plan, host, port, port_file, watch))
        wait_s = patience_s if worker else 0.0  # the worker before this one may have the store
        engine = (store, wait_s, authorization_ttl, processor_timeout)
        open_app = _servicers_app(servicers) if servicers else _engine_app(watch, *engine)
        if metrics_port is not None:
            open_app = watch.with_metrics(metrics_host, metrics_port, open_app)
        interceptors, front, open_app = serve_chaos.with_faults(
            chaos, host, port, watch.say, open_app
        )
        resort_s = _RESORT_OF_WORKER_S if worker else _RESORT_S
        with LastResort(watch.say, resort_s) as resort:
            given = Options(
                host,
                worker or port,
                None if worker else port_file,
                drain_timeout,
                make_server,
                threads=threads,
                tls=tls,
                tokens=tokens,
                limits=Limits(max_connection_idle, max_connection_age, max_connections),
                calls_max=max_calls,
                peer_connections_max=max_peer_connections,
                channelz=channelz,
                reuse_port=worker is not None,
                outermost=watch.interceptors(),
                interceptors=interceptors,
                front=front,
                last_resort=resort,
            )
            run(serve_app(given, open_app, partial(_tell, watch, in_worker=worker is not None)))


def _tls(certificate: Path | None, key: Path | None, client_ca: Path | None) -> TlsFiles | None:
    if certificate is None and key is None and client_ca is None:
        return None
    if certificate is None or key is None:
        raise InputError("TLS takes both: --tls-cert FILE and --tls-key FILE.")
    from paycli.host.transport.tls import TlsFiles

    return TlsFiles(certificate, key, client_ca)


def _address(option: str, host: str, *, may_be_public: bool) -> str:
    from paycli.addresses import is_loopback

    host = host.strip("[]").lower()  # as in an address, [::1]:50051
    if not host:
        raise InputError(f"{option} is empty; leave it out to listen on localhost.")
    if not may_be_public and not is_loopback(host):
        raise InputError(
            f"{host} lets other machines in without TLS or tokens. Give --tls-cert and --tls-key, or "
            "--tokens; or --allow-unprotected if a proxy or a closed network protects the server. "
            "In the environment these are PAYCLI_TLS_CERT, PAYCLI_TLS_KEY, PAYCLI_TOKENS and "
            "PAYCLI_ALLOW_UNPROTECTED."
        )
    return host


def _warn(watch: serve_observed.Watch, host: str, *, has_bare_tokens: bool) -> None:
    from paycli.addresses import is_loopback

    watch.warn_of_environment()
    if has_bare_tokens and not is_loopback(host):
        watch.say("Warning: without TLS, whoever is on the way can read the tokens.")


def _refuse_mixtures(context: typer.Context) -> None:
    """Options that would do nothing, or not what they say. Raises InputError."""
    given = context.params
    if given["servicers"]:
        _refuse_of_engine(context)
    elif (given["workers"] or 1) > 1 and not _is_shared(given["store"]):
        raise InputError(
            "A SQLite store has one writer: --workers 1, or a --store in PostgreSQL, which many share."
        )
    if given["metrics_port"] is None and _is_typed(context, "metrics_host"):
        raise InputError("--metrics-host says where; --metrics-port has metrics at all: give both.")
    if given["workers"] and not given["worker"]:
        for name, why in _NOT_WITH_WORKERS.items():
            if options.is_given(context, name):
                option = options.option_of(name)
                raise InputError(f"--workers and {option} do not go together: {why}.")


def _refuse_of_engine(context: typer.Context) -> None:
    """Of servicers of one's own; the environment may be for others."""
    for name in _OF_ENGINE:
        if _is_typed(context, name):
            raise InputError(
                f"{options.option_of(name)} is of paycli's own payment service; leave it out."
            )


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _with_workers(
    plan: tuple[int, float, float | None, bool],
    host: str,
    port: int,
    port_file: Path | None,
    watch: serve_observed.Watch,
) -> int:
    from paycli.cli.serve_workers import serve_with_workers
    from paycli.host.processes.workers import Plan

    say_ready = partial(_say_ready, watch)
    return serve_with_workers(Plan(*plan), host, port, port_file, watch.say, say_ready)


def _is_shared(store: str) -> bool:
    from paycli.storage.stores import is_shared

    return is_shared(store)


def _servicers_app(places: Sequence[str]) -> OpenApp:
    from paycli.host.hosting.servicer_app import open_servicers

    return partial(open_servicers, places)


def _engine_app(
    watch: serve_observed.Watch,
    store: str,
    wait_s: float,
    authorization_ttl_s: float,
    processor_timeout_s: float,
) -> OpenApp:
    # Not beside servicers of somebody else: it brings our own generated code.
    from paycli.cli.serve_engine import EngineOptions, payment_app

    given = EngineOptions(store, wait_s, authorization_ttl_s, processor_timeout_s)
    return partial(payment_app, watch, given)


def _tell(
    watch: serve_observed.Watch,
    addresses: Sequence[str],
    services: Sequence[str],
    *,
    in_worker: bool,
) -> None:
    from paycli.cli.serve_started import Started

    started = Started(watch.places, addresses, services)
    if in_worker:
        from paycli.cli.serve_workers import tell_supervisor

        tell_supervisor(started)
    else:
        _say_ready(watch, started)


def _say_ready(watch: serve_observed.Watch, started: Started) -> None:
    """The line of the seed's server for all that serve its contract, another one for others."""
    for each in (*started.places, f"Listening on {' and '.join(started.addresses)}"):
        watch.say(each)
    services = started.services
    whose = "Payment Processing Service" if _PAYMENTS in services else " and ".join(services)
    output.result(f"{whose} ready!")
