"""Every error paycli raises, in one tree.

    PaycliError                exit  meaning
    ├── CheckFailed            1     the thing ran and failed: smoke, drift, a threshold
    ├── InputError             2     wrong usage or invalid input
    │   └── DocumentError      2     ... in a file, at file:line
    ├── Unreachable            3     no service answers at the target
    ├── NotTaken               3     the service takes nothing now
    ├── Refused                4     authentication or permission
    ├── OutcomeUnknown         5     sent, and no answer proves the outcome: it may have been paid
    ├── RemoteError            1     the service answered with an error
    ├── StartError             1     a server or store cannot start
    │   └── StoreError         1     ... because of the store
    │       └── StoreInUse     1     ... which another server has
    └── PaymentError           1     a rule of the domain said no; travels as a gRPC status
        ├── InvalidPayment     2     a field is wrong
        ├── KeyReused          1     same idempotency key, other payment
        ├── PaymentNotFound    1     no such payment
        ├── RefundNotFound     1     no such refund
        ├── StateForbids       1     the payment's state does not allow it
        ├── ProcessorDeclined  1     the processor said no to a capture, void or refund
        ├── OutcomeOpen        5     it may have been carried out; the same key will tell
        ├── DeadlinePassed     5     too late to begin
        ├── Unauthenticated    4     nobody knows who calls
        ├── PermissionDenied   4     the caller may not do this
        ├── ServerFault        5     the server's own fault; it may have been carried out
        └── Unavailable        3     nothing was written, try again later
            ├── Overloaded     3     the queue is full
            ├── Draining       3     the server is stopping
            ├── ProcessorUnavailable 3 the processor did nothing
            ├── PaymentBusy    3     another change of the payment is at the processor
            └── StoreUnavailable 3   the store does not take writes

The exit codes are the table of every `--help`. 70 is our bug and has no class. Whether the same
request may be sent again (`retry`) goes with them: what exits with 3 was not carried out and may, of
what exits with 5 nobody knows, all else would get the same answer; unless the answer says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Final

# Errors travel in HTTP headers, which are small: of what a caller sent, only so much is said again.
_SHOWN_MAX: Final = 80


class Retry(StrEnum):
    """Whether the same request, with the same key, may be sent again."""

    SAME_KEY = "same-key"  # nothing was carried out, and another time it may be
    NO = "no"  # it would get the same answer
    UNKNOWN = "unknown"  # it may have been carried out: with its key, sent again, it tells


class PaycliError(Exception):
    """Base of the tree: one sentence for the user, a reason and metadata for machines."""

    exit_code: ClassVar[int] = 1
    status: str | None = None
    reason: str = "ERROR"
    retry: Retry = Retry.NO
    command: str = ""  # the command line that settles or mends it, where there is just one
    again: str = ""  # that which sends the same once more, where it is another one

    def __init__(
        self, message: str, *, reason: str = "", metadata: Mapping[str, str] | None = None
    ) -> None:
        """Without a `reason` it is that of the class."""
        super().__init__(message)
        self.message = message
        self.reason = reason or type(self).reason
        self.metadata: dict[str, str] = dict(metadata or {})

    def __str__(self) -> str:
        return self.message

    def as_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "status": self.status,
            "reason": self.reason,
            "message": str(self),
            "metadata": self.metadata,
            "exit_code": self.exit_code,
            "retry": self.retry,
            "next": self.command or None,
            **({"again": self.again} if self.again else {}),
        }


class CheckFailed(PaycliError):
    """The thing ran and failed."""

    reason = "CHECK_FAILED"


class InputError(PaycliError):
    """Wrong usage or invalid input; nothing was done."""

    exit_code = 2
    reason = "INVALID_INPUT"


class DocumentError(InputError):
    """A mistake in a file the user wrote. `line` and `column` count from 1."""

    def __init__(
        self, path: Path | str, message: str, line: int | None = None, column: int | None = None
    ) -> None:
        self.where = ":".join(str(part) for part in (path, line, column) if part is not None)
        super().__init__(f"{self.where}: {message}")
        self.path = path
        self.line = line
        self.column = column


class Unreachable(PaycliError):
    """No service answers at the target; nothing was sent."""

    exit_code = 3
    status = "UNAVAILABLE"
    reason = "UNREACHABLE"
    retry = Retry.SAME_KEY


class NotTaken(PaycliError):
    """The service answered that it takes nothing now; nothing was done."""

    exit_code = 3
    reason = "NOT_TAKEN"
    retry = Retry.SAME_KEY


class Refused(PaycliError):
    """The service refused the caller."""

    exit_code = 4
    reason = "REFUSED"


class OutcomeUnknown(PaycliError):
    """The request was sent and no answer proves its outcome: it may have been paid."""

    exit_code = 5
    reason = "OUTCOME_UNKNOWN"
    retry = Retry.UNKNOWN


class RemoteError(PaycliError):
    """The service answered with an error that has no class of its own here."""

    def __init__(
        self,
        message: str,
        *,
        status: str,
        reason: str = "REMOTE_ERROR",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata)
        self.status = status


class StartError(PaycliError):
    """A server cannot start: port taken, address not ours."""

    reason = "CANNOT_START"


class StoreError(StartError):
    """The store cannot be opened: locked, not a database, not writable."""

    reason = "STORE_UNUSABLE"


class StoreInUse(StoreError):
    """Another server has the store."""


class PaymentError(PaycliError):
    """A rule said no. `status` names the gRPC code (AIP-193), `reason` is the ErrorInfo reason."""

    status = "FAILED_PRECONDITION"
    reason = "PAYMENT_ERROR"
    retry_after_s: float | None = None  # when the same request may be sent again

    def __reduce__(self) -> tuple[object, ...]:
        # From one process to another as it is: constructors take other things than they keep.
        return _restored, (type(self), self.args, vars(self))


def _restored(
    kind: type[PaymentError], args: tuple[object, ...], fields: dict[str, object]
) -> PaymentError:
    error = kind.__new__(kind, *args)
    vars(error).update(fields)
    return error


class InvalidPayment(PaymentError):
    """A field of the request is wrong. `field` is its name in the request; "": all of it is wrong."""

    exit_code = 2
    status = "INVALID_ARGUMENT"
    reason = "FIELD_INVALID"

    def __init__(
        self, field: str, message: str, *, reason: str = "", **metadata: str | int
    ) -> None:
        details = {name: str(value) for name, value in metadata.items()}
        where = {"field": field} if field else {}
        super().__init__(message, reason=reason, metadata=where | details)
        self.field = field

    def rename(self, field: str) -> None:
        """Call the field what the caller's contract calls it, also where the sentence begins."""
        if self.message.startswith(f"{self.field} "):
            self.message = field + self.message.removeprefix(self.field)
        self.metadata["field"] = self.field = field


