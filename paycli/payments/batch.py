"""A batch of commands against what is stored: the heart of group commit, and pure.

Commands are applied in order, each seeing the ones before it, so a key or a payment that stands
twice in one batch behaves as in two. A command that is refused changes nothing for its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from paycli.errors import KeyReused, PaymentError, PaymentNotFound
from paycli.payments import decide
from paycli.payments.commands import Command, Create
from paycli.payments.payment import Entry, Payment


class Receipt(NamedTuple):
    """The answer to a command: the payment right after it, and whether it was done before."""

    payment: Payment
    entry: Entry
    replayed: bool


Outcome = Receipt | PaymentError


@dataclass(slots=True)
class Stored:
    """What the store knows of a batch's keys and payments before the batch."""

    answered: dict[str, tuple[Payment, Entry]] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)


@dataclass(slots=True)
class Batch:
    """What to write for a batch, and each command's outcome in order."""

    outcomes: list[Outcome] = field(default_factory=list)
    created: dict[str, Payment] = field(default_factory=dict)
    changed: dict[str, Payment] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)


def apply(commands: Sequence[Command], stored: Stored, next_seq: int) -> Batch:
    """Carry out the commands on `stored` (which is used up); entries count up from `next_seq`."""
    batch = Batch()
    for command in commands:
        first = stored.answered.get(command.request_key)
        try:
            if first is not None:
                batch.outcomes.append(_replay(first, command))
                continue
            payment, entry = _carry_out(command, stored, next_seq + len(batch.entries))
        except PaymentError as refusal:
            batch.outcomes.append(refusal)
            continue
        if isinstance(command, Create) or payment.payment_id in batch.created:
            batch.created[payment.payment_id] = payment
        else:
            batch.changed[payment.payment_id] = payment
        stored.payments[payment.payment_id] = payment
        stored.answered[command.request_key] = (payment, entry)
        batch.entries.append(entry)
        batch.outcomes.append(Receipt(payment, entry, replayed=False))
    return batch


def _carry_out(command: Command, stored: Stored, seq: int) -> tuple[Payment, Entry]:
    if isinstance(command, Create):
        return decide.create(command, seq)
    payment = stored.payments.get(command.payment_id)
    if payment is None:
        raise PaymentNotFound(command.payment_id)
    return decide.change(payment, command, seq)


def _replay(first: tuple[Payment, Entry], command: Command) -> Receipt:
    payment, entry = first
    differing = decide.differing_fields(payment, entry, command)
    if differing:
        raise KeyReused(payment.payment_id, differing)
    return Receipt(decide.answer(payment, entry), entry, replayed=True)
