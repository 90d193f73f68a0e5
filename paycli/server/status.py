"""Errors on the wire: google.rpc.Status with one ErrorInfo, after AIP-193."""

from __future__ import annotations

from typing import Any, Final, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from paycli.errors import InvalidPayment, PaymentError, StateForbids, Unavailable

DOMAIN: Final = "paycli.dev"
_DETAILS_KEY = "grpc-status-details-bin"


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: PaymentError) -> NoReturn:
    """End the call with the status, the sentence and the machine-readable details of `error`."""
    assert error.status is not None
    code = grpc.StatusCode[error.status]
    status = status_pb2.Status(code=code.value[0], message=error.message, details=_details(error))
    await context.abort(code, error.message, ((_DETAILS_KEY, status.SerializeToString()),))
    raise AssertionError("abort returned")


def _details(error: PaymentError) -> list[any_pb2.Any]:
    details = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    ]
    if isinstance(error, InvalidPayment):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=error.message, reason=error.reason
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    elif isinstance(error, StateForbids):
        broken = error_details_pb2.PreconditionFailure.Violation(
            type=error.reason,
            subject=error.metadata.get("paymentId", ""),
            description=error.message,
        )
        details.append(error_details_pb2.PreconditionFailure(violations=[broken]))
    elif isinstance(error, Unavailable):
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(error.retry_after_s * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = []
    for detail in details:
        wrapped = any_pb2.Any()
        wrapped.Pack(detail)
        packed.append(wrapped)
    return packed
