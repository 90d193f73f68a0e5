"""The rules: what a command does to a payment. Pure: same input, same answer, no I/O, no clock.

    create(command, seq)          → the new payment and its first entry
    change(payment, command, seq) → the payment after it and the entry that says so
    answer(payment, entry)        → the payment as it was just after that entry

A rule that says no raises a PaymentError. `seq` is the entry's number in the journal.
"""

from __future__ import annotations

from paycli.errors import StateForbids
from paycli.payments.commands import Change, Create
from paycli.payments.money import decimal_from_minor
from paycli.payments.payment import CaptureMethod, Entry, Kind, Payment
from paycli.payments.states import ALLOWED, Action, state_of

_KIND_OF = {
    Action.CAPTURE: Kind.CAPTURED,
    Action.VOID: Kind.VOIDED,
    Action.EXPIRE: Kind.EXPIRED,
    Action.REFUND: Kind.REFUNDED,
}


def create(command: Create, seq: int) -> tuple[Payment, Entry]:
    """Charge, authorize, or record the decline that the processor answered with."""
    if command.decline_reason:
        kind, authorized, captured = Kind.DECLINED, 0, 0
    elif command.capture_method == CaptureMethod.MANUAL:
        kind, authorized, captured = Kind.AUTHORIZED, command.amount, 0
    else:
        kind, authorized, captured = Kind.CHARGED, command.amount, command.amount
    payment = Payment(
        command.payment_id,
        command.order_id,
        command.customer_id,
        command.currency,
        command.amount,
        command.capture_method,
        command.decline_reason,
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
        "",
        command.decline_reason,
        command.now_us,
    )
    return payment, entry


def change(payment: Payment, command: Change, seq: int) -> tuple[Payment, Entry]:
    """Capture, void, expire or refund. Raises StateForbids."""
    action = command.action
    if action not in ALLOWED[state_of(payment)]:
        raise _forbidden(payment, action)
    amount, released = _moved(payment, command)
    changed = payment._replace(
        captured=payment.captured + (amount if action is Action.CAPTURE else 0),
        voided=payment.voided + (amount if action in (Action.VOID, Action.EXPIRE) else released),
        refunded=payment.refunded + (amount if action is Action.REFUND else 0),
        expired=int(action is Action.EXPIRE or payment.expired),
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
        command.refund_id,
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
        expired=int(entry.kind == Kind.EXPIRED),
        version=entry.version,
        updated_us=entry.created_us,
    )


def differing_fields(payment: Payment, entry: Entry, command: Create | Change) -> list[str]:
    """The names of the fields in which a repeated key asks for something else than at first."""
    if isinstance(command, Create):
        if entry.version != 1:
            return ["method"]
        pairs = {
            "order_id": (payment.order_id, command.order_id),
            "customer_id": (payment.customer_id, command.customer_id),
            "amount": (payment.amount, command.amount),
            "currency": (payment.currency, command.currency),
            "capture_method": (payment.capture_method, command.capture_method),
        }
    else:
        if entry.kind != _KIND_OF[command.action]:
            return ["method"]
        pairs = {
            "payment": (payment.payment_id, command.payment_id),
            "amount": (entry.requested, command.amount),
            "final": (bool(entry.final), command.final),
            "reason": (entry.reason, command.reason),
        }
    return [name for name, (first, now) in pairs.items() if first != now]


def _moved(payment: Payment, command: Change) -> tuple[int, int]:
    """What the command moves, and what a final capture gives back besides."""
    rest = payment.authorized - payment.captured - payment.voided
    left = payment.captured - payment.refunded if command.action is Action.REFUND else rest
    if command.action in (Action.VOID, Action.EXPIRE):
        return rest, 0
    amount = command.amount or left
    if amount > left:
        raise _exceeds(payment, command.action, amount, left)
    return amount, rest - amount if command.final else 0


def _forbidden(payment: Payment, action: Action) -> StateForbids:
    state = state_of(payment)
    can = " or ".join(sorted(ALLOWED[state])) or "do nothing more with it"
    return StateForbids(
        f"Payment {payment.payment_id} is {state}; it cannot {action}. You can {can}.",
        metadata={"state": state, "action": action, "paymentId": payment.payment_id},
    )


def _exceeds(payment: Payment, action: Action, amount: int, left: int) -> StateForbids:
    asked = decimal_from_minor(amount, payment.currency)
    most = decimal_from_minor(left, payment.currency)
    exceeds = StateForbids(
        f"Payment {payment.payment_id} has {most} {payment.currency} left to {action}, "
        f"not {asked}.",
        metadata={"paymentId": payment.payment_id, "leftMinor": str(left)},
    )
    of = "CAPTURED" if action is Action.REFUND else "AUTHORIZED"
    exceeds.reason = f"{action.upper()}_EXCEEDS_{of}"
    return exceeds
