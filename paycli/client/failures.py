"""What a failed call means to the caller: gRPC statuses as errors of our tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc

from paycli.errors import InputError, OutcomeUnknown, PaycliError, Refused, RemoteError, Unreachable

if TYPE_CHECKING:
    from google.rpc import error_details_pb2

_DETAILS_KEY: Final = "grpc-status-details-bin"
_REFUSALS: Final = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
_LOST: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
_BUSY: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


def failure_of(call: grpc.RpcError, method: str) -> PaycliError:
    """The error for a call that was sent on an open channel."""
    code = call.code()
    said = call.details() or "no reason given"
    info = error_info(call)
    error: PaycliError
    if code in _REFUSALS:
        error = Refused(f"The service refused the call: {said}")
    elif code is grpc.StatusCode.INVALID_ARGUMENT:
        error = InputError(said)
    elif code is grpc.StatusCode.UNIMPLEMENTED:
        error = RemoteError(f"The service does not offer {method}.", status=code.name)
    elif code in _BUSY and info is not None:
        error = Unreachable(said)
    elif code is grpc.StatusCode.DEADLINE_EXCEEDED or (code in _LOST and info is None):
        error = OutcomeUnknown(
            f"No answer came ({code.name}: {said}). It may have been carried out: "
            "send it again with the same key (or order id) to learn the outcome."
        )
    else:
        error = RemoteError(f"The service answered {code.name}: {said}", status=code.name)
    error.status = code.name
    if info is not None:
        error.reason = info.reason
        error.metadata = dict(info.metadata)
    return error


def error_info(call: grpc.RpcError) -> error_details_pb2.ErrorInfo | None:
    """The machine-readable reason (AIP-193) that came with the status, if one did."""
    from google.rpc import error_details_pb2, status_pb2  # start-up time: only failures need it

    info = error_details_pb2.ErrorInfo()
    for item in call.trailing_metadata() or ():
        if item.key == _DETAILS_KEY and isinstance(item.value, bytes):
            for detail in status_pb2.Status.FromString(item.value).details:
                if detail.Unpack(info):
                    return info
    return None
