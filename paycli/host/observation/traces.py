"""OpenTelemetry traces: a span for each call, within the caller's trace if it sends one.

Where they go, which are kept and what the service is called is OpenTelemetry's own business: its
environment variables and exporters decide.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Final

import grpc
from opentelemetry import context, propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from paycli.errors import InputError
from paycli.host.observation.calls import Call

_EXPORTERS: Final = "opentelemetry_traces_exporter"
_GOODBYE_S: Final = 2.0

# Of a server, after OpenTelemetry's conventions: the others are the client's doing.
_FAULTS: Final = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)


@contextmanager
def tracing() -> Iterator[CallTraces]:
    """Traces until the block ends; what is on its way then gets a moment. Raises InputError."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_exporter(os.environ)))
    trace.set_tracer_provider(provider)  # so that spans of a servicer stand in those of its calls
    try:
        yield CallTraces(provider.get_tracer("paycli"))
    finally:
        # A collector that is gone would keep it for half a minute.
        ending = threading.Thread(target=provider.shutdown, daemon=True)
        ending.start()
        ending.join(_GOODBYE_S)


class CallTraces:
    """A `host.observation.calls.CallObserver`."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._spans: dict[Call, trace.Span] = {}

    def started(self, call: Call) -> None:
        """Begin its span; the call's own task is within it."""
        sent = {
            key: value
            for key, value in call.context.invocation_metadata() or ()
            if isinstance(value, str)
        }
        name = call.method.name.removeprefix("/")
        service, _, method = name.partition("/")
        span = self._tracer.start_span(
            name,
            propagate.extract(sent),
            SpanKind.SERVER,
            {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method},
        )
        context.attach(trace.set_span_in_context(span))
        if span.get_span_context().trace_flags.sampled:
            call.notes["trace_id"] = trace.format_trace_id(span.get_span_context().trace_id)
        self._spans[call] = span

    def ended(self, call: Call) -> None:
        """End its span."""
        span = self._spans.pop(call)
        number: int = call.code.value[0]
        span.set_attribute("rpc.grpc.status_code", number)
        if call.code in _FAULTS:
            span.set_status(Status(StatusCode.ERROR, call.code.name))
        span.end()


def _exporter(environment: Mapping[str, str]) -> SpanExporter:
    name = environment.get("OTEL_TRACES_EXPORTER", "otlp")
    found = entry_points(
        group=_EXPORTERS, name=_of_protocol(environment) if name == "otlp" else name
    )
    for each in found:
        exporter: SpanExporter = each.load()()
        return exporter
    raise InputError(f"OTEL_TRACES_EXPORTER names {name}, which is not installed here.")


def _of_protocol(environment: Mapping[str, str]) -> str:
    """The exporter that speaks OTLP as the environment says; gRPC, if it says nothing."""
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"
    )
    return "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
