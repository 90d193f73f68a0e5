"""What watches the server of `paycli serve`: its logs, the line of each call, and metrics."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Final

import typer

from paycli.cli import output
from paycli.cli.app import EXIT_BUG
from paycli.cli.variables import misspelt
from paycli.errors import InputError, PaycliError

if TYPE_CHECKING:
    from paycli.host.app import App, Control, OpenApp
    from paycli.host.interceptors import Interceptor
    from paycli.host.observation.calls import CallObserver
    from paycli.host.observation.log_lines import Lines
    from paycli.storage.commit_metrics import CommitMetrics


_STDERR: Final = 2  # sys.stderr may be closed; this is open, if only to nowhere
_TRACES_TO: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
)


class LogFormat(StrEnum):
    """How a log line is written: for people or for machines."""

    TEXT = "text"
    JSON = "json"


LogCalls = Annotated[
    bool, typer.Option("--log-calls", help="Log a line for each call, without personal data.")
]
LogFormatOption = Annotated[
    LogFormat, typer.Option("--log-format", help="How logs are written; json: an object a line.")
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        metavar="PORT",
        min=0,
        max=65535,
        help="Offer Prometheus metrics at http://HOST:PORT/metrics; 0 picks a free port.",
    ),
]
MetricsHost = Annotated[
    str, typer.Option(help="Address that offers the metrics; default: loopback.")
]


Say = Callable[[str], None]


@contextmanager
def watching(form: LogFormat, *, log_calls: bool) -> Iterator[Watch]:
    """Logs go to stderr in this form until the block ends.

    As JSON also what a start has to say, and the error that ends it: stderr has objects only.
    """
    import logging

    from paycli.host.observation.log_writer import logging_to

    lines = _lines(form)
    log = logging.getLogger("paycli.serve")
    with logging_to(_STDERR, lines, logging.INFO) as writer:
        watch = Watch(log.info if form is LogFormat.JSON else output.progress)
        try:
            with _traces(os.environ) as traces:
                watch.calls += traces
                if log_calls:
                    from paycli.host.observation.call_log import CallLog

                    watch.calls.append(CallLog(lines, writer.put))
                yield watch
        except PaycliError as problem:
            if form is not LogFormat.JSON:
                raise
            log.critical("%s", problem)
            raise typer.Exit(problem.exit_code) from problem
        except (typer.Exit, BrokenPipeError):
            raise
        except Exception as problem:
            if form is not LogFormat.JSON:
                raise
            log.critical("This is a bug in paycli. Please report this line.", exc_info=problem)
            raise typer.Exit(EXIT_BUG) from problem


def _lines(form: LogFormat) -> Lines:
    if form is LogFormat.JSON:
        from paycli.host.observation.json_lines import JsonLines

        return JsonLines()
    from paycli.host.observation.log_lines import TextLines

    return TextLines()


@contextmanager
def _traces(environment: Mapping[str, str]) -> Iterator[Sequence[CallObserver]]:
    """Those that OpenTelemetry's environment variables ask for, which may be meant for others."""
    if (
        not any(map(environment.get, _TRACES_TO))
        or environment.get("OTEL_TRACES_EXPORTER") == "none"
    ):
        yield ()
    elif find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        import logging

        missing = "there are no traces without OpenTelemetry: pip install 'paycli[otel]'"
        logging.getLogger("paycli.serve").warning(missing)
        yield ()
    else:
        from paycli.host.observation.traces import tracing

        with tracing() as traces:
            yield (traces,)


class Watch:
    """What watches calls and commits; `places` is what a start has to name, and `say` how."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.calls: list[CallObserver] = []
        self.commits: CommitMetrics | None = None
        self.places: list[str] = []
        self._messages: list[Interceptor] = []

    def interceptors(self) -> Sequence[Interceptor]:
        """What stands around all calls."""
        from paycli.host.observation.calls import observed

        return (*([observed(self.calls)] if self.calls else []), *self._messages)

    def warn_of_environment(self) -> None:
        """Say which variables are almost settings."""
        for warning in misspelt(os.environ):
            self.say(warning)

    def with_metrics(self, host: str, port: int, open_app: OpenApp) -> OpenApp:
        """The app, with metrics of it offered as long as it is open."""
        if find_spec("prometheus_client") is None:
            raise InputError(
                "--metrics-port needs the package prometheus-client: pip install 'paycli[metrics]'"
            )
        from paycli.host.observation.metrics import CallMetrics, process_registry
        from paycli.host.observation.metrics_endpoint import metrics_endpoint
        from paycli.storage.commit_metrics import CommitMetrics

        registry = process_registry()
        self.calls.append(metrics := CallMetrics(registry))
        self._messages.append(metrics.count_messages)
        self.commits = CommitMetrics(registry)

        @asynccontextmanager
        async def open_with_metrics(control: Control) -> AsyncIterator[App]:
            async with (
                metrics_endpoint(registry, host, port) as addresses,
                open_app(control) as app,
            ):
                urls = " and ".join(f"http://{each}/metrics" for each in addresses)
                self.places.append(f"Metrics on {urls}")
                yield app

        return open_with_metrics
