"""The interceptor that does to calls what the dice say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, Final, NoReturn, cast

from paycli.chaos.dice import Dice, Fault, Throw
from paycli.chaos.plan import Kind
from paycli.chaos.subjects import subjects_of
from paycli.errors import Overloaded, Unavailable
from paycli.host.interceptors import Behaviour, Context, Interceptor, Method
from paycli.host.observation.calls import note

# Whoever asks whether the server lives, or what it offers, is no client under test.
UNTOUCHED: Final = ("/grpc.health.", "/grpc.reflection.", "/grpc.channelz.")

_OF_EACH: Final = (Kind.DELAY, Kind.UNAVAILABLE, Kind.RESOURCE_EXHAUSTED, Kind.DROP)
_REASON: Final = "FAULT_INJECTED"
_log = logging.getLogger(__name__)

Drop = Callable[[str], None]  # the connection of a peer


def injected(dice: Dice, drop: Drop) -> Interceptor:
    """Faults for all methods but those of health and reflection."""

    def around(method: Method) -> Method:
        if method.name.startswith(UNTOUCHED):
            return method
        throw = dice.for_method(method.name, kinds_of(method))
        if throw is None:
            return method
        wrap = _yielding if method.yields else _single
        return method._replace(behaviour=wrap(method, throw, drop))

    return around


def kinds_of(method: Method) -> tuple[Kind, ...]:
    """What can be done to the calls of a method."""
    if method.yields:
        return (*_OF_EACH, Kind.SLOW_STREAM)
    single = not (method.request_streaming or method.response_streaming)
    return (*_OF_EACH, Kind.DUPLICATE) if single else _OF_EACH


async def before_work(method: str, fault: Fault | None) -> None:
    """What is done before the work, or instead of it. Raises PaymentError."""
    if fault is None:
        return
    note(fault=str(fault.kind))
    _log.info("fault %d, %s: a call of %s", fault.rule, fault.kind, method)
    if fault.kind is Kind.DELAY:
        await asyncio.sleep(fault.seconds)
    elif fault.kind is Kind.UNAVAILABLE:
        raise Unavailable("This is a fault on purpose; nothing was done.", reason=_REASON)
    elif fault.kind is Kind.RESOURCE_EXHAUSTED:
        refusal = Overloaded("This is a fault on purpose; nothing was done.", reason=_REASON)
        refusal.retry_after_s = fault.seconds
        raise refusal


def _single(method: Method, throw: Throw, drop: Drop) -> Behaviour:
    behaviour = method.behaviour

    async def call(request: Any, context: Context) -> Any:
        fault = throw(lambda: subjects_of(request))
        await before_work(method.name, fault)
        kind = fault.kind if fault is not None else None
        if kind is Kind.DUPLICATE:
            await _deliver_unheard(behaviour, request, context)
        if kind is Kind.DROP:
            with _lost(drop, context.peer()):
                return await behaviour(request, cast("Context", _Dropping(context, drop)))
        return await behaviour(request, context)

    return call


def _yielding(method: Method, throw: Throw, drop: Drop) -> Behaviour:
    behaviour = method.behaviour

    async def call(request: Any, context: Context) -> AsyncIterator[Any]:
        fault = throw(lambda: subjects_of(request))
        await before_work(method.name, fault)
        if fault is not None and fault.kind is Kind.DROP:
            with _lost(drop, context.peer()):
                within = cast("Context", _Dropping(context, drop))
                async with aclosing(behaviour(request, within)) as responses:
                    async for response in responses:
                        drop(context.peer())
                        yield response
            return
        pause_s = fault.seconds if fault is not None and fault.kind is Kind.SLOW_STREAM else 0.0
        async with aclosing(behaviour(request, context)) as responses:
            is_first = True
            async for response in responses:
                if pause_s and not is_first:
                    await asyncio.sleep(pause_s)
                is_first = False
                yield response

    return call


@contextmanager
def _lost(drop: Drop, peer: str) -> Iterator[None]:
    """The answer of the work within gets lost, also when it is an error."""
    try:
        yield
    except Exception:
        drop(peer)
        raise
    drop(peer)


async def _deliver_unheard(behaviour: Behaviour, request: Any, context: Context) -> None:
    try:
        await behaviour(request, cast("Context", _Unheard(context)))
    except Exception as problem:  # noqa: BLE001 - as little heard as an answer
        _log.info("the first delivery of two ended with %r", problem)


class _Aborted(Exception):
    """What abort raises in a delivery that nobody hears."""


class _Around:
    """A context within another."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


class _Dropping(_Around):
    """The context of a call whose connection breaks before its status leaves."""

    def __init__(self, context: Context, drop: Drop) -> None:
        super().__init__(context)
        self._drop = drop

    async def abort(self, *given: Any, **named: Any) -> NoReturn:
        self._drop(self._context.peer())
        await self._context.abort(*given, **named)

    async def abort_with_status(self, status: Any) -> NoReturn:
        self._drop(self._context.peer())
        await self._context.abort_with_status(status)


class _Unheard(_Around):
    """The context of a delivery whose answer nobody gets: what it is told is forgotten."""

    async def abort(self, *_: object, **__: object) -> NoReturn:
        raise _Aborted

    abort_with_status = abort

    async def send_initial_metadata(self, *_: object) -> None:
        pass

    def set_trailing_metadata(self, *_: object) -> None:
        pass

    def set_code(self, *_: object) -> None:
        pass

    def set_details(self, *_: object) -> None:
        pass
