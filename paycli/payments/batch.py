"""A batch of commands against what is stored: the heart of group commit, and pure.

Commands are applied in order, each seeing the ones before it, so a key or a payment that stands
twice in one batch behaves as in two. A command that is refused changes nothing for its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from paycli.errors import KeyReused, OutcomeOpen, PaymentError, PaymentNotFound
from paycli.payments import decide
from paycli.payments.commands import (
    Change,
    Command,
    Create,
    Intend,
    Release,
    Resume,
    Withdraw,
)
from paycli.payments.payment import Entry, Payment
from paycli.payments.postings import HOLD, postings_of


class Receipt(NamedTuple):
    """The answer to a command: the payment right after it, and whether it was done before."""

    payment: Payment
    entry: Entry
    replayed: bool


class Claimed(NamedTuple):
    """The answer to an Intend or Resume: the payment on record is the caller's to ask about.

    `resumed`: the processor may have been asked before, by somebody who never told.
    """

    create: Create
    resumed: bool


class OnRecord(NamedTuple):
    """The intent is open, and not the caller's; `claim` is its holder's, "" when nobody has it."""

    claim: str


class Withdrawn(NamedTuple):
    """The answer to a Withdraw: the intent is off the record, by this caller."""


class NotOnRecord(NamedTuple):
    """There is no such intent (any more)."""


class Intent(NamedTuple):
    """What the processor is being asked: by whom, and until when that is believed.

    With an empty `claim`, nobody asks; `lease_us` then is when it should be asked again.
    """

    create: Create
    claim: str
    lease_us: int

    def is_free(self, now_us: int) -> bool:
        """Whether somebody else may take it up."""
        return not self.claim or self.lease_us <= now_us


Outcome = Receipt | Claimed | OnRecord | Withdrawn | NotOnRecord | PaymentError


@dataclass(slots=True)
class Stored:
    """What the store knows of a batch's keys and payments before the batch."""

    answered: dict[str, tuple[Payment, Entry]] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)
    intents: dict[str, Intent] = field(default_factory=dict)


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
    intents: dict[str, Intent | None] = field(default_factory=dict)
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
    if isinstance(command, Create | Change):
        return _execute(command, stored, batch, seq)
    if isinstance(command, Intend):
        return _intend(command, stored, batch)
    intent = stored.intents.get(command.request_key)
    if intent is None:
        return NotOnRecord()
    if isinstance(command, Resume):
        if not intent.is_free(command.now_us):
            return OnRecord(intent.claim)
        return _claim(intent.create, command.claim, command.lease_us, stored, batch, resumed=True)
    if intent.claim != command.claim:
        return OnRecord(intent.claim)
    if isinstance(command, Release):
        _record(Intent(intent.create, "", command.resume_us), stored, batch)
        return OnRecord("")
    _forget(command.request_key, stored, batch)
    if isinstance(command, Withdraw):
        return Withdrawn()
    answered = intent.create._replace(decline_reason=command.decline_reason)
    return _write(answered, stored, batch, seq)


def _execute(command: Create | Change, stored: Stored, batch: Batch, seq: int) -> Receipt:
    first = stored.answered.get(command.request_key)
    if first is not None:
        return _replay(first, command)
    intent = stored.intents.get(command.request_key)
    if intent is not None:
        _check_same(intent.create, command)
        raise OutcomeOpen("The processor is being asked about this payment. Send it again shortly.")
    return _write(command, stored, batch, seq)


def _intend(command: Intend, stored: Stored, batch: Batch) -> Receipt | Claimed | OnRecord:
    create = command.create
    first = stored.answered.get(create.request_key)
    if first is not None:
        return _replay(first, create)
    intent = stored.intents.get(create.request_key)
    if intent is None:
        return _claim(create, command.claim, command.lease_us, stored, batch, resumed=False)
    _check_same(intent.create, create)
    if not intent.is_free(create.now_us):
        return OnRecord(intent.claim)
    return _claim(intent.create, command.claim, command.lease_us, stored, batch, resumed=True)


def _claim(
    create: Create, claim: str, lease_us: int, stored: Stored, batch: Batch, *, resumed: bool
) -> Claimed:
    _record(Intent(create, claim, lease_us), stored, batch)
    return Claimed(create, resumed)


def _record(intent: Intent, stored: Stored, batch: Batch) -> None:
    key = intent.create.request_key
    stored.intents[key] = batch.intents[key] = intent


def _forget(key: str, stored: Stored, batch: Batch) -> None:
    del stored.intents[key]
    batch.intents[key] = None


def _write(command: Create | Change, stored: Stored, batch: Batch, seq: int) -> Receipt:
    payment, entry = _carry_out(command, stored, seq)
    is_new = isinstance(command, Create) or payment.payment_id in batch.created
    (batch.created if is_new else batch.changed)[payment.payment_id] = payment
    stored.payments[payment.payment_id] = payment
    stored.answered[command.request_key] = (payment, entry)
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


def _check_same(intended: Create, command: Create | Change) -> None:
    """Refuse a command that asks for something else than is intended under its key."""
    differing = (
        decide.differing_creation(intended, command) if isinstance(command, Create) else ["method"]
    )
    if differing:
        raise KeyReused(intended.payment_id, differing)


def _sum_up(batch: Batch, stored: Stored) -> None:
    moved = batch.moved
    for entry in batch.entries:
        for account, amount, currency in postings_of(stored.payments[entry.payment_id], entry):
            if not account.startswith(HOLD):
                where = (account, currency)
                moved[where] = moved.get(where, 0) + amount
