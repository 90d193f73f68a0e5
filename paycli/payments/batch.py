"""A batch of commands against what is stored: the heart of group commit, and pure.

Commands are applied in order, each seeing the ones before it, so a key or a payment that stands
twice in one batch behaves as in two. A command that is refused changes nothing for its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from paycli.errors import (
    KeyReused,
    OutcomeOpen,
    PaymentBusy,
    PaymentError,
    PaymentNotFound,
    ProcessorDeclined,
)
from paycli.payments import decide
from paycli.payments.commands import (
    Change,
    Command,
    Create,
    Declined,
    Intend,
    Operation,
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
    """The answer to an Intend or Resume: the operation on record is the caller's to ask about.

    `resumed`: the processor may have been asked before, by somebody who never told.
    """

    operation: Operation
    customer_id: str
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

    operation: Operation
    customer_id: str
    claim: str
    lease_us: int

    def is_free(self, now_us: int) -> bool:
        """Whether somebody else may take it up."""
        return not self.claim or self.lease_us <= now_us


Outcome = Receipt | Claimed | OnRecord | Withdrawn | NotOnRecord | PaymentError


@dataclass(slots=True)
class Stored:
    """What the store knows of a batch's keys and payments before the batch.

    `answered` and `intents` go by idempotency key. `payments` are those that the batch changes, and
    `busy` says which key's change of such a payment is at the processor. A writer that is not alone
    holds all of these rows until its commit.
    """

    answered: dict[str, tuple[Payment, Entry]] = field(default_factory=dict)
    intents: dict[str, Intent] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)
    busy: dict[str, str] = field(default_factory=dict)


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


def apply(commands: Sequence[Command], stored: Stored, seqs: Sequence[int]) -> Batch:
    """Carry out the commands on `stored` (which is used up); entries take their numbers from `seqs`.

    These rise, and are as many as the commands: each writes one entry at most.
    """
    batch = Batch()
    for command in commands:
        try:
            outcome = _outcome(command, stored, batch, seqs[len(batch.entries)])
        except PaymentError as refusal:
            outcome = refusal
        batch.outcomes.append(outcome)
    _sum_up(batch, stored)
    return batch


def changes_of(commands: Sequence[Command], stored: Stored) -> Iterator[Change]:
    """The changes that a batch may carry out: those asked for, and those on record."""
    for command in commands:
        asked = command.operation if isinstance(command, Declined | Intend) else command
        if isinstance(asked, Change):
            yield asked
    for intent in stored.intents.values():
        if isinstance(intent.operation, Change):
            yield intent.operation


def _outcome(command: Command, stored: Stored, batch: Batch, seq: int) -> Outcome:
    if isinstance(command, Create | Change):
        return _execute(command, "", stored, batch, seq)
    if isinstance(command, Declined):
        return _execute(command.operation, command.decline_reason, stored, batch, seq)
    if isinstance(command, Intend):
        return _intend(command, stored, batch, seq)
    intent = stored.intents.get(command.request_key)
    if intent is None:
        return NotOnRecord()
    if isinstance(command, Resume):
        return _take_up(intent, command, command.now_us, stored, batch)
    if intent.claim != command.claim:
        return OnRecord(intent.claim)
    if isinstance(command, Release):
        _record(intent._replace(claim="", lease_us=command.resume_us), stored, batch)
        return OnRecord("")
    if isinstance(command, Withdraw):
        _forget(intent.operation, stored, batch)
        return Withdrawn()
    return _resolve(intent.operation, command.decline_reason, stored, batch, seq)


def _resolve(
    operation: Operation, decline_reason: str, stored: Stored, batch: Batch, seq: int
) -> Receipt:
    """What cannot be written stays on record: the processor has done it."""
    try:
        receipt = _write(operation, decline_reason, stored, batch, seq)
    except ProcessorDeclined:
        _forget(operation, stored, batch)
        raise
    _forget(operation, stored, batch)
    return receipt


def _execute(
    operation: Operation, decline_reason: str, stored: Stored, batch: Batch, seq: int
) -> Receipt:
    first = stored.answered.get(operation.request_key)
    if first is not None:
        return _replay(first, operation)
    intent = stored.intents.get(operation.request_key)
    if intent is not None:
        _check_same(intent.operation, operation)
        raise OutcomeOpen("The processor is being asked about this payment. Send it again shortly.")
    _check_idle(operation, stored)
    return _write(operation, decline_reason, stored, batch, seq)


def _intend(
    command: Intend, stored: Stored, batch: Batch, seq: int
) -> Receipt | Claimed | OnRecord:
    operation = command.operation
    first = stored.answered.get(operation.request_key)
    if first is not None:
        return _replay(first, operation)
    intent = stored.intents.get(operation.request_key)
    if intent is None:
        _check_idle(operation, stored)
        customer_id = _customer_of(operation, stored, seq)
        intent = Intent(operation, customer_id, command.claim, command.lease_us)
        return _claim(intent, stored, batch, resumed=False)
    _check_same(intent.operation, operation)
    return _take_up(intent, command, operation.now_us, stored, batch)


def _take_up(
    intent: Intent, command: Intend | Resume, now_us: int, stored: Stored, batch: Batch
) -> Claimed | OnRecord:
    """Give what is on record to the command's claim, unless somebody holds it."""
    if not intent.is_free(now_us):
        return OnRecord(intent.claim)
    held = intent._replace(claim=command.claim, lease_us=command.lease_us)
    return _claim(held, stored, batch, resumed=True)


