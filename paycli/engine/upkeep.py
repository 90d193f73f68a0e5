"""Upkeep: what a server does by itself while it runs.

Authorizations whose time has run out are given back, and payments whose outcome a crash or a lost
answer left open are settled. Both look at what the store has, so a restart changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from paycli.engine.engine import Engine, now_us
from paycli.errors import PaymentError
from paycli.payments.commands import expire
from paycli.payments.queries import Due
from paycli.payments.store import Store

_EVERY_S: Final = 1.0
_EXPIRED_AT_ONCE_MAX: Final = 1000
_SETTLED_AT_ONCE_MAX: Final = 500

_log = logging.getLogger(__name__)


@asynccontextmanager
async def upkeep(store: Store, engine: Engine) -> AsyncIterator[None]:
    """Keep the store in order until the block ends."""
    settling = _Settling(store, engine)
    running = [
        asyncio.create_task(_again_and_again(lambda: _expire(store))),
        asyncio.create_task(_again_and_again(settling.look)),
    ]
    for task in running:
        task.add_done_callback(_say_why)
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await settling.close()


def _say_why(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        _log.critical("upkeep stopped", exc_info=task.exception())


async def _again_and_again(work: Callable[[], Awaitable[None]]) -> None:
    is_put_off = False
    while True:
        try:
            await work()
            is_put_off = False
        except PaymentError as problem:  # the store is away, or full: the next round will do
            if not is_put_off:
                _log.warning("upkeep was put off: %s", problem)
            is_put_off = True
        await asyncio.sleep(_EVERY_S)


async def _expire(store: Store) -> None:
    after, now = Due(), now_us()
    while due := await store.due(now, after, _EXPIRED_AT_ONCE_MAX):
        outcomes = await store.execute_all([expire(each.payment_id, now) for each in due])
        refused = [each for each in outcomes if isinstance(each, PaymentError)]
        if len(refused) < len(due):
            _log.info("%d authorizations ran out", len(due) - len(refused))
        if refused:
            _log.warning("%d authorizations are still open: %s", len(refused), refused[0])
        after = due[-1]  # what was refused has its next turn after all others


class _Settling:
    """Open payments under way at the processor: many at once, the slow ones in nobody's way."""

    def __init__(self, store: Store, engine: Engine) -> None:
        self._store = store
        self._engine = engine
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def look(self) -> None:
        """Begin with all that there is room for, until no more are open."""
        while room := _SETTLED_AT_ONCE_MAX - len(self._under_way):
            # Those just begun may not be claimed yet, so as many more are asked for.
            wanted = room + len(self._under_way)
            keys = await self._store.open_intents(now_us(), wanted)
            new = [key for key in keys if key not in self._under_way][:room]
            for key in new:
                self._begin(key)
            if len(new) < room:
                return
            await asyncio.wait(self._under_way.values(), return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Give up; what is open stays on record."""
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    def _begin(self, key: str) -> None:
        task = asyncio.create_task(self._settle(key))
        self._under_way[key] = task
        task.add_done_callback(lambda _: self._under_way.pop(key))

    async def _settle(self, key: str) -> None:
        try:
            await self._engine.settle(key)
        except PaymentError as problem:
            _log.warning("a payment is still open: %s", problem)
