"""The service that a suite is run against: how it is called, and whether it is still there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import grpc

from paycli.client.calls import build_request, call, find_method
from paycli.client.failures import error_info
from paycli.client.reflection import Reflection
from paycli.client.schema import Schema, schema_of_server
from paycli.errors import CheckFailed, PaycliError, Refused

_HEALTH_CHECK: Final = "grpc.health.v1.Health/Check"
_REFUSALS: Final = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
# What a call ends with when nobody is there any more, and a service says now and then by itself.
NO_ANSWER: Final = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
)
_SIGN_OF_LIFE_S: Final = 5.0  # a target that is merely slow shows one in this time


@dataclass(frozen=True, slots=True)
class Target:
    """The service under proof. `last_words` says why it is gone, if that is known.

    `command` makes words of paycli a command line that calls it; `log_tail` are its last log lines, if
    they are at hand.
    """

    channel: grpc.Channel
    timeout_s: float
    address: str
    command: Callable[..., str]
    last_words: Callable[[], str] = str
    log_tail: Callable[[], Sequence[str]] = tuple


class Gone(Exception):
    """The target does not answer any more; what came of the step that noticed is in `problems`."""

    def __init__(self, why: str, problems: Iterable[str] = ()) -> None:
        super().__init__(why)
        self.problems = list(problems)


def check_alive(target: Target, ended: grpc.RpcError) -> None:
    """Ask for a sign of life after a call that nobody answered. Raises Gone."""
    if ended.code() not in NO_ANSWER or error_info(ended) is not None:
        return
    try:
        _check_health(target, "", max(target.timeout_s, _SIGN_OF_LIFE_S))
    except grpc.RpcError as problem:
        if problem.code() in NO_ANSWER:
            why = target.last_words() or f"no service answers at {target.address} any more"
            raise Gone(why, [ended_with(ended, target)]) from problem
    except ValueError:
        return  # an answer, if a strange one


def told_by(target: Target) -> Schema:
    """What its reflection tells. Raises RemoteError, NotTaken and Refused."""
    return schema_of_server(target.channel, target.timeout_s)


def missing(service: str, target: Target) -> str:
    """Why the target does not offer a service; "" if it does. Raises Gone and PaycliError.

    Servers with a health service of the plain kind know "" there and no more; reflection lists all.
    """
    lacks = _unknown_to_health(service, target)
    if lacks:
        with suppress(PaycliError):
            if service in Reflection(target.channel, target.timeout_s).services():
                return ""
    return lacks


def _unknown_to_health(service: str, target: Target) -> str:
    said = f"The health service of {target.address} does not say whether it offers {service}"
    try:
        _check_health(target, service, target.timeout_s)
    except ValueError as problem:
        raise CheckFailed(f"{said}: {problem}.") from problem
    except grpc.RpcError as ended:
        if ended.code() is grpc.StatusCode.NOT_FOUND:
            return f"the health service of the target does not know {service}"
        if ended.code() is grpc.StatusCode.UNIMPLEMENTED:
            return f"the target has no health service that could say that it offers {service}"
        check_alive(target, ended)
        kind = Refused if ended.code() in _REFUSALS else CheckFailed
        raise kind(f"{said}: the call {ended_with(ended, target)}.") from ended
    return ""


def _check_health(target: Target, service: str, timeout_s: float) -> None:
    method = find_method(_HEALTH_CHECK)
    call(target.channel, method, [build_request(method, {"service": service})], timeout_s)


def ended_with(call: grpc.RpcError, target: Target) -> str:
    """How a call ended that was to be answered, in words."""
    limit = ""
    if call.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        limit = f" (--timeout is {target.timeout_s:g} s)"
    return f"ended with {call.code().name}{limit}: {call.details()}"
