"""The rules: what a command does to a payment. Pure: same input, same answer, no I/O, no clock.

    create(command, decline_reason, seq) → the new payment and its first entry
    change(payment, command, seq)        → the payment after it and the entry that says so
    answer(payment, entry)               → the payment as it was just after that entry

A rule that says no raises a PaymentError. `seq` is the entry's number in the journal.
"""

from __future__ import annotations

from collections.abc import Sequence

from paycli.errors import InvalidPayment, StateForbids
from paycli.payments.commands import Change, Create, Operation
from paycli.payments.money import decimal_from_minor
from paycli.payments.payment import CaptureMethod, Entry, Kind, Payment, State
from paycli.payments.states import ALLOWED, Action, state_of

_METHOD = ["method"]  # what differs when one key is used for two kinds of operations
_KIND_OF = {
    Action.CAPTURE: Kind.CAPTURED,
    Action.VOID: Kind.VOIDED,
    Action.EXPIRE: Kind.EXPIRED,
    Action.REFUND: Kind.REFUNDED,
}


def create(command: Create, decline_reason: str, seq: int) -> tuple[Payment, Entry]:
    """Charge or authorize, as the processor answered; with a `decline_reason`, record its no."""
    if decline_reason:
        kind, authorized, captured = Kind.DECLINED, 0, 0
    elif command.capture_method == CaptureMethod.MANUAL:
        kind, authorized, captured = Kind.AUTHORIZED, command.amount, 0
    else:
        kind, authorized, captured = Kind.CHARGED, command.amount, command.amount
    payment = Payment(
        command.payment_id,
        seq,
        command.order_id,
        command.customer_id,
        command.currency,
        command.amount,
        command.capture_method,
        decline_reason,
        authorized,
        captured,
        0,
        0,
        0,
        1,
        command.expires_us if kind is Kind.AUTHORIZED else 0,
        command.now_us,
        command.now_us,
    )
    entry = Entry(
        seq,
        command.payment_id,
        1,
        kind,
        authorized,
        0,
        captured,
        0,
        0,
        command.amount,
        0,
        command.request_key,
        decline_reason,
        command.now_us,
    )
    return payment, entry


def change(payment: Payment, command: Change, seq: int) -> tuple[Payment, Entry]:
    """Capture, void, expire or refund. Raises StateForbids."""
    action = command.action
    if command.currency not in ("", payment.currency):
        raise _other_currency(payment, command.currency)
    if action is Action.CAPTURE and _ran_out(payment, command.now_us):
        raise _too_late(payment)
    if action not in ALLOWED[state_of(payment)]:
        raise _forbidden(payment, action)
    amount, released = _moved(payment, command)
    changed = payment._replace(
        captured=payment.captured + (amount if action is Action.CAPTURE else 0),
        voided=payment.voided + (amount if action in (Action.VOID, Action.EXPIRE) else released),
        refunded=payment.refunded + (amount if action is Action.REFUND else 0),
        expired=int(action is Action.EXPIRE and not payment.captured),
        version=payment.version + 1,
        updated_us=command.now_us,
    )
    entry = Entry(
        seq,
        payment.payment_id,
        changed.version,
        _KIND_OF[action],
        amount,
        released,
        changed.captured,
        changed.voided,
        changed.refunded,
        command.amount,
        command.final,
        command.request_key,
        command.reason,
        command.now_us,
    )
    return changed, entry


def answer(payment: Payment, entry: Entry) -> Payment:
    """The payment as it stood right after `entry`: what the entry's caller was told."""
    return payment._replace(
        captured=entry.captured,
        voided=entry.voided,
        refunded=entry.refunded,
        expired=int(entry.kind == Kind.EXPIRED and not entry.captured),
        version=entry.version,
        updated_us=entry.created_us,
    )


_ASKED_BY_CREATE = ("order_id", "customer_id", "amount", "currency", "capture_method")
_ASKED_BY_CHANGE = ("payment_id", "amount", "final", "reason")


