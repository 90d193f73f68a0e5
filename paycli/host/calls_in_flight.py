"""The interceptor that counts calls in flight, for a stop to wait for."""

from __future__ import annotations

import asyncio
from typing import Any

from paycli.host.interceptors import Context, Method


class CallsInFlight:
    """Counts calls with one response. Streams have no end that a stop could wait for."""

    def __init__(self) -> None:
        self.count = 0
        self._none = asyncio.Event()
        self._none.set()

    def __call__(self, method: Method) -> Method:
        """Put the counter around a method."""
        if method.response_streaming:
            return method
        behaviour = method.behaviour

        async def call(request: Any, context: Context) -> Any:
            self.count += 1
            self._none.clear()
            try:
                return await behaviour(request, context)
            finally:
                self.count -= 1
                if not self.count:
                    self._none.set()

        return method._replace(behaviour=call)

    async def none(self) -> None:
        """Wait until no call is in flight."""
        await self._none.wait()
