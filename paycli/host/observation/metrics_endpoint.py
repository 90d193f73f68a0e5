"""The address that a Prometheus scrapes: GET /metrics over HTTP/1.1, and nothing else.

A connection gets one answer, a few seconds and a few kilobytes. Of too many the oldest is ended, so
that those who say nothing do not keep out who asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from paycli.host.transport.ports import listening, with_port

_PATH: Final = "/metrics"
_CONNECTIONS_MAX: Final = 16
_REQUEST_BYTES_MAX: Final = 8 * 1024
_TIMEOUT_S: Final = 5.0
_TEXT: Final = "text/plain; charset=utf-8"


class _Answer(NamedTuple):
    status: HTTPStatus
    body: bytes
    content_type: str = _TEXT


@asynccontextmanager
async def metrics_endpoint(
    registry: CollectorRegistry, host: str, port: int
) -> AsyncIterator[list[str]]:
    """Answer scrapers until the block ends; its value are the addresses. Raises StartError."""
    endpoint = _Endpoint(registry)
    with listening(host, port, prefix="metrics-") as sockets:
        servers = [
            await asyncio.start_server(endpoint.answer, sock=each, limit=_REQUEST_BYTES_MAX)
            for each in sockets
        ]
        try:
            yield [with_port(*each.getsockname()[:2]) for each in sockets]
        finally:
            for server in servers:
                server.close()
            await endpoint.close()


class _Endpoint:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._open: dict[asyncio.Task[None], asyncio.WriteTransport] = {}  # the oldest first

    async def close(self) -> None:
        """End what is open."""
        for transport in self._open.values():
            transport.abort()
        if self._open:
            await asyncio.wait(self._open)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close the connection."""
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer.transport
        if len(self._open) > _CONNECTIONS_MAX:
            next(iter(self._open.values())).abort()
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_bytes_of(self._answer_to(head.decode("latin-1"))))
                writer.close()
                await writer.wait_closed()
        except (OSError, EOFError, asyncio.LimitOverrunError, TimeoutError):
            pass  # who does not keep to this is no Prometheus, and gets no answer
        finally:
            del self._open[task]
            writer.transport.abort()

    def _answer_to(self, head: str) -> _Answer:
        request, *lines = head.splitlines()
        method, _, rest = request.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if path != _PATH:
            return _Answer(HTTPStatus.NOT_FOUND, f"The metrics are at {_PATH}.\n".encode())
        if method != "GET":
            return _Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"Ask with GET.\n")
        encode, content_type = choose_encoder(_accepted(lines))
        return _Answer(HTTPStatus.OK, encode(self._registry), content_type)


def _accepted(lines: list[str]) -> str:
    for line in lines:
        name, _, value = line.partition(":")
        if name.lower() == "accept":
            return value.strip()
    return ""


def _bytes_of(answer: _Answer) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
        *(("Allow: GET",) if answer.status is HTTPStatus.METHOD_NOT_ALLOWED else ()),
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        "Connection: close",
    )
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1") + answer.body