def _customer_of(operation: Operation, stored: Stored, seq: int) -> str:
    """Whose money it is about. Raises what the rules say: nobody is asked for what cannot be."""
    if isinstance(operation, Create):
        return operation.customer_id
    payment = _changed(operation, stored)
    decide.change(payment, operation, seq)
    return payment.customer_id


def _changed(change: Change, stored: Stored) -> Payment:
    payment = stored.payments.get(change.payment_id)
    if payment is None:
        raise PaymentNotFound(change.payment_id)
    return payment


def _check_idle(operation: Operation, stored: Stored) -> None:
    """One change of a payment at a time is at the processor, so that it can still be done after."""
    if isinstance(operation, Change) and operation.payment_id in stored.busy:
        raise PaymentBusy(operation.payment_id)


def _claim(intent: Intent, stored: Stored, batch: Batch, *, resumed: bool) -> Claimed:
    _record(intent, stored, batch)
    return Claimed(intent.operation, intent.customer_id, resumed)


def _record(intent: Intent, stored: Stored, batch: Batch) -> None:
    key = intent.operation.request_key
    stored.intents[key] = batch.intents[key] = intent
    if isinstance(intent.operation, Change):
        stored.busy[intent.operation.payment_id] = key


def _forget(operation: Operation, stored: Stored, batch: Batch) -> None:
    del stored.intents[operation.request_key]
    batch.intents[operation.request_key] = None
    if isinstance(operation, Change):
        del stored.busy[operation.payment_id]


def _write(
    operation: Operation, decline_reason: str, stored: Stored, batch: Batch, seq: int
) -> Receipt:
    payment, entry = _carry_out(operation, decline_reason, stored, seq)
    is_new = isinstance(operation, Create) or payment.payment_id in batch.created
    (batch.created if is_new else batch.changed)[payment.payment_id] = payment
    stored.payments[payment.payment_id] = payment
    stored.answered[operation.request_key] = (payment, entry)
    batch.entries.append(entry)
    return Receipt(payment, entry, replayed=False)


def _carry_out(
    operation: Operation, decline_reason: str, stored: Stored, seq: int
) -> tuple[Payment, Entry]:
    if isinstance(operation, Create):
        return decide.create(operation, decline_reason, seq)
    changed = decide.change(_changed(operation, stored), operation, seq)
    if decline_reason:
        raise ProcessorDeclined(operation.payment_id, operation.action, decline_reason)
    return changed


def _replay(first: tuple[Payment, Entry], operation: Operation) -> Receipt:
    payment, entry = first
    differing = decide.differing_fields(payment, entry, operation)
    if differing:
        raise KeyReused(payment.payment_id, differing)
    return Receipt(decide.answer(payment, entry), entry, replayed=True)


def _check_same(intended: Operation, operation: Operation) -> None:
    """Refuse an operation that asks for something else than is intended under its key."""
    differing = decide.differing_intent(intended, operation)
    if differing:
        raise KeyReused(intended.payment_id, differing)


def _sum_up(batch: Batch, stored: Stored) -> None:
    moved = batch.moved
    for entry in batch.entries:
        for account, amount, currency in postings_of(stored.payments[entry.payment_id], entry):
            if not account.startswith(HOLD):
                where = (account, currency)
                moved[where] = moved.get(where, 0) + amount
