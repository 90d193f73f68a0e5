"""The interceptor that counts calls in flight: for a stop to wait for, and to know when it is too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from paycli.host.interceptors import Behaviour, Context, Method


class CallsInFlight:
    """`count` are calls with one response, `streams` the others, which have no end to wait for."""

    def __init__(self) -> None:
        self.count = 0
        self.streams = 0
        self._none = asyncio.Event()
        self._none.set()

    def __call__(self, method: Method) -> Method:
        """Put the counter around a method."""
        if method.yields:
            return method._replace(behaviour=self._yielding(method.behaviour))
        if method.response_streaming:
            return method._replace(behaviour=self._writing(method.behaviour))
        return method._replace(behaviour=self._answering(method.behaviour))

    async def none(self) -> None:
        """Wait until no call is in flight."""
        await self._none.wait()

    def _answering(self, behaviour: Behaviour) -> Behaviour:
        async def call(request: Any, context: Context) -> Any:
            self.count += 1
            self._none.clear()
            try:
                return await behaviour(request, context)
            finally:
                self.count -= 1
                if not self.count:
                    self._none.set()

        return call

    def _writing(self, behaviour: Behaviour) -> Behaviour:
        async def call(request: Any, context: Context) -> None:
            self.streams += 1
            try:
                await behaviour(request, context)
            finally:
                self.streams -= 1

        return call

    def _yielding(self, behaviour: Behaviour) -> Behaviour:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            self.streams += 1
            try:
                async with aclosing(behaviour(request, context)) as responses:
                    async for response in responses:
                        yield response
            finally:
                self.streams -= 1

        return call
