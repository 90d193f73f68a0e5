"""Errors on the wire: google.rpc.Status with one ErrorInfo, after AIP-193."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import grpc

from paycli.errors import InvalidPayment, PaymentError, ServerFault, StateForbids
from paycli.host.observation.calls import note
from paycli.wire_names import ERROR_DOMAIN, RETRY_PUSHBACK, STATUS_DETAILS

if TYPE_CHECKING:  # start-up time: loaded with the first error
    from google.protobuf.any_pb2 import Any as AnyMessage
    from google.rpc.status_pb2 import Status


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: PaymentError) -> NoReturn:
    """End the call with the status, the sentence and the machine-readable details of `error`."""
    note(reason=error.reason)
    if isinstance(error, ServerFault):
        note(incident=error.incident)
    details: list[tuple[str, str | bytes]] = []
    details.append((STATUS_DETAILS, status_of(error).SerializeToString()))
    if error.retry_after_s is not None:
        details.append((RETRY_PUSHBACK, str(round(error.retry_after_s * 1000))))
    await context.abort(_code(error), error.message, tuple(details))
    raise AssertionError("abort returned")


def status_of(error: PaymentError) -> Status:
    """The status that a call would end with, as a message."""
    from google.rpc.status_pb2 import Status

    code: int = _code(error).value[0]
    return Status(code=code, message=error.message, details=_details(error))


def _code(error: PaymentError) -> grpc.StatusCode:
    assert error.status is not None
    return grpc.StatusCode[error.status]


def _details(error: PaymentError) -> list[AnyMessage]:
    from google.protobuf import any_pb2, duration_pb2
    from google.rpc import error_details_pb2

    details = [
        error_details_pb2.ErrorInfo(
            reason=error.reason, domain=ERROR_DOMAIN, metadata=error.metadata
        )
    ]
    if isinstance(error, InvalidPayment) and error.field:
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
    if error.retry_after_s is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(error.retry_after_s * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = []
    for detail in details:
        wrapped = any_pb2.Any()
        wrapped.Pack(detail)
        packed.append(wrapped)
    return packed
