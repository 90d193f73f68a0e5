"""Upkeep: what a server does by itself while it runs.

Authorizations whose time has run out are given back, and payments whose outcome a crash or a lost
answer left open are settled. Both look at what the store has, so a restart changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from paycli.errors import PaymentError
from paycli.payments.commands import expire
from paycli.payments.store import Store
from paycli.server.engine import Engine, now_us

_EXPIRE_EVERY_S: Final = 1.0
_EXPIRED_AT_ONCE_MAX: Final = 1000
_SETTLE_EVERY_S: Final = 5.0
_SETTLED_AT_ONCE_MAX: Final = 100

_log = logging.getLogger(__name__)


@asynccontextmanager
async def upkeep(store: Store, engine: Engine) -> AsyncIterator[None]:
    """Keep the store in order until the block ends."""
    running = [
        asyncio.create_task(_again_and_again(lambda: _expire(store), _EXPIRE_EVERY_S)),
        asyncio.create_task(_again_and_again(lambda: _settle(store, engine), _SETTLE_EVERY_S)),
    ]
    for task in running:
        task.add_done_callback(_say_why)
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _say_why(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        _log.critical("upkeep stopped", exc_info=task.exception())


async def _again_and_again(work: Callable[[], Awaitable[None]], every_s: float) -> None:
    while True:
        try:
            await work()
        except PaymentError as problem:  # the store is stopping, or full: the next round will do
            _log.warning("upkeep was put off: %s", problem)
        await asyncio.sleep(every_s)


async def _expire(store: Store) -> None:
    while True:
        now = now_us()
        due = await store.due(now, _EXPIRED_AT_ONCE_MAX)
        if due:
            await store.execute_all([expire(payment_id, now) for payment_id in due])
            _log.info("%d authorizations ran out", len(due))
        if len(due) < _EXPIRED_AT_ONCE_MAX:
            return


async def _settle(store: Store, engine: Engine) -> None:
    intents = await store.intents()
    # A sample, so that payments whose processor hangs do not keep the others from their turn.
    open_intents = random.sample(intents, min(len(intents), _SETTLED_AT_ONCE_MAX))
    outcomes = await asyncio.gather(
        *(engine.settle(intent) for intent in open_intents), return_exceptions=True
    )
    for intent, outcome in zip(open_intents, outcomes, strict=True):
        if isinstance(outcome, PaymentError):
            _log.warning("payment %s is still open: %s", intent.payment_id, outcome)
        elif isinstance(outcome, BaseException):
            raise outcome
