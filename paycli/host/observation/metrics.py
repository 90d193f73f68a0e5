"""Prometheus metrics of calls, with the names and labels of go-grpc-prometheus and its dashboards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import grpc
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from paycli.host.interceptors import Method
from paycli.host.observation.calls import Call

_METHOD: Final = ("grpc_type", "grpc_service", "grpc_method")
_TYPES: Final = {
    (False, False): "unary",
    (True, False): "client_stream",
    (False, True): "server_stream",
    (True, True): "bidi_stream",
}


class _OfMethod(NamedTuple):
    """What counts for one method, looked up once."""

    labels: tuple[str, str, str]
    started: Counter
    seconds: Histogram
    handled: dict[grpc.StatusCode, Counter]


def process_registry() -> CollectorRegistry:
    """A registry that knows the process already."""
    disable: Any = disable_created_metrics  # comes without types
    disable()  # as many lines again, which no dashboard reads
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


class CallMetrics:
    """A `host.observation.calls.CallObserver`: rate, errors and duration."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._started = Counter(
            "grpc_server_started_total", "Calls that began.", _METHOD, registry=registry
        )
        self._handled = Counter(
            "grpc_server_handled_total",
            "Calls that ended, whatever their code.",
            (*_METHOD, "grpc_code"),
            registry=registry,
        )
        self._seconds = Histogram(
            "grpc_server_handling_seconds",
            "Time from the request to the end of a call.",
            _METHOD,
            registry=registry,
        )
        self._received = Counter(
            "grpc_server_msg_received_total", "Messages of clients.", _METHOD, registry=registry
        )
        self._sent = Counter(
            "grpc_server_msg_sent_total", "Messages to clients.", _METHOD, registry=registry
        )
        self._methods: dict[str, _OfMethod] = {}

    def count_messages(self, method: Method) -> Method:
        """The interceptor that counts those of streams and of single calls; it is to be an outer one."""
        labels = _labels(method)
        return method._replace(
            read=_counted(method.read, self._received.labels(*labels)),
            write=_counted(method.write, self._sent.labels(*labels)),
        )

    def started(self, call: Call) -> None:
        """Count it."""
        self._of(call.method).started.inc()

    def ended(self, call: Call) -> None:
        """Count its code and take its time."""
        found = self._of(call.method)
        handled = found.handled.get(call.code)
        if handled is None:
            handled = self._handled.labels(*found.labels, code_name(call.code))
            found.handled[call.code] = handled
        handled.inc()
        found.seconds.observe(call.seconds)

    def _of(self, method: Method) -> _OfMethod:
        found = self._methods.get(method.name)
        if found is None:
            labels = _labels(method)
            found = self._methods[method.name] = _OfMethod(
                labels, self._started.labels(*labels), self._seconds.labels(*labels), {}
            )
        return found


def _counted(convert: Callable[[Any], Any] | None, counter: Counter) -> Callable[[Any], Any]:
    """What makes a message of bytes, or the other way; grpc calls it once for each."""

    def counted(message: Any) -> Any:
        counter.inc()
        return message if convert is None else convert(message)

    return counted


def code_name(code: grpc.StatusCode) -> str:
    """As Go writes it, whose names the dashboards have: OK, InvalidArgument, Canceled."""
    if code is grpc.StatusCode.OK:
        return "OK"
    if code is grpc.StatusCode.CANCELLED:
        return "Canceled"
    return "".join(word.capitalize() for word in code.name.split("_"))


def _labels(method: Method) -> tuple[str, str, str]:
    service, _, name = method.name.removeprefix("/").partition("/")
    return _TYPES[method.request_streaming, method.response_streaming], service, name
