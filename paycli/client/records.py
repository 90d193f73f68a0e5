"""What a service says of payments, as plain data: amounts as decimal text, times as RFC 3339 in UTC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money

from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.payments.money import decimal_from_units_nanos

Record = dict[str, Any]

_NAME: Final = "payments/"


def payment_name(payment: str) -> str:
    """`payments/{payment}` (AIP-122) of a name, or of the id alone that receipts show."""
    return payment if payment.startswith(_NAME) else f"{_NAME}{payment}"


def payment_record(payment: pb.Payment) -> Record:
    """A payment; absent times and reasons are None."""
    return {
        "payment_id": payment.name.removeprefix(_NAME),
        "state": _word(pb.PaymentState.Name, payment.state, "PAYMENT_STATE_"),
        "amount": _decimal(payment.amount),
        "currency": payment.amount.currency_code,
        "order_id": payment.order_id,
        "customer_id": payment.customer_id,
        "capture_method": _word(pb.CaptureMethod.Name, payment.capture_method, "CAPTURE_METHOD_"),
        "authorized_amount": _decimal(payment.authorized_amount),
        "captured_amount": _decimal(payment.captured_amount),
        "voided_amount": _decimal(payment.voided_amount),
        "refunded_amount": _decimal(payment.refunded_amount),
        "decline_reason": payment.decline_reason or None,
        "version": payment.version,
        "create_time": _time(payment.create_time),
        "update_time": _time(payment.update_time),
        "expire_time": _time(payment.expire_time) if payment.HasField("expire_time") else None,
    }


def refund_record(refund: pb.Refund) -> Record:
    """A refund; its id is `{payment}/refunds/{refund}`."""
    return {
        "refund_id": refund.name.removeprefix(_NAME),
        **_money(refund.amount),
        "reason": refund.reason or None,
        "create_time": _time(refund.create_time),
    }


def posting_record(posting: pb.Posting) -> Record:
    """One leg of a journal entry; its amount is signed."""
    return {
        "sequence": posting.sequence,
        "payment_id": posting.payment.removeprefix(_NAME),
        "account": posting.account,
        **_money(posting.amount),
        "create_time": _time(posting.create_time),
    }


def event_record(event: pb.Event) -> Record:
    """Something that happened to a payment, what moved, and the payment right after it."""
    return {
        "sequence": event.sequence,
        "event": _word(pb.EventKind.Name, event.kind, "EVENT_KIND_"),
        **_money(event.amount),
        "create_time": _time(event.create_time),
        "payment": payment_record(event.payment),
    }


def balance_records(balance: pb.Balance) -> list[Record]:
    """What an account holds, one record a currency."""
    return [{"account": balance.account, **_money(each)} for each in balance.amounts]


def _money(money: Money) -> Record:
    return {"amount": _decimal(money), "currency": money.currency_code}


def _decimal(money: Money) -> str:
    return decimal_from_units_nanos(money.units, money.nanos, money.currency_code)


def _word(name_of: Callable[[Any], str], number: int, prefix: str) -> str:
    """The name of a value without what all of its kind begin with; of one that is not known, its number."""
    try:
        return name_of(number).removeprefix(prefix)
    except ValueError:
        return str(number)


def _time(time: Timestamp) -> str:
    return time.ToJsonString()
