"""The interceptor that shows what passes through a proxy to whoever notes it down."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

import grpc

from paycli.host.interceptors import Context, Interceptor, Method, status_of

Metadata = Sequence[tuple[str, str | bytes]]


@dataclass(slots=True)
class Passed:
    """Messages of a call, one way: how many there were, and the first of them."""

    count: int = 0
    kept: list[bytes] = field(default_factory=list)
    _bytes: int = 0

    def add(self, message: bytes) -> None:
        """Note one; it is kept while there is room, and the first one always."""
        self._bytes += len(message)
        if not self.count or (self.count < _KEPT_MAX and self._bytes <= _KEPT_BYTES_MAX):
            self.kept.append(message)
        self.count += 1


# Of a call that has ended: its method's path, metadata, requests, responses, status, trailing metadata,
# and when it began, by time.monotonic.
Notice = Callable[[str, Metadata, Passed, Passed, grpc.StatusCode, Metadata, float], None]

_KEPT_MAX: Final = 100  # messages of a call, each way: nobody reads more
_KEPT_BYTES_MAX: Final = 1 << 20  # of them together; a stream may be as long as it likes


def witnessed(notice: Notice) -> Interceptor:
    """Tells of each call once, before its caller learns how it ended. For the methods of a proxy."""

    def around(method: Method) -> Method:
        behaviour = method.behaviour

        async def stream(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
            sent = Passed()
            answered = Passed()
            began = time.monotonic()
            code = grpc.StatusCode.CANCELLED  # unless it comes to an end
            try:
                async with aclosing(behaviour(_noted(requests, sent), context)) as responses:
                    async for response in responses:
                        answered.add(response)
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


async def _noted(requests: AsyncIterator[bytes], passed: Passed) -> AsyncIterator[bytes]:
    async for request in requests:
        passed.add(request)
        yield request
