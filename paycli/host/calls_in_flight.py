"""The interceptor that counts calls in flight: for a stop to wait for, and to know when it is too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from paycli.host.interceptors import Context, Method

# The host's own streams, of health and reflection, end when their clients go.
_OF_HOST: Final = "/grpc."


class CallsInFlight:
    """`count` are calls with one response, `streams` the others; `awaited` those that end by themselves."""

    def __init__(self) -> None:
        self.count = 0
        self.streams = 0
        self.awaited = 0
        self._none = asyncio.Event()
        self._none.set()

    def __call__(self, method: Method) -> Method:
        """Put the counter around a method."""
        behaviour = method.behaviour
        single = int(not method.response_streaming)
        awaited = int(not method.name.startswith(_OF_HOST))

        async def answer(request: Any, context: Context) -> Any:
            self._begin(single, awaited)
            try:
                return await behaviour(request, context)
            finally:
                self._end(single, awaited)

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            self._begin(single, awaited)
            try:
                async with aclosing(behaviour(request, context)) as responses:
                    async for response in responses:
                        yield response
            finally:
                self._end(single, awaited)

        return method._replace(behaviour=stream if method.yields else answer)

    async def none(self) -> None:
        """Wait until none is in flight that ends by itself."""
        await self._none.wait()

    def _begin(self, single: int, awaited: int) -> None:
        self.count += single
        self.streams += 1 - single
        if awaited:
            self.awaited += 1
            self._none.clear()

    def _end(self, single: int, awaited: int) -> None:
        self.count -= single
        self.streams -= 1 - single
        self.awaited -= awaited
        if not self.awaited:
            self._none.set()
