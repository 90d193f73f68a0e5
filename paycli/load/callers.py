"""Callers of one method: over ready-made frames, or with grpcio where those will not do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, Protocol

import grpc

from paycli.client.channel import aio_channel
from paycli.load.frames import Answer, Connection, OnAnswer, connected
from paycli.load.plan import Plan

_UNAVAILABLE = 14
_AGAIN_S = 0.1


class Caller(Protocol):
    """Sends calls; how each ends is told to whoever made it."""

    async def open(self) -> None:
        """Connect. Raises OSError."""

    def call(self, requests: Sequence[bytes], due: float) -> None:
        """A call that is due at this monotonic time."""

    def flush(self) -> None:
        """Send what waits, and end what is too late."""

    async def close(self) -> None:
        """Leave nothing behind."""


class FrameCaller:
    """Unary calls over a few connections, which are made anew when they break."""

    def __init__(self, plan: Plan, target: str, connections: int, on_answer: OnAnswer) -> None:
        self._target, self._path, self._timeout_s = target, plan.path, plan.timeout_s
        self._on_answer = on_answer
        self._loop = asyncio.get_running_loop()
        self._connections: list[Connection | None] = [None] * connections
        self._tasks: set[asyncio.Task[None]] = set()
        self._next = 0
        self._give_up_at = 0.0
        self._is_closed = False

    async def open(self) -> None:
        for number in range(len(self._connections)):
            await self._connect(number)

    async def _connect(self, number: int) -> None:
        made = connected(self._target, self._path, self._on_answer, self._timeout_s)
        connection = await asyncio.wait_for(made, self._timeout_s)
        if connection.lost.done():
            raise ConnectionError("it ends connections at once")
        self._connections[number] = connection
        connection.lost.add_done_callback(partial(self._lost, number))

    def _lost(self, number: int, _: object) -> None:
        self._connections[number] = None
        if not self._is_closed:
            task = self._loop.create_task(self._connect_again(number))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect_again(self, number: int) -> None:
        while not self._is_closed and self._connections[number] is None:
            with suppress(OSError, TimeoutError):
                await self._connect(number)
            await asyncio.sleep(_AGAIN_S)

    def call(self, requests: Sequence[bytes], due: float) -> None:
        self._next += 1
        connection = self._connections[self._next % len(self._connections)]
        if connection is None:
            answer = Answer(_UNAVAILABLE, monotonic() - due, b"")
            self._loop.call_soon(self._on_answer, answer)
        else:
            connection.call(requests[0], due)

    def flush(self) -> None:
        late = monotonic() >= self._give_up_at
        for each in self._connections:
            if each is not None:
                each.flush()
                if late:
                    each.give_up()
        if late:
            self._give_up_at = monotonic() + _AGAIN_S

    async def close(self) -> None:
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        for each in self._connections:
            if each is not None:
                each.transport.abort()
        await asyncio.sleep(0)


class GrpcioCaller:
    """Any call, with TLS and headers, by grpc's own client: a task for each."""

    def __init__(self, plan: Plan, target: str, connections: int, on_answer: OnAnswer) -> None:
        access = plan.to_access()
        own = (("grpc.use_local_subchannel_pool", 1),)
        self._channels = [aio_channel(target, access, own) for _ in range(connections)]
        self._calls: list[Any] = [each.stream_stream(plan.path) for each in self._channels]
        self._timeout_s, self._headers = plan.timeout_s, access.headers
        self._on_answer = on_answer
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._next = 0

    async def open(self) -> None:
        for each in self._channels:
            await asyncio.wait_for(each.channel_ready(), self._timeout_s)

    def call(self, requests: Sequence[bytes], due: float) -> None:
        self._next += 1
        method = self._calls[self._next % len(self._calls)]
        task = self._loop.create_task(self._call(method, requests, due))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, method: Any, requests: Sequence[bytes], due: float) -> None:
        left_s = max(0.001, self._timeout_s - (monotonic() - due))
        call = method(iter(requests), timeout=left_s, metadata=self._headers)
        body = b""
        with suppress(grpc.RpcError):
            async for each in call:
                body = each
        status = (await call.code()).value[0]
        self._on_answer(Answer(status, monotonic() - due, body))

    def flush(self) -> None:
        """They are on their way."""

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for each in self._channels:
            await each.close()


KINDS: dict[str, Callable[[Plan, str, int, OnAnswer], Caller]] = {
    "frames": FrameCaller,
    "grpcio": GrpcioCaller,
}
