"""The service that a command calls: its options, which every such command has alike."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec

from paycli.cli import options

if TYPE_CHECKING:
    import grpc

    from paycli.client.access import Access

_Own = ParamSpec("_Own")


class Service(NamedTuple):
    """Whom to call and how, as it was said; `wait_s` is how long it may take until it serves."""

    target: str
    timeout_s: float
    access: Access
    wait_s: float

    @contextmanager
    def connect(self) -> Iterator[grpc.Channel]:
        """An open channel. Raises Unreachable, and CheckFailed if it does not come to serve."""
        from paycli.client.channel import connect

        if self.wait_s:
            from paycli.client.health import wait_until_serving

            wait_until_serving(self.target, "", self.wait_s, self.access)
        with connect(self.target, self.timeout_s, self.access) as channel:
            yield channel

    def words(self) -> list[str]:
        """The options that name it on another command line, but for what may be secret."""
        return ["--target", self.target, *self.access.words()]


def calls_service(command: Callable[Concatenate[Service, _Own], None]) -> Callable[..., None]:
    """A command whose first parameter is the Service, made of the options that this adds."""
    shared = inspect.signature(_service, eval_str=True).parameters
    _, *own = inspect.signature(command, eval_str=True).parameters.values()

    act: Callable[..., None] = command  # Typer gives it what it asks for

    def called(**given: Any) -> None:
        service = _service(**{name: given.pop(name) for name in shared})
        act(service, **given)

    parameters = [*own, *shared.values()]
    update_wrapper(called, command)
    vars(called)["__signature__"] = inspect.Signature(parameters)
    called.__annotations__ = {each.name: each.annotation for each in parameters}
    return called


def _service(
    *,
    target: options.Target = options.DEFAULT_TARGET,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_S,
    wait: options.Wait = 0.0,
    plaintext: options.Plaintext = None,
    ca: options.Ca = None,
    cert: options.Cert = None,
    key: options.Key = None,
    server_name: options.ServerName = None,
    token: options.Token = None,
    headers: options.Headers = None,
) -> Service:
    from paycli.client.access import access_of

    access = access_of(plaintext, ca, cert, key, server_name, token, headers or ())
    return Service(target, timeout, access, wait)