class KeyReused(PaymentError):
    """The idempotency key belongs to an operation with other fields."""

    status = "ALREADY_EXISTS"
    reason = "IDEMPOTENCY_KEY_REUSED"

    def __init__(self, first_payment_id: str, differing: list[str]) -> None:
        fields = ", ".join(differing)
        super().__init__(
            f"This idempotency key was used for payment {first_payment_id} with another {fields}. "
            "Send the first request again unchanged, or use a new key (or order id).",
            metadata={"firstPaymentId": first_payment_id, "differingFields": fields},
        )


class PaymentNotFound(PaymentError):
    """No payment has this id."""

    status = "NOT_FOUND"
    reason = "PAYMENT_NOT_FOUND"

    def __init__(self, payment_id: str) -> None:
        shown = payment_id[:_SHOWN_MAX]
        super().__init__(f"No payment has the id '{shown}'.", metadata={"id": shown})


class RefundNotFound(PaymentError):
    """No refund has this name."""

    status = "NOT_FOUND"
    reason = "REFUND_NOT_FOUND"

    def __init__(self, name: str) -> None:
        shown = name[:_SHOWN_MAX]
        super().__init__(f"No refund has the name '{shown}'.", metadata={"name": shown})


class StateForbids(PaymentError):
    """The payment's state has no such transition, or not enough is left for it."""

    reason = "STATE_FORBIDS"


class ProcessorDeclined(PaymentError):
    """The processor said no to a change; nothing moved. It may be asked again."""

    reason = "PROCESSOR_DECLINED"

    def __init__(self, payment_id: str, action: str, decline_reason: str) -> None:
        super().__init__(
            f"The processor declined to {action} payment {payment_id}: {decline_reason}. "
            "Nothing moved.",
            metadata={
                "action": action,
                "declineReason": decline_reason,
                "paymentId": payment_id,
            },
        )


class OutcomeOpen(PaymentError):
    """It may have been carried out; the same request, sent again, will tell."""

    exit_code = 5
    status = "DEADLINE_EXCEEDED"
    reason = "PROCESSOR_OUTCOME_UNKNOWN"
    retry = Retry.UNKNOWN
    retry_after_s = 1.0


class DeadlinePassed(PaymentError):
    """The caller's deadline passed while the request waited; nothing was written for it."""

    exit_code = 5
    status = "DEADLINE_EXCEEDED"
    reason = "DEADLINE_PASSED"
    retry = Retry.UNKNOWN


class ServerFault(PaymentError):
    """A fault of the server itself. Its log has the cause, under the number of the incident."""

    exit_code = 5
    status = "INTERNAL"
    reason = "INTERNAL"
    retry = Retry.UNKNOWN

    def __init__(self, incident: str) -> None:
        super().__init__(
            f"The server failed (incident {incident}); what was asked for may have been carried "
            "out. Send it again with the same key to learn the outcome.",
            metadata={"incident": incident},
        )
        self.incident = incident


class Unauthenticated(PaymentError):
    """The caller gave no token, or one of nobody; nothing was done."""

    exit_code = 4
    status = "UNAUTHENTICATED"
    reason = "TOKEN_MISSING"


class PermissionDenied(PaymentError):
    """The caller's token has not the scope of the method; nothing was done."""

    exit_code = 4
    status = "PERMISSION_DENIED"
    reason = "SCOPE_MISSING"


class Unavailable(PaymentError):
    """Nothing was written for this request; the same request may be sent again."""

    exit_code = 3
    status = "UNAVAILABLE"
    reason = "UNAVAILABLE"
    retry = Retry.SAME_KEY
    retry_after_s = 1.0


class Overloaded(Unavailable):
    """More is waiting than the server takes."""

    status = "RESOURCE_EXHAUSTED"
    reason = "OVERLOADED"
    retry_after_s = 0.5


class Draining(Unavailable):
    """The server is stopping."""

    reason = "DRAINING"


class ProcessorUnavailable(Unavailable):
    """The processor did nothing."""

    reason = "PROCESSOR_UNAVAILABLE"


class PaymentBusy(Unavailable):
    """The processor is being asked about another change of the payment."""

    reason = "PAYMENT_BUSY"

    def __init__(self, payment_id: str) -> None:
        super().__init__(
            f"The processor is being asked about another change of payment {payment_id}; nothing "
            "was done. Try again shortly.",
            metadata={"paymentId": payment_id},
        )


class StoreUnavailable(Unavailable):
    """The store does not take writes."""

    reason = "STORE_UNAVAILABLE"
