"""Waiting for a service: real servers that start late, change their mind, or have no health service."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health as grpc_health
from grpc_health.v1 import health_pb2, health_pb2_grpc

from paycli.client.health import NO_HEALTH, SERVING, ask, wait_until_serving
from paycli.errors import CheckFailed, Refused, Unreachable
from tests.client import odd_service
from tests.host.test_metrics import free_port

LONG_S = 60.0  # nobody waits so long but for a failure
_STATUSES = health_pb2.HealthCheckResponse
PAYMENTS = "payment.PaymentService"


@contextmanager
def server(servicer: Any, port: int = 0) -> Iterator[str]:
    """A plain gRPC server with this health service; its address."""
    made = grpc.server(ThreadPoolExecutor(4))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, made)
    chosen = made.add_insecure_port(f"127.0.0.1:{port}")
    made.start()
    try:
        yield f"127.0.0.1:{chosen}"
    finally:
        made.stop(None)


class OnlyCheck(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # comes without types
    """Cannot be watched, and answers questions so, one after another; the last one for ever."""

    def __init__(self, *answers: int | grpc.StatusCode) -> None:
        self._answers = list(answers)
        self.asked = 0

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, grpc.StatusCode):
            context.abort(answer, "so it is")
        return _STATUSES(status=answer)


def later(do: Callable[[], object]) -> threading.Timer:
    """Do it when the other side has begun to wait."""
    timer = threading.Timer(0.5, do)
    timer.start()
    return timer


def within(seconds: float) -> Callable[[str, str], str]:
    """Wait so long, called as `ask` is."""
    return lambda target, service: wait_until_serving(target, service, seconds)


def test_a_server_that_comes_late_is_waited_for() -> None:
    port, stop = free_port(), threading.Event()

    def serve() -> None:
        with server(grpc_health.HealthServicer(), port):
            stop.wait(LONG_S)

    timer = later(serve)
    try:
        assert wait_until_serving(f"127.0.0.1:{port}", "", LONG_S) == SERVING
    finally:
        stop.set()
        timer.join()


def test_one_that_does_not_serve_yet_is_watched_until_it_does() -> None:
    servicer = grpc_health.HealthServicer()
    servicer.set(PAYMENTS, _STATUSES.NOT_SERVING)
    with server(servicer) as target:
        with pytest.raises(CheckFailed, match=f"{PAYMENTS} at .* says NOT_SERVING") as failed:
            ask(target, PAYMENTS)
        assert failed.value.reason == "NOT_SERVING"
        assert ask(target, "") == SERVING  # as a whole it does
        later(lambda: servicer.set(PAYMENTS, _STATUSES.SERVING))
        assert wait_until_serving(target, PAYMENTS, LONG_S) == SERVING


def test_a_service_may_become_known_later() -> None:
    servicer = grpc_health.HealthServicer()
    with server(servicer) as target:
        for found in (ask, within(0.5)):
            with pytest.raises(CheckFailed, match=f"knows no service '{PAYMENTS}'"):
                found(target, PAYMENTS)
        later(lambda: servicer.set(PAYMENTS, _STATUSES.SERVING))
        assert wait_until_serving(target, PAYMENTS, LONG_S) == SERVING


def test_patience_ends() -> None:
    servicer = grpc_health.HealthServicer()
    servicer.set("", _STATUSES.NOT_SERVING)
    with server(servicer) as target:
        began = time.monotonic()
        with pytest.raises(CheckFailed, match=r"The service at .* NOT_SERVING"):
            wait_until_serving(target, "", 0.5)
        assert 0.5 <= time.monotonic() - began < LONG_S
    with pytest.raises(Unreachable, match="nothing listens there"):
        wait_until_serving(target, "", 0.5)


def test_one_that_cannot_be_watched_is_asked_again_and_again() -> None:
    servicer = OnlyCheck(_STATUSES.NOT_SERVING)
    with server(servicer) as target, pytest.raises(CheckFailed, match="NOT_SERVING"):
        wait_until_serving(target, "", 1)
    assert servicer.asked > 4  # each round begins with a question of the channel
    # What a status of another kind means nobody knows: it may pass.
    answers = (
        _STATUSES.NOT_SERVING,
        grpc.StatusCode.INTERNAL,
        _STATUSES.UNKNOWN,
        _STATUSES.SERVING,
    )
    with server(OnlyCheck(*(each for each in answers for _ in range(2)))) as target:
        assert wait_until_serving(target, "", LONG_S) == SERVING


@pytest.mark.parametrize("unsure", [_STATUSES.UNKNOWN, grpc.StatusCode.UNKNOWN])
def test_a_health_service_that_does_not_know_is_none_that_is_missing(
    unsure: int | grpc.StatusCode,
) -> None:
    with server(OnlyCheck(unsure)) as target:
        for found in (ask, within(0.5)):
            with pytest.raises(CheckFailed, match="says UNKNOWN"):
                found(target, "")


def test_without_a_health_service_an_answer_is_all_that_there_is_to_know() -> None:
    with odd_service.service(odd_service.never) as target:
        assert ask(target, "") == NO_HEALTH
        assert wait_until_serving(target, "", LONG_S) == NO_HEALTH
        began = time.monotonic()
        for found in (ask, within(LONG_S)):
            with pytest.raises(CheckFailed, match=f"no health service to ask about {PAYMENTS}"):
                found(target, PAYMENTS)
        assert time.monotonic() - began < LONG_S / 2  # it is not waited for one


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED]
)
def test_a_refusal_is_final(code: grpc.StatusCode) -> None:
    with server(OnlyCheck(code)) as target:
        for found in (ask, within(LONG_S)):
            with pytest.raises(Refused, match="so it is"):
                found(target, "")


def test_a_connection_that_breaks_is_made_anew() -> None:
    port, broken, stop = free_port(), threading.Event(), threading.Event()
    no = grpc_health.HealthServicer()
    no.set("", _STATUSES.NOT_SERVING)

    def serve_twice() -> None:
        with server(no, port):
            broken.wait(LONG_S)
        with server(grpc_health.HealthServicer(), port):
            stop.wait(LONG_S)

    serving = threading.Thread(target=serve_twice)
    serving.start()
    later(broken.set)
    try:
        assert wait_until_serving(f"127.0.0.1:{port}", "", LONG_S) == SERVING
    finally:
        stop.set()
        serving.join()
