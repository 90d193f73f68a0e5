"""Somebody's own servicers as an app for a host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from paycli.host.app import App, Control
from paycli.host.hosting.find_servicer import Servicer, find_servicers
from paycli.host.interceptors import Interceptor


class ServicerApp:
    """A `host.app.App`."""

    interceptors: Sequence[Interceptor] = ()

    def __init__(self, servicers: Sequence[Servicer]) -> None:
        self.services = [service for each in servicers for service in each.services]

    def drain(self) -> None:
        """They have no streams of which we know how to end them; those get the drain timeout."""


@asynccontextmanager
async def open_servicers(places: Sequence[str], _: Control) -> AsyncIterator[App]:
    """The app of the servicers at these places, such as `module:Servicer`. Raises InputError."""
    async with AsyncExitStack() as stack:
        yield ServicerApp(await find_servicers(places, stack))
