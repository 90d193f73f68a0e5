"""The interceptor that shows what passes through a proxy to whoever notes it down."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final

import grpc

from paycli.host.interceptors import Context, Interceptor, Method, status_of

Metadata = Sequence[tuple[str, str | bytes]]
# Of a call that has ended: its method's path, metadata, requests, responses, status, trailing metadata,
# and when it began, by time.monotonic.
Notice = Callable[
    [str, Metadata, Sequence[bytes], Sequence[bytes], grpc.StatusCode, Metadata, float], None
]

_KEPT_MAX: Final = 2  # messages of a call, each way: more than one is a stream, however long


def witnessed(notice: Notice) -> Interceptor:
    """Tells of each call once, before its caller learns how it ended. For the methods of a proxy."""

    def around(method: Method) -> Method:
        behaviour = method.behaviour

        async def stream(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
            sent: list[bytes] = []
            answered: list[bytes] = []
            began = time.monotonic()
            code = grpc.StatusCode.CANCELLED  # unless it comes to an end
            try:
                async with aclosing(behaviour(_noted(requests, sent), context)) as responses:
                    async for response in responses:
                        _keep(response, answered)
                        yield response
                code = grpc.StatusCode.OK
            except grpc.aio.AbortError:
                code = status_of(context.code())
                raise
            finally:
                trailing: Any = context.trailing_metadata()
                heard = tuple(context.invocation_metadata() or ()), sent, answered
                notice(method.name, *heard, code, tuple(trailing or ()), began)

        return method._replace(behaviour=stream)

    return around


async def _noted(requests: AsyncIterator[bytes], kept: list[bytes]) -> AsyncIterator[bytes]:
    async for request in requests:
        _keep(request, kept)
        yield request


def _keep(message: bytes, kept: list[bytes]) -> None:
    if len(kept) < _KEPT_MAX:
        kept.append(message)
