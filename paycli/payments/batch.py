"""A batch of commands against what is stored: the heart of group commit, and pure.

Commands are applied in order, each seeing the ones before it, so a key or a payment that stands
twice in one batch behaves as in two. A command that is refused changes nothing for its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from paycli.errors import KeyReused, PaymentError, PaymentNotFound
from paycli.payments import decide
from paycli.payments.commands import Change, Command, Create, Intend, Withdraw
from paycli.payments.payment import Entry, Payment
from paycli.payments.postings import HOLD, postings_of


class Receipt(NamedTuple):
    """The answer to a command: the payment right after it, and whether it was done before."""

    payment: Payment
    entry: Entry
    replayed: bool


class Intended(NamedTuple):
    """The answer to an Intend: the intent on record, which may be an earlier one of its key."""

    create: Create


class Withdrawn(NamedTuple):
    """The answer to a Withdraw."""


Outcome = Receipt | Intended | Withdrawn | PaymentError


@dataclass(slots=True)
class Stored:
    """What the store knows of a batch's keys and payments before the batch."""

    answered: dict[str, tuple[Payment, Entry]] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)
    intents: Mapping[str, Create] = field(default_factory=dict)


@dataclass(slots=True)
class Batch:
    """What to write for a batch, and each command's outcome in order.

    `intents` holds what becomes of each intent that the batch touched: None for gone. `moved` is
    what comes into each (account, currency); hold accounts are left out, their payment says it.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    created: dict[str, Payment] = field(default_factory=dict)
    changed: dict[str, Payment] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    intents: dict[str, Create | None] = field(default_factory=dict)
    moved: dict[tuple[str, str], int] = field(default_factory=dict)


def apply(commands: Sequence[Command], stored: Stored, next_seq: int) -> Batch:
    """Carry out the commands on `stored` (which is used up); entries count up from `next_seq`."""
    batch = Batch()
    for command in commands:
        try:
            outcome = _outcome(command, stored, batch, next_seq + len(batch.entries))
        except PaymentError as refusal:
            outcome = refusal
        batch.outcomes.append(outcome)
    _sum_up(batch, stored)
    return batch


def _outcome(command: Command, stored: Stored, batch: Batch, seq: int) -> Outcome:
    key = command.request_key
    if isinstance(command, Withdraw):
        batch.intents[key] = None
        return Withdrawn()
    asked = command.create if isinstance(command, Intend) else command
    first = stored.answered.get(key)
    if first is not None:
        return _replay(first, asked)
    intent = batch.intents[key] if key in batch.intents else stored.intents.get(key)
    if intent is not None:
        asked = _resume(intent, asked)
    if isinstance(command, Intend):
        if intent is None:
            batch.intents[key] = command.create
        return Intended(intent or command.create)
    payment, entry = _carry_out(asked, stored, seq)
    if isinstance(asked, Create):
        batch.created[payment.payment_id] = payment
        if intent is not None:
            batch.intents[key] = None
    else:
        changes = batch.created if payment.payment_id in batch.created else batch.changed
        changes[payment.payment_id] = payment
    stored.payments[payment.payment_id] = payment
    stored.answered[key] = (payment, entry)
    batch.entries.append(entry)
    return Receipt(payment, entry, replayed=False)


def _carry_out(command: Create | Change, stored: Stored, seq: int) -> tuple[Payment, Entry]:
    if isinstance(command, Create):
        return decide.create(command, seq)
    payment = stored.payments.get(command.payment_id)
    if payment is None:
        raise PaymentNotFound(command.payment_id)
    return decide.change(payment, command, seq)


def _replay(first: tuple[Payment, Entry], command: Create | Change) -> Receipt:
    payment, entry = first
    differing = decide.differing_fields(payment, entry, command)
    if differing:
        raise KeyReused(payment.payment_id, differing)
    return Receipt(decide.answer(payment, entry), entry, replayed=True)


def _resume(intent: Create, command: Create | Change) -> Create:
    """What was intended under this key, with the processor's answer if there is one now."""
    differing = (
        decide.differing_creation(intent, command) if isinstance(command, Create) else ["method"]
    )
    if differing:
        raise KeyReused(intent.payment_id, differing)
    assert isinstance(command, Create)
    return intent._replace(decline_reason=command.decline_reason)


def _sum_up(batch: Batch, stored: Stored) -> None:
    moved = batch.moved
    for entry in batch.entries:
        for account, amount, currency in postings_of(stored.payments[entry.payment_id], entry):
            if not account.startswith(HOLD):
                where = (account, currency)
                moved[where] = moved.get(where, 0) + amount
