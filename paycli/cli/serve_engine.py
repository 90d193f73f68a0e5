"""The payment service as `paycli serve` runs it: engine, store, processor and upkeep put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from paycli.cli.serve_observed import Watch
from paycli.engine.engine import Engine
from paycli.engine.simulator import Simulator
from paycli.engine.upkeep import upkeep
from paycli.errors import StoreError
from paycli.host.app import App, Control
from paycli.payments.store import Health
from paycli.servicers.app import PaymentApp
from paycli.storage.stores import open_store, place_of


class EngineOptions(NamedTuple):
    """What the payment service alone has to know; `wait_s` is how long a store in use is waited for."""

    store_url: str
    wait_s: float
    authorization_ttl_s: float
    processor_timeout_s: float


@asynccontextmanager
async def payment_app(watch: Watch, given: EngineOptions, control: Control) -> AsyncIterator[App]:
    """The payment service with all that it needs. Raises StoreError, also when the store broke."""
    broken = False

    def store_is(health: Health) -> None:
        nonlocal broken
        broken = health is Health.BROKEN
        if watch.commits is not None:
            watch.commits.health(health)
        if broken:
            control.give_up()
        else:
            control.report(serving=health is Health.SERVING)

    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(
            open_store(given.store_url, store_is, watch.commits, given.wait_s)
        )
        engine = Engine(
            store,
            Simulator(),
            authorization_ttl_s=given.authorization_ttl_s,
            processor_timeout_s=given.processor_timeout_s,
        )
        stack.push_async_callback(engine.close)
        await stack.enter_async_context(upkeep(store, engine))
        watch.places.append(f"Payments are kept in {place_of(given.store_url)}")
        yield PaymentApp(engine, store)
    if broken:
        raise StoreError("The store failed, as said above; start the server again.")
