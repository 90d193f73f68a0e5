"""Headers that go with each call of a channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import grpc

from paycli.client.access import Header


class _Details(NamedTuple):
    """What grpc tells an interceptor about a call."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _Headers(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    def __init__(self, headers: Sequence[Header]) -> None:
        self._headers = tuple(headers)

    def _go_on(self, go_on: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        metadata = (*(details.metadata or ()), *self._headers)
        more = getattr(details, "wait_for_ready", None), getattr(details, "compression", None)
        given = details.method, details.timeout, metadata, details.credentials
        return go_on(_Details(*given, *more), request)

    intercept_unary_unary: Any = _go_on
    intercept_unary_stream: Any = _go_on
    intercept_stream_unary: Any = _go_on
    intercept_stream_stream: Any = _go_on


def with_headers(channel: grpc.Channel, headers: Sequence[Header]) -> grpc.Channel:
    """The channel, each of whose calls carries the headers."""
    return grpc.intercept_channel(channel, _Headers(headers))
