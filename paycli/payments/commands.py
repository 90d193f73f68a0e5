"""What callers ask for, checked: a command that exists has well-formed fields.

The clock and new ids come in from outside; the domain has neither.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

from paycli.errors import InvalidPayment
from paycli.payments.money import MINOR_UNITS_MAX, exponent_of
from paycli.payments.payment import CaptureMethod
from paycli.payments.states import Action

TEXT_MAX: Final = 255
# C0 and C1 controls, and the surrogates that stand for bytes which are no text.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# What nobody sees, and blanks other than the ordinary one: soft hyphens, joiners, directions, fillers,
# variation selectors. With them two ids that look the same would be two payments.
_UNSEEN = re.compile(
    "[\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f"
    "\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SEPARATOR = "\x1f"  # cannot stand in an id, so no two pairs of ids make one key


class Create(NamedTuple):
    """Charge a customer, or authorize with manual capture.

    Whoever carries it out gives it an id, which is used if the key is new, and the time.
    """

    request_key: str
    payment_id: str
    order_id: str
    customer_id: str
    currency: str
    amount: int
    now_us: int
    capture_method: int = CaptureMethod.AUTOMATIC
    expires_us: int = 0


class Change(NamedTuple):
    """Capture, void, expire or refund part or all of a payment. `amount` 0 means all that is left.

    `final` on a capture gives the rest back. `currency` is the amount's, "" when there is none.
    Whoever carries it out gives it the time.
    """

    request_key: str
    payment_id: str
    action: Action
    now_us: int
    amount: int = 0
    final: bool = False
    reason: str = ""
    currency: str = ""


Operation = Create | Change


class Declined(NamedTuple):
    """An operation that the processor said no to. A creation is kept as that; a change is refused."""

    operation: Operation
    decline_reason: str

    @property
    def request_key(self) -> str:
        """The idempotency key of what was declined."""
        return self.operation.request_key


class Intend(NamedTuple):
    """Record that the processor is about to be asked, so that a crash cannot forget it.

    `claim` is new for each question asked; until `lease_us` nobody else takes the intent up.
    """

    operation: Operation
    claim: str
    lease_us: int

    @property
    def request_key(self) -> str:
        """The idempotency key of what is intended."""
        return self.operation.request_key


class Resume(NamedTuple):
    """Take up an intent that is on record and that nobody holds any more."""

    request_key: str
    claim: str
    now_us: int
    lease_us: int


class Resolve(NamedTuple):
    """The processor's answer, from the holder of the claim; no `decline_reason` approves."""

    request_key: str
    claim: str
    decline_reason: str


class Withdraw(NamedTuple):
    """Take an intent off the record: its holder knows that the processor did nothing."""

    request_key: str
    claim: str


class Release(NamedTuple):
    """Let go of an intent whose answer did not come; it is resumed from `resume_us` on."""

    request_key: str
    claim: str
    resume_us: int


Command = Operation | Declined | Intend | Resume | Resolve | Withdraw | Release


def create(
    *,
    order_id: str,
    customer_id: str,
    currency: str,
    amount: int,
    request_id: str = "",
    capture_method: int = CaptureMethod.AUTOMATIC,
    payment_id: str = "",
    now_us: int = 0,
    expires_us: int = 0,
) -> Create:
    """A checked Create, ids in their one spelling. Raises InvalidPayment.

    Without a `request_id` the key is made from the order and the customer.
    """
    order_id = _checked_id("order_id", order_id)
    customer_id = _checked_id("customer_id", customer_id)
    exponent_of(currency)
    if not 0 < amount <= MINOR_UNITS_MAX:
        raise InvalidPayment(
            "amount", "amount must be more than 0 and less than 10^15 minor units."
        )
    key = request_key(request_id) if request_id else key_of_order(order_id, customer_id)
    return Create(
        key,
        payment_id,
        order_id,
        customer_id,
        currency,
        amount,
        now_us,
        capture_method,
        expires_us,
    )


def change(
    *,
    payment_id: str,
    action: Action,
    request_id: str,
    amount: int = 0,
    final: bool = False,
    reason: str = "",
    currency: str = "",
    now_us: int = 0,
) -> Change:
    """A checked Change. Raises InvalidPayment."""
    _check_text("reason", reason)
    key = request_key(request_id)
    return Change(key, payment_id, action, now_us, amount, final, reason, currency)


def expire(payment_id: str, now_us: int) -> Change:
    """The Change that an authorization gets when its time has run out."""
    key = f"expire{_SEPARATOR}{payment_id}"
    return Change(key, payment_id, Action.EXPIRE, now_us)


def request_key(request_id: str) -> str:
    """The idempotency key of an id that the caller chose; never equal to one made from an order."""
    if not request_id:
        raise InvalidPayment(
            "request_id",
            "request_id is missing; a fresh UUID per operation makes a retry safe (AIP-155).",
        )
    return f"key{_SEPARATOR}{_checked_id('request_id', request_id)}"


def key_of_order(order_id: str, customer_id: str) -> str:
    """The idempotency key of a payment without a request id. Raises InvalidPayment without an order."""
    if order_id:
        return f"order{_SEPARATOR}{order_id}{_SEPARATOR}{customer_id}"
    raise InvalidPayment(
        "order_id",
        "order_id is missing; without it (or an idempotency key) a retry could pay twice.",
    )


def spelling(text: str) -> str:
    """The one spelling (Unicode NFC) in which ids are kept, for those who look for one."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _checked_id(field: str, value: str) -> str:
    """The id in its one spelling. Raises InvalidPayment."""
    # Nearly all ids are plain; only the rest needs a closer look.
    if len(value) <= TEXT_MAX and value.isascii() and value.isprintable():
        if value.strip(" ") == value:
            return value
    else:
        _check_text(field, value)
        value = spelling(value)
        _check_text(field, value)  # it may be longer now
    if unseen := _UNSEEN.search(value):
        raise InvalidPayment(
            field,
            f"{field} holds U+{ord(unseen[0]):04X}, which nobody sees; send what can be read.",
        )
    if value.strip() != value:
        raise InvalidPayment(field, f"{field} begins or ends with a blank; leave it out.")
    return value


def _check_text(field: str, value: str) -> None:
    if len(value) > TEXT_MAX:
        raise InvalidPayment(
            field,
            f"{field} has {len(value)} characters; the most is {TEXT_MAX}.",
            maximumLength=TEXT_MAX,
        )
    # isprintable is one fast call and true for nearly all ids; only the rest needs a closer look.
    if not value.isprintable() and _CONTROL.search(value):
        raise InvalidPayment(field, f"{field} holds a control character; send printable text.")
