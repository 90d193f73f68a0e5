"""The messages of paycli.payments.v1 from the domain's records, and back."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money

from paycli.errors import InvalidPayment
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.payments.currencies import EXPONENTS
from paycli.payments.decide import answer
from paycli.payments.money import minor_from_units_nanos, units_nanos_from_minor
from paycli.payments.payment import CaptureMethod, Entry, Kind, Payment, State
from paycli.payments.postings import Posting
from paycli.payments.queries import Found
from paycli.payments.states import state_of

# What a message is made of. A message of nested fields is made in a third of the time that one of
# messages takes, which would each be copied into the next.
Fields = dict[str, Any]

_US_PER_S: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000
# 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, as google/protobuf/timestamp.proto has it.
_SECONDS_MIN: Final = -62_135_596_800
_SECONDS_MAX: Final = 253_402_300_799

_STATE: Final = {state: pb.PaymentState.Value(f"PAYMENT_STATE_{state}") for state in State}
_STATE_OF: Final[dict[int, State]] = {number: state for state, number in _STATE.items()}
# The numbers of these two are the same on the wire and in the store.
_METHODS: Final = frozenset(map(int, CaptureMethod))
_KINDS: Final = frozenset(map(int, Kind))


def payment_name(payment_id: str) -> str:
    """`payments/{payment}` (AIP-122)."""
    return f"payments/{payment_id}"


def payment_id_of(name: str, field: str = "name") -> str:
    """The id in `payments/{payment}`. Raises InvalidPayment."""
    return _parts(name, field, ("payments",), "payments/{payment}")[0]


def refund_of(name: str) -> tuple[str, int]:
    """Payment id and version of `payments/{payment}/refunds/{refund}`. Raises InvalidPayment."""
    form = "payments/{payment}/refunds/{refund}"
    payment_id, number = _parts(name, "name", ("payments", "refunds"), form)
    if not number.isdecimal() or len(number) > 9 or str(int(number)) != number:
        raise _no_name(name, "name", form)
    return payment_id, int(number)


def minor_of(money: Money, currency: str) -> int:
    """Minor units of an amount. Raises InvalidPayment."""
    return minor_from_units_nanos(money.units, money.nanos, currency)


def money(minor: int, currency: str) -> Fields:
    """An amount of minor units; signed, both parts carry the sign.

    Of a currency that nobody knows, which only a damaged store has, no amount is made up: it is the
    currency alone, so that one bad row does not take a whole page with it.
    """
    if currency not in EXPONENTS:
        return {"currency_code": currency}
    units, nanos = units_nanos_from_minor(abs(minor), currency)
    if minor < 0:
        units, nanos = -units, -nanos
    return {"currency_code": currency, "units": units, "nanos": nanos}


def payment_fields(payment: Payment) -> Fields:
    """The payment as it stands."""
    currency = payment.currency
    amount = money(payment.amount, currency)
    nothing = {"currency_code": currency}
    created = _timestamp(payment.created_us)
    fields: Fields = {
        "name": payment_name(payment.payment_id),
        "order_id": payment.order_id,
        "customer_id": payment.customer_id,
        "state": _STATE[state_of(payment)],
        "capture_method": payment.capture_method,
        "amount": amount,
        "authorized_amount": amount if payment.authorized else nothing,
        "captured_amount": _part(payment.captured, payment, amount, nothing),
        "voided_amount": _part(payment.voided, payment, amount, nothing),
        "refunded_amount": _part(payment.refunded, payment, amount, nothing),
        "decline_reason": payment.decline_reason,
        "version": payment.version,
        "create_time": created,
        "update_time": created if payment.version == 1 else _timestamp(payment.updated_us),
    }
    if payment.expires_us and payment.captured + payment.voided < payment.authorized:
        fields["expire_time"] = _timestamp(payment.expires_us)
    return fields


def payment_message(payment: Payment) -> pb.Payment:
    """The payment as it stands."""
    return pb.Payment(**payment_fields(payment))


def refund_message(payment: Payment, entry: Entry) -> pb.Refund:
    """The refund that an entry made; it is numbered by the payment's version."""
    fields: Fields = {
        "name": f"{payment_name(payment.payment_id)}/refunds/{entry.version}",
        "amount": money(entry.amount, payment.currency),
        "reason": entry.reason,
        "create_time": _timestamp(entry.created_us),
    }
    return pb.Refund(**fields)


def posting_fields(found: Found, posting: Posting) -> Fields:
    """One leg of an entry."""
    return {
        "sequence": found.entry.seq,
        "payment": payment_name(found.payment.payment_id),
        "account": posting.account,
        "amount": money(posting.amount, posting.currency),
        "create_time": _timestamp(found.entry.created_us),
    }


def event_message(found: Found) -> pb.Event:
    """An entry as those who watch are told of it."""
    payment, entry = found
    fields: Fields = {
        "sequence": entry.seq,
        "kind": entry.kind,
        "payment": payment_fields(answer(payment, entry)),
        "amount": money(entry.amount, payment.currency),
        "create_time": _timestamp(entry.created_us),
    }
    return pb.Event(**fields)


def state_from(number: int) -> State | None:
    """The state that a request filters by; None for "any". Raises InvalidPayment."""
    if number == pb.PAYMENT_STATE_UNSPECIFIED:
        return None
    if number not in _STATE_OF:
        raise InvalidPayment("state", f"{number} is no PaymentState.")
    return _STATE_OF[number]


def capture_method_from(number: int) -> int:
    """The method that a request asks for. Raises InvalidPayment."""
    if number == pb.CAPTURE_METHOD_UNSPECIFIED:
        return CaptureMethod.AUTOMATIC
    if number not in _METHODS:
        raise InvalidPayment("capture_method", f"{number} is no CaptureMethod.")
    return number


def kinds_from(numbers: list[int]) -> frozenset[int]:
    """The kinds that a request filters by. Raises InvalidPayment."""
    for number in numbers:
        if number not in _KINDS:
            raise InvalidPayment("kinds", f"{number} is no EventKind to watch for.")
    return frozenset(numbers)


def microseconds(time: Timestamp, field: str, *, up: bool = False) -> int:
    """A timestamp in microseconds, a rest of nanoseconds cut off or rounded `up`.

    Raises InvalidPayment for one outside of the years 1 to 9999 (RFC 3339).
    """
    if not (_SECONDS_MIN <= time.seconds <= _SECONDS_MAX and 0 <= time.nanos < _NS_PER_S):
        raise InvalidPayment(
            field,
            f"{field} is no time: seconds must lie within the years 1 to 9999 and nanos within "
            "0 to 999999999.",
        )
    nanoseconds = time.seconds * _NS_PER_S + time.nanos
    return -(-nanoseconds // 1000) if up else nanoseconds // 1000


def _part(minor: int, payment: Payment, amount: Fields, nothing: Fields) -> Fields:
    if minor == 0:
        return nothing
    return amount if minor == payment.amount else money(minor, payment.currency)


def _timestamp(time_us: int) -> Fields:
    seconds, rest = divmod(time_us, _US_PER_S)
    return {"seconds": seconds, "nanos": rest * 1000}


def _parts(name: str, field: str, collections: tuple[str, ...], form: str) -> list[str]:
    parts = name.split("/")
    if tuple(parts[::2]) != collections or len(parts) != 2 * len(collections) or not all(parts):
        raise _no_name(name, field, form)
    return parts[1::2]


def _no_name(name: str, field: str, form: str) -> InvalidPayment:
    return InvalidPayment(
        field, f"'{name[:80]}' is not a {field}; write {form}.", reason="NAME_INVALID"
    )
