"""What a failed call means to the caller: gRPC statuses as errors of our tree, by one table.

Only our own server's word, a status with one ErrorInfo of our domain, proves that a payment was not
made. A service that charges, calls another one, and passes on how that call ended can end with any
status at all; so can a proxy on the way. What they say is shown; it proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc
from grpc import StatusCode

from paycli.errors import (
    InputError,
    NotTaken,
    OutcomeUnknown,
    PaycliError,
    Refused,
    RemoteError,
    Retry,
)
from paycli.wire_names import ERROR_DOMAIN, STATUS_DETAILS

if TYPE_CHECKING:
    from google.rpc import error_details_pb2, status_pb2

_ADVICE: Final = re.compile(r"(?<=\.) Send it again[^.]*\.$")


class Failed(NamedTuple):
    """How a call ended: its status, what was said, which method it was, and what may have come of it."""

    code: StatusCode
    said: str
    method: str
    may: str


_Meaning = Callable[[Failed], PaycliError]


def _refused(call: Failed) -> PaycliError:
    return Refused(f"The service refused the call: {call.said}")


def _invalid(call: Failed) -> PaycliError:
    return InputError(call.said)


def _not_offered(call: Failed) -> PaycliError:
    return RemoteError(f"The service does not offer {call.method}.", status=call.code.name)


def _nothing_done(call: Failed) -> PaycliError:
    return NotTaken(call.said)


def _answered(call: Failed) -> PaycliError:
    return RemoteError(f"The service answered {call.code.name}: {call.said}", status=call.code.name)


def _answered_for_now(call: Failed) -> PaycliError:
    error = _answered(call)
    error.retry = Retry.SAME_KEY
    return error


def _open(call: Failed) -> PaycliError:
    # What to do is said by whoever knows how this caller does it.
    return OutcomeUnknown(_ADVICE.sub("", call.said))


def _nobody_knows_whose(call: Failed) -> PaycliError:
    # gRPC ends calls so by itself; a service that does it looks the same.
    return OutcomeUnknown(
        f"The call ended without proof ({call.code.name}: {call.said}); {call.may}."
    )


def _no_proof(call: Failed) -> PaycliError:
    return OutcomeUnknown(
        f"The service answered {call.code.name} ({call.said}), which proves nothing; {call.may}."
    )


def _no_such_method(call: Failed) -> PaycliError:
    return OutcomeUnknown(
        f"The service answered UNIMPLEMENTED ({call.said}): most likely it does not offer "
        f"{call.method}, but that is no proof; {call.may}."
    )


class _Row(NamedTuple):
    """The meanings of a status: of a payment, by our server or by others; of a call without one."""

    ours: _Meaning
    others: _Meaning
    unsent: _Meaning


_TABLE: Final = {
    StatusCode.CANCELLED: _Row(_open, _nobody_knows_whose, _nothing_done),
    StatusCode.UNKNOWN: _Row(_open, _no_proof, _answered),
    StatusCode.INVALID_ARGUMENT: _Row(_invalid, _no_proof, _invalid),
    StatusCode.DEADLINE_EXCEEDED: _Row(_open, _nobody_knows_whose, _nothing_done),
    StatusCode.NOT_FOUND: _Row(_answered, _no_proof, _answered),
    StatusCode.ALREADY_EXISTS: _Row(_answered, _no_proof, _answered),
    StatusCode.PERMISSION_DENIED: _Row(_refused, _no_proof, _refused),
    StatusCode.RESOURCE_EXHAUSTED: _Row(_nothing_done, _no_proof, _answered_for_now),
    StatusCode.FAILED_PRECONDITION: _Row(_answered, _no_proof, _answered),
    StatusCode.ABORTED: _Row(_open, _no_proof, _answered_for_now),
    StatusCode.OUT_OF_RANGE: _Row(_invalid, _no_proof, _invalid),
    StatusCode.UNIMPLEMENTED: _Row(_not_offered, _no_such_method, _not_offered),
    StatusCode.INTERNAL: _Row(_open, _no_proof, _answered),
    StatusCode.UNAVAILABLE: _Row(_nothing_done, _nobody_knows_whose, _nothing_done),
    StatusCode.DATA_LOSS: _Row(_open, _no_proof, _answered),
    StatusCode.UNAUTHENTICATED: _Row(_refused, _no_proof, _refused),
}


_CODES: Final = {code.value[0]: code for code in StatusCode}


def failure_of(
    call: grpc.RpcError, method: str, *, sent: bool = True, may: str = "it may have been paid"
) -> PaycliError:
    """The error for a failed call; `sent` says whether it asked for money to move, `may` of what kind."""
    info = error_info(call)
    ours = info is not None and info.domain == ERROR_DOMAIN
    row = _TABLE[call.code()]
    meaning = row.unsent if not sent else row.ours if ours else row.others
    return _failure(meaning, call.code(), call.details(), method, may, info if ours else None)


def failure_in(status: status_pb2.Status, method: str) -> PaycliError:
    """The error of one item of a batch, whose status came within the answer."""
    from google.rpc import error_details_pb2

    code = _CODES.get(status.code, StatusCode.UNKNOWN)
    info = error_details_pb2.ErrorInfo()
    ours = any(each.Unpack(info) for each in status.details) and info.domain == ERROR_DOMAIN
    meaning = _TABLE[code].ours if ours else _TABLE[code].others
    may = "it may have been paid"
    return _failure(meaning, code, status.message, method, may, info if ours else None)


def _failure(
    meaning: _Meaning,
    code: StatusCode,
    said: str | None,
    method: str,
    may: str,
    info: error_details_pb2.ErrorInfo | None,
) -> PaycliError:
    # One line, whatever the service sent: it must not look like a line of our own.
    one_line = " ".join((said or "no reason given").split())
    error = meaning(Failed(code, one_line, method, may))
    error.status = code.name
    if info is not None:
        error.reason = info.reason
        error.metadata = dict(info.metadata)
    return error


def error_info(call: grpc.RpcError) -> error_details_pb2.ErrorInfo | None:
    """The machine-readable reason (AIP-193) that came with the status, from whomever; if one did."""
    return info_in(call.code(), call.trailing_metadata() or ())


def info_in(code: StatusCode, trailing: Iterable[Any]) -> error_details_pb2.ErrorInfo | None:
    """The same, in the trailing metadata that came with a status."""
    from google.protobuf.message import DecodeError  # start-up time: only failures need these
    from google.rpc import error_details_pb2

    info = error_details_pb2.ErrorInfo()
    status = _status_in(code, trailing)
    try:
        if status is not None and any(each.Unpack(info) for each in status.details):
            return info
    except DecodeError:
        pass
    return None


def status_details(call: grpc.RpcError) -> status_pb2.Status | None:
    """The status with its details that came in the trailing metadata, if it is that of this end."""
    return _status_in(call.code(), call.trailing_metadata() or ())


def _status_in(code: StatusCode, trailing: Iterable[Any]) -> status_pb2.Status | None:
    from google.protobuf.message import DecodeError
    from google.rpc import status_pb2

    for key, value in trailing:
        if key != STATUS_DETAILS or not isinstance(value, bytes):
            continue
        try:
            status = status_pb2.Status.FromString(value)
        except DecodeError:
            continue
        # Rewritten on the way, it speaks of another end than this one.
        if status.code == code.value[0]:
            return status
    return None
