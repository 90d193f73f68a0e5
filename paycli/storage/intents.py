"""Intents as rows of a store, and back; each row with a seal (payments/seals.py)."""

from __future__ import annotations

from typing import Final, NamedTuple
from zlib import crc32

from paycli.payments.batch import Intent
from paycli.payments.commands import Change, Create
from paycli.payments.seals import END
from paycli.payments.states import Action

_CREATE: Final = "create"


class IntentRow(NamedTuple):
    """The columns of the table, in their order, before the seal."""

    request_key: str
    payment_id: str
    action: str
    now_us: int
    amount: int
    currency: str
    customer_id: str
    order_id: str
    capture_method: int
    expires_us: int
    final: int
    reason: str
    claim: str
    lease_us: int


def row_of(intent: Intent) -> IntentRow:
    """The row that an intent is kept in."""
    operation, customer_id, claim, lease_us = intent
    row = IntentRow(
        operation.request_key,
        operation.payment_id,
        _CREATE,
        operation.now_us,
        operation.amount,
        operation.currency,
        customer_id,
        "",
        0,
        0,
        0,
        "",
        claim,
        lease_us,
    )
    if isinstance(operation, Create):
        return row._replace(
            order_id=operation.order_id,
            capture_method=int(operation.capture_method),
            expires_us=operation.expires_us,
        )
    return row._replace(
        action=str(operation.action), final=int(operation.final), reason=operation.reason
    )


def seal_of(row: IntentRow) -> int:
    """A checksum over the row, as the migrations write it too."""
    return crc32(END.join(map(str, row)).encode())


def sealed_row_of(intent: Intent) -> tuple[int | str, ...]:
    """The row with its seal."""
    row = row_of(intent)
    return (*row, seal_of(row))


def is_whole(row: IntentRow, seal: int) -> bool:
    """Whether the row is as it was recorded."""
    return seal_of(row) == seal


def intent_of(row: IntentRow) -> Intent:
    """The intent that a row holds."""
    operation: Create | Change
    if row.action == _CREATE:
        operation = Create(
            row.request_key,
            row.payment_id,
            row.order_id,
            row.customer_id,
            row.currency,
            row.amount,
            row.now_us,
            row.capture_method,
            row.expires_us,
        )
    else:
        operation = Change(
            row.request_key,
            row.payment_id,
            Action(row.action),
            row.now_us,
            row.amount,
            bool(row.final),
            row.reason,
            row.currency,
        )
    return Intent(operation, row.customer_id, row.claim, row.lease_us)