def differing_fields(payment: Payment, entry: Entry, operation: Operation) -> list[str]:
    """The names of the fields in which a repeated key asks for something else than at first."""
    if isinstance(operation, Create):
        return _differing(_ASKED_BY_CREATE, payment, operation) if entry.version == 1 else _METHOD
    if entry.kind != _KIND_OF[operation.action]:
        return _METHOD
    pairs = {
        "payment": (payment.payment_id, operation.payment_id),
        "amount": (entry.requested, operation.amount),
        "final": (bool(entry.final), operation.final),
        "reason": (entry.reason, operation.reason),
        "currency": (payment.currency, operation.currency or payment.currency),
    }
    return [name for name, (first, now) in pairs.items() if first != now]


def differing_intent(intended: Operation, operation: Operation) -> list[str]:
    """The same for a key whose first operation is still at the processor."""
    if isinstance(intended, Create) and isinstance(operation, Create):
        return _differing(_ASKED_BY_CREATE, intended, operation)
    if isinstance(intended, Change) and isinstance(operation, Change):
        if intended.action is not operation.action:
            return _METHOD
        named = _differing(_ASKED_BY_CHANGE, intended, operation)
        if intended.currency and operation.currency not in ("", intended.currency):
            named.append("currency")
        return ["payment" if name == "payment_id" else name for name in named]
    return _METHOD


def _differing(fields: Sequence[str], first: object, now: object) -> list[str]:
    return [name for name in fields if getattr(first, name) != getattr(now, name)]


def _moved(payment: Payment, command: Change) -> tuple[int, int]:
    """What the command moves, and what a final capture gives back besides."""
    rest = payment.authorized - payment.captured - payment.voided
    left = payment.captured - payment.refunded if command.action is Action.REFUND else rest
    if command.action in (Action.VOID, Action.EXPIRE):
        return rest, 0
    amount = command.amount or left
    if amount > left:
        raise _exceeds(payment, command.action, amount, left)
    gives_back = command.final and command.action is Action.CAPTURE
    return amount, rest - amount if gives_back else 0


def _forbidden(payment: Payment, action: Action) -> StateForbids:
    state = state_of(payment)
    can = " or ".join(sorted(ALLOWED[state])) or "do nothing more with it"
    return StateForbids(
        f"Payment {payment.payment_id} is {state}; it cannot {action}. You can {can}.",
        metadata={"state": state, "action": action, "paymentId": payment.payment_id},
    )


def _other_currency(payment: Payment, currency: str) -> InvalidPayment:
    return InvalidPayment(
        "amount",
        f"Payment {payment.payment_id} is in {payment.currency}, not {currency}; "
        f"give the amount in {payment.currency}.",
        reason="CURRENCY_MISMATCH",
        currency=payment.currency,
    )


def _ran_out(payment: Payment, now_us: int) -> bool:
    """Whether its time is why nothing is left to capture, before and after the rest is given back."""
    if not 0 < payment.expires_us <= now_us:
        return False
    if payment.captured + payment.voided < payment.authorized:
        return True
    # What ended it came after its time: it ran out, or was voided too late to matter.
    state = state_of(payment)
    return payment.updated_us >= payment.expires_us and (
        state is State.EXPIRED or (state is State.CAPTURED and payment.voided > 0)
    )


def _too_late(payment: Payment) -> StateForbids:
    return StateForbids(
        f"The authorization of payment {payment.payment_id} ran out; nothing more can be captured. "
        "Authorize again.",
        reason="AUTHORIZATION_EXPIRED",
        metadata={"paymentId": payment.payment_id, "expireTimeUs": str(payment.expires_us)},
    )


def _exceeds(payment: Payment, action: Action, amount: int, left: int) -> StateForbids:
    asked = decimal_from_minor(amount, payment.currency)
    most = decimal_from_minor(left, payment.currency)
    of = "CAPTURED" if action is Action.REFUND else "AUTHORIZED"
    return StateForbids(
        f"Payment {payment.payment_id} has {most} {payment.currency} left to {action}, "
        f"not {asked}.",
        reason=f"{action.upper()}_EXCEEDS_{of}",
        metadata={"paymentId": payment.payment_id, "leftMinor": str(left)},
    )
