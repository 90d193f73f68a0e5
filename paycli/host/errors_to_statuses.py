"""The interceptor that ends calls with errors of ours, whatever goes wrong in them."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Final, NoReturn

import grpc

from paycli.errors import InvalidPayment, PaymentError, ServerFault
from paycli.host.interceptors import Behaviour, Context, Method, status_of
from paycli.host.statuses import abort

_log = logging.getLogger(__name__)

_Write = Callable[[Any], Any]

# These two would end the loop, and with it everybody's calls; a real Ctrl-C does not come this way.
_RAISED: Final = (Exception, SystemExit, KeyboardInterrupt)


def errors_to_statuses(method: Method) -> Method:
    """A PaymentError becomes its status; any other exception one with the number of an incident.

    Errors in reading a request and in writing a response are as those of the method itself; the
    responses that come out are bytes.
    """
    read = _reading(method)
    write = method.write or _as_it_is
    if method.yields:  # which may write to its context as well
        return method._replace(
            behaviour=_stream(method, write), read=read, write=_unless_written(write)
        )
    if method.response_streaming:  # it writes to its context
        return method._replace(behaviour=_single(method, lambda _: None), read=read)
    return method._replace(behaviour=_single(method, write), read=read, write=None)


def _single(method: Method, write: _Write) -> Behaviour:
    behaviour = method.behaviour

    async def answer(request: Any, context: Context) -> Any:
        try:
            if isinstance(request, PaymentError):
                await abort(context, request)
            return write(await behaviour(request, context))
        except _RAISED as problem:  # all of them end here
            await _fail(context, method.name, problem)

    return answer


def _stream(method: Method, write: _Write) -> Behaviour:
    behaviour = method.behaviour

    async def answer(request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            if isinstance(request, PaymentError):
                await abort(context, request)
            async with aclosing(behaviour(request, context)) as responses:
                async for response in responses:
                    yield write(response)
        except _RAISED as problem:  # all of them end here
            await _fail(context, method.name, problem)

    return answer


def _reading(method: Method) -> Callable[[bytes], Any] | None:
    """A reader whose errors are PaymentErrors.

    grpc itself ends a call whose one request cannot be read; so there the error takes the place of the
    request. Requests that stream are read by the method, which meets the error where it reads.
    """
    read = method.read
    if read is None:
        return None
    unreadable = f"The request is no {_name_of(read)}; its bytes cannot be read."

    def checked(raw: bytes) -> Any:
        try:
            return read(raw)
        except PaymentError:
            raise
        except Exception as problem:
            raise InvalidPayment("", unreadable, reason="REQUEST_UNREADABLE") from problem

    def request_or_error(raw: bytes) -> Any:
        try:
            return checked(raw)
        except PaymentError as refusal:
            return refusal

    return checked if method.request_streaming else request_or_error


def _name_of(read: Callable[[bytes], Any]) -> str:
    """The name of the message that a reader makes."""
    descriptor = getattr(getattr(read, "__self__", None), "DESCRIPTOR", None)
    return getattr(descriptor, "full_name", "message of this method")


def _unless_written(write: _Write) -> _Write:
    return lambda response: response if isinstance(response, bytes) else write(response)


def _as_it_is(response: Any) -> Any:
    return response


async def _fail(context: Context, method: str, problem: BaseException) -> NoReturn:
    """What is no rule's no is a fault, told in the log alone."""
    if isinstance(problem, grpc.aio.AbortError):
        raise problem
    if not isinstance(problem, PaymentError):
        await _keep_own_code(context, method, problem)
        fault = ServerFault(os.urandom(6).hex())
        _log.error("%s failed; incident %s", method, fault.incident, exc_info=problem)
        problem = fault
    await abort(context, problem)


async def _keep_own_code(context: Context, method: str, problem: BaseException) -> None:
    """End the call with the code that the method set before it failed, as classic servicers do."""
    code = status_of(context.code())
    if code is grpc.StatusCode.OK:
        return
    if not isinstance(problem, NotImplementedError):  # which generated code says of itself
        _log.error("%s failed with %s", method, code.name, exc_info=problem)
    await context.abort(code, context.details())
