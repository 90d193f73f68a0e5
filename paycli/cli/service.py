"""The service that a command calls: its options, which every such command has alike."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Final, NamedTuple, ParamSpec

import typer

from paycli.cli import options, settings

if TYPE_CHECKING:
    import grpc

    from paycli.client.access import Access

_Own = ParamSpec("_Own")


class Service(NamedTuple):
    """Whom to call and how, as it was said; `wait_s` is how long it may take until it serves.

    `chosen` are the words that choose a profile of settings.
    """

    target: str
    timeout_s: float
    access: Access
    wait_s: float
    chosen: tuple[str, ...] = ()

    @contextmanager
    def connect(self) -> Iterator[grpc.Channel]:
        """An open channel. Raises Unreachable, and CheckFailed if it does not come to serve."""
        from paycli.client.channel import connect

        if self.wait_s:
            from paycli.client.health import wait_until_serving

            wait_until_serving(self.target, "", self.wait_s, self.access)
        with connect(self.target, self.timeout_s, self.access) as channel:
            yield channel

    def of_own(self, target: str) -> Service:
        """The same for a server of our own, where how to get in elsewhere is of no use."""
        from paycli.client.access import ANYHOW

        return self._replace(target=target, access=ANYHOW, wait_s=0.0)

    def words(self) -> list[str]:
        """The options that name it on another command line, but for what may be secret."""
        return [*self.chosen, "--target", self.target, *self.access.words()]

    def command(self, *words: str) -> str:
        """A command line of paycli that calls it, to be typed as it stands."""
        import shlex

        # Elsewhere, where PAYCLI_TARGET leads, it would do something else.
        return shlex.join(["paycli", *words, *self.words()])


def calls_service(command: Callable[Concatenate[Service, _Own], None]) -> Callable[..., None]:
    """A command whose first parameter is the Service, made of the options that this adds.

    An option that the command has itself, with other words or another default, is taken as it is.
    """
    return _with_options(command, _SHARED)


def calls_service_at_once(
    command: Callable[Concatenate[Service, _Own], None],
) -> Callable[..., None]:
    """The same without --wait."""
    return _with_options(command, [each for each in _SHARED if each.name != "wait"])


def _with_options(
    command: Callable[Concatenate[Service, _Own], None], shared: Sequence[inspect.Parameter]
) -> Callable[..., None]:
    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    has = {each.name for each in own}
    added = [each for each in shared if each.name not in has]
    act: Callable[..., None] = command  # Typer gives it what it asks for

    def called(**given: Any) -> None:
        service = _service(**{each.name: given[each.name] for each in shared})
        act(service, **{name: value for name, value in given.items() if name in has})

    parameters = [*own, *added]
    update_wrapper(called, command)
    vars(called)["__signature__"] = inspect.Signature(parameters)
    called.__annotations__ = {each.name: each.annotation for each in parameters}
    return called


def _service(
    *,
    context: typer.Context,
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

    about_tls = {"ca": ca, "cert": cert, "key": key, "server_name": server_name}
    given = [name for name, value in about_tls.items() if value is not None]
    if plaintext and given:  # whatever was said nearer to the call holds
        nearest = max(settings.rank(context, name) for name in given)
        if settings.rank(context, "plaintext") > nearest:
            ca = cert = key = server_name = None
        elif settings.rank(context, "plaintext") < nearest:
            plaintext = None
    access = access_of(plaintext, ca, cert, key, server_name, token, headers or ())
    return Service(target or "", timeout, access, wait, settings.chosen(context))


def typed(context: typer.Context) -> Service:
    """The service of a command line that is still being typed. Raises InputError."""
    given = {
        each.name: context.params[each.name] for each in _SHARED if each.name in context.params
    }
    return _service(**{"timeout": 0.0, "wait": 0.0, **given, "context": context})


_SHARED: Final = tuple(inspect.signature(_service, eval_str=True).parameters.values())
