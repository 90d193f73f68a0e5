"""What a host runs: services, what stands around their calls, and what to do at a stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol

import grpc

from paycli.host.interceptors import Interceptor


class Service(NamedTuple):
    """A service by its full name, and how it comes into a server: the generated `add_…_to_server`."""

    name: str
    add_to: Callable[[grpc.aio.Server], None]


class Recorder:
    """What `add_…_to_server` takes for a server: generated code says its names nowhere else."""

    def __init__(self) -> None:
        self.services: list[str] = []
        self.methods: list[str] = []  # as in /package.Service/Method; none of older generated code

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        # One that is written by hand may answer for any service, and so has no name.
        named = (each for each in handlers if isinstance(each, grpc.ServiceRpcHandler))
        self.services += (str(each.service_name()) for each in named)

    def add_registered_method_handlers(self, service: str, handlers: Iterable[str]) -> None:
        self.methods += (f"/{service}/{name}" for name in handlers)


class App(Protocol):
    """Services that live and stop together."""

    @property
    def services(self) -> Sequence[Service]:
        """All of them; health and reflection come from the host."""
        ...

    @property
    def interceptors(self) -> Sequence[Interceptor]:
        """What stands around each call, within what the host puts there; the first is outermost."""
        ...

    def drain(self) -> None:
        """End the streams that would not end by themselves; calls in flight go on."""
        ...


class Control(Protocol):
    """What an app tells its host."""

    def report(self, *, serving: bool) -> None:
        """Whether the services can do their work right now; health checks say so."""
        ...

    def give_up(self) -> None:
        """They never will again: say so for the drain timeout, for all to notice, and then stop."""
        ...


OpenApp = Callable[[Control], AbstractAsyncContextManager[App]]
