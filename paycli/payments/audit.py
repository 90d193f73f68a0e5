"""The auditor: whether a payment is what its journal says, by carrying the journal out again.

The invariants, as `paycli db verify` names them:

I1  captured + voided <= authorized, refunded <= captured, nothing below zero
I2  the postings of an entry sum to zero; there are at least two, none of them zero
I3  the journal is append-only
I4  every account holds the sum of its postings; each currency sums to zero over all accounts
I5  one entry per transition, versions without a gap, sequence numbers that rise
I6  one idempotency key, at most one operation
I7  what was acknowledged is there
I8  terminal states have no way out
"""

from __future__ import annotations

from collections.abc import Sequence

from paycli.errors import PaymentError
from paycli.payments import decide
from paycli.payments.commands import Change, Create
from paycli.payments.currencies import EXPONENTS
from paycli.payments.money import MINOR_UNITS_MAX
from paycli.payments.payment import Entry, Kind, Payment
from paycli.payments.postings import postings_of
from paycli.payments.states import Action

_KINDS = frozenset(Kind)
_ACTION = {
    Kind.CAPTURED: Action.CAPTURE,
    Kind.VOIDED: Action.VOID,
    Kind.EXPIRED: Action.EXPIRE,
    Kind.REFUNDED: Action.REFUND,
}


def violation(payment: Payment, entries: Sequence[Entry]) -> str | None:
    """The first broken invariant and how, or None. `entries` are the payment's, by version."""
    unpayable = _unpayable(payment)
    if unpayable is not None:
        return unpayable
    versions = [entry.version for entry in entries]
    if len(versions) != payment.version or versions != list(range(1, payment.version + 1)):
        return f"I5: it is at version {payment.version}, its journal has {versions[:20]}"
    unbalanced = _unbalanced(payment, entries)
    if unbalanced is not None:
        return unbalanced
    first, *later = entries
    state, expected = decide.create(
        _creation(payment, first), payment.decline_reason, payment.created_seq
    )
    if expected != first:
        return f"I5: entry {first.seq} is not how it was created"
    for entry in later:
        if entry.kind not in _ACTION:
            return f"I5: entry {entry.seq} creates it again"
        try:
            state, expected = decide.change(state, _change(entry), entry.seq)
        except PaymentError as refusal:
            return f"I8: entry {entry.seq} could not happen: {refusal}"
        if expected != entry:
            return f"I1: entry {entry.seq} says something else than what it did"
    if state != payment:
        return "I4: it stands elsewhere than its journal leads"
    return None


def _within_bounds(payment: Payment) -> bool:
    return (
        payment.authorized in (0, payment.amount)
        and 0 <= payment.refunded <= payment.captured
        and 0 <= payment.voided <= payment.authorized - payment.captured
    )


def _unpayable(payment: Payment) -> str | None:
    if not _within_bounds(payment):
        return (
            f"I1: of {payment.authorized} authorized, {payment.captured} are captured, "
            f"{payment.voided} voided and {payment.refunded} refunded"
        )
    if not 0 < payment.amount <= MINOR_UNITS_MAX:
        return f"I1: its amount, {payment.amount}, is none that could be paid"
    if payment.currency not in EXPONENTS:
        return f"I1: its currency, {payment.currency!r}, is none that could be paid in"
    return None


def _unbalanced(payment: Payment, entries: Sequence[Entry]) -> str | None:
    for entry in entries:
        if entry.kind not in _KINDS:
            return f"I5: entry {entry.seq} is of no kind that there is"
        amounts = [posting.amount for posting in postings_of(payment, entry)]
        legs = 0 if entry.kind == Kind.DECLINED else 2
        if sum(amounts) or not all(amounts) or len(amounts) < legs:
            return f"I2: the postings of entry {entry.seq} are {amounts}"
    return None


def _creation(payment: Payment, first: Entry) -> Create:
    return Create(
        first.request_key,
        payment.payment_id,
        payment.order_id,
        payment.customer_id,
        payment.currency,
        payment.amount,
        payment.created_us,
        payment.capture_method,
        payment.expires_us,
    )


def _change(entry: Entry) -> Change:
    return Change(
        entry.request_key,
        entry.payment_id,
        _ACTION[Kind(entry.kind)],
        entry.created_us,
        entry.requested,
        bool(entry.final),
        entry.reason,
    )
