"""What a batch writes, as rows in the column order of their tables."""

from __future__ import annotations

from collections.abc import Iterator

from paycli.payments.batch import Batch
from paycli.payments.payment import Payment
from paycli.payments.seals import seal

_Row = tuple[int | str, ...]


def sealed_entries(batch: Batch) -> Iterator[_Row]:
    """Each entry with its seal."""
    created, changed = batch.created, batch.changed
    for entry in batch.entries:
        payment = created.get(entry.payment_id) or changed[entry.payment_id]
        yield (*entry, seal(payment, entry))


def counters_of(payment: Payment) -> _Row:
    """What a change changes in its payment, and the id."""
    return (
        payment.captured,
        payment.voided,
        payment.refunded,
        payment.expired,
        payment.version,
        payment.updated_us,
        payment.payment_id,
    )
