"""Whether a service serves, by what its health service (grpc.health.v1) says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import grpc
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc

from paycli.client.access import ANYHOW, Access
from paycli.client.channel import connect
from paycli.client.failures import failure_of
from paycli.errors import CheckFailed, PaycliError, Unreachable

SERVING: Final = "SERVING"
NO_HEALTH: Final = StatusCode.UNIMPLEMENTED.name  # it answers, and nothing there would say more
_SERVICE_UNKNOWN: Final = "SERVICE_UNKNOWN"

_HEALTH: Final = "grpc.health.v1.Health"
_ONE_QUESTION_S: Final = 5.0
_ONE_ATTEMPT_S: Final = 1.0  # at least: less would blame the time that was left, not what is wrong
_PAUSE_S: Final = 0.1
_REFUSALS: Final = (StatusCode.PERMISSION_DENIED, StatusCode.UNAUTHENTICATED)


def ask(target: str, service: str, access: Access = ANYHOW) -> str:
    """Ask once: SERVING, or NO_HEALTH of a server that has no health service.

    Raises Unreachable, Refused, and CheckFailed for any other answer. A `service` of "" is the
    server as a whole.
    """
    with connect(target, _ONE_QUESTION_S, access) as channel:
        return _verdict(_check(channel, service, _ONE_QUESTION_S), target, service)


def wait_until_serving(target: str, service: str, timeout_s: float, access: Access = ANYHOW) -> str:
    """As `ask`, with patience for what a start brings: nobody there, NOT_SERVING, an unknown service."""
    until = time.monotonic() + timeout_s
    problem: PaycliError | None = None
    while problem is None or time.monotonic() < until:
        left_s = max(until - time.monotonic(), _ONE_ATTEMPT_S)
        try:
            with connect(target, round(left_s, 1), access) as channel:
                for status in _statuses(channel, service, until):
                    try:
                        return _verdict(status, target, service)
                    except CheckFailed as not_yet:
                        if status == NO_HEALTH:
                            raise
                        problem = not_yet
        except Unreachable as nobody:
            problem = nobody
        time.sleep(_PAUSE_S)
    raise problem


def _verdict(status: str, target: str, service: str) -> str:
    """The status of a service that may be called. Raises CheckFailed for any other."""
    if status == SERVING or (status == NO_HEALTH and not service):
        return status
    raise CheckFailed(
        _sentence(status, target, service),
        reason="NOT_SERVING",
        metadata={"target": target, "service": service, "status": status},
    )


def _sentence(status: str, target: str, service: str) -> str:
    if status == NO_HEALTH:
        return (
            f"{target} answers, but has no health service to ask about {service}. "
            "Leave out --service to know that it answers."
        )
    if status == _SERVICE_UNKNOWN and service:
        return f"{target} knows no service '{service}'. Name one as its proto does, such as payment.PaymentService."
    if status == _SERVICE_UNKNOWN:
        return f"{target} has no status as a whole. Name one of its services with --service NAME."
    return f"{service or 'The service'} at {target} is there, but does not serve: its health service says {status}."


def _statuses(channel: grpc.Channel, service: str, until: float) -> Iterator[str]:
    """Each status that is heard, until then or until the connection breaks. Raises Refused."""
    stub = health_pb2_grpc.HealthStub(channel)
    left_s = max(until - time.monotonic(), _ONE_ATTEMPT_S)
    heard = False
    try:
        for response in stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=left_s):
            heard = True
            yield _name_of(response.status)
    except grpc.RpcError as end:
        if end.code() in _REFUSALS:
            raise failure_of(end, f"{_HEALTH}/Watch", sent=False) from end
        if not heard:  # whatever the reason, the simple question may have an answer
            yield _check(channel, service, _ONE_ATTEMPT_S)


def _check(channel: grpc.Channel, service: str, timeout_s: float) -> str:
    """The status now; that of the call where none came. Raises Refused."""
    stub = health_pb2_grpc.HealthStub(channel)
    try:
        response = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=timeout_s)
    except grpc.RpcError as end:
        match end.code():
            case StatusCode.NOT_FOUND:
                return _SERVICE_UNKNOWN
            case StatusCode.UNIMPLEMENTED:
                return NO_HEALTH
            case code if code in _REFUSALS:
                raise failure_of(end, f"{_HEALTH}/Check", sent=False) from end
            case code:
                return str(code.name)
    return _name_of(response.status)


def _name_of(status: int) -> str:
    try:
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(status))
    except ValueError:
        return str(status)
