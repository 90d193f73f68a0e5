"""Which contract a service offers, asked without moving money."""

from __future__ import annotations

from threading import Event
from typing import Any, Final

import grpc

from paycli.client.failures import failure_of
from paycli.client.payments import SERVICE
from paycli.client.retries import RETRYABLE, Patience, retry_after_s
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.generated.paycli.payments.v1 import payments_pb2_grpc

BATCH: Final = f"{SERVICE}/BatchCreatePayments"


def takes_batches(channel: grpc.Channel, timeout_s: float, retry_s: float, stop: Event) -> bool:
    """Whether it has the rich contract, in which every payment has a key. Raises what any call may.

    It is asked for an empty batch, which there is none of.
    """
    create: Any = payments_pb2_grpc.PaymentsStub(channel).BatchCreatePayments
    patience = Patience(retry_s, stop)
    while True:
        try:
            create(pb.BatchCreatePaymentsRequest(), timeout=timeout_s)
        except grpc.RpcError as problem:
            if problem.code() is grpc.StatusCode.UNIMPLEMENTED:
                return False
            if problem.code() is grpc.StatusCode.INVALID_ARGUMENT:
                return True
            may_retry = problem.code() in RETRYABLE
            if not (may_retry and patience.wait(retry_after_s(problem))):
                raise failure_of(problem, BATCH, sent=False) from problem
        else:
            return True
