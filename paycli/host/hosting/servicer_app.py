"""Somebody's own servicers as an app for a host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from paycli.errors import CheckFailed
from paycli.host.app import App, Control
from paycli.host.hosting.find_servicer import Servicer, find_servicers, told
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
    """The app of the servicers at these places, such as `module:Servicer`. Raises InputError, and
    CheckFailed when it cannot be closed.
    """
    stack = AsyncExitStack()
    try:
        yield ServicerApp(await find_servicers(places, stack))
    finally:
        await _close(stack)


async def _close(stack: AsyncExitStack) -> None:
    try:
        await stack.aclose()
    except Exception as problem:
        raise CheckFailed(f"What made a servicer fails at its end: {told(problem)}.") from problem
