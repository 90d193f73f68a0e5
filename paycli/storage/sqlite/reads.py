"""Reading a SQLite store: each query as a function of a connection.

Every page starts at a place in an index and looks at a bounded number of rows, so it costs the same
with ten payments stored as with ten million.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import apsw

from paycli.payments.payment import Entry, Kind, Payment, State
from paycli.payments.queries import Due, EntryCursor, EventFilter, Found, PaymentFilter
from paycli.storage.intents import IntentRow, is_whole

PAYMENT_COLUMNS: Final = ", ".join(f"payment.{name}" for name in Payment._fields)
ENTRY_COLUMNS: Final = ", ".join(f"entry.{name}" for name in Entry._fields)

_LOOKED_AT_MAX: Final = 10_000  # rows that one page passes over before it ends short
_WATCHED_MAX: Final = 500  # entries that are found payment by payment; more go by the journal
_AFTER_ALL_IDS: Final = "~"  # ids are ASCII letters, digits and "_"
_MICROSECONDS: Final = 1000

# Of two bounds of one column SQLite takes the first to find where to start: the cursor's stands before
# what only says that a partial index fits.
# S608 sees built SQL; it is built from our own column names and fixed conditions only.
_PAYMENT = f"SELECT {PAYMENT_COLUMNS} FROM payment WHERE payment_id = ?"  # noqa: S608
_PAYMENTS_FROM = f"SELECT {PAYMENT_COLUMNS} FROM payment WHERE payment_id >= ? ORDER BY payment_id"  # noqa: S608
_PAYMENTS_OF_CUSTOMER_FROM = (
    f"SELECT {PAYMENT_COLUMNS} FROM payment "  # noqa: S608
    "WHERE customer_id = ? AND payment_id >= ? ORDER BY payment_id"
)
_OF_KEY = "payment_id = (SELECT payment_id FROM entry WHERE request_key = ? AND version = 1)"
_FIRST_ENTRY = f"SELECT {ENTRY_COLUMNS} FROM entry WHERE seq = ?"  # noqa: S608
_LATER_ENTRIES = (
    f"SELECT {ENTRY_COLUMNS} FROM entry "  # noqa: S608
    "WHERE payment_id = ? AND version > ? AND version > 1 ORDER BY version LIMIT ?"
)
_REFUNDS = (
    f"SELECT {ENTRY_COLUMNS} FROM entry "  # noqa: S608
    "WHERE payment_id = ? AND version > ? AND version > 1 AND kind = ? ORDER BY version LIMIT ?"
)
_EVENTS = (
    f"SELECT {PAYMENT_COLUMNS}, {ENTRY_COLUMNS} FROM entry JOIN payment USING (payment_id) "  # noqa: S608
    "WHERE entry.seq > :after AND entry.seq <= :last "
    "AND (:payment_id = '' OR payment_id = :payment_id) "
    "AND (:order_id = '' OR order_id = :order_id) "
    "AND (:customer_id = '' OR customer_id = :customer_id) "
    "AND (:kinds = '[]' OR kind IN (SELECT value FROM json_each(:kinds))) "
    "ORDER BY entry.seq LIMIT :limit"
)
_NEW_ENTRIES = (
    f"SELECT {ENTRY_COLUMNS} FROM entry "  # noqa: S608
    "WHERE payment_id = ? AND version > 1 AND seq > ? ORDER BY version LIMIT ?"
)
_OPEN_INTENTS = (
    "SELECT request_key FROM intent WHERE lease_us <= ? "
    "ORDER BY row_number() OVER (PARTITION BY customer_id ORDER BY lease_us, now_us) LIMIT ?"
)
_DUE = (
    "SELECT expires_us, payment_id FROM payment WHERE (expires_us, payment_id) > (?, ?) "
    "AND expires_us <= ? AND expires_us > 0 AND state IN ('AUTHORIZED', 'PARTIALLY_CAPTURED') "
    "ORDER BY expires_us, payment_id LIMIT ?"
)


def last_seq(connection: apsw.Connection) -> int:
    """How far the journal goes."""
    seq: int = connection.execute("SELECT coalesce(max(seq), 0) FROM entry").get
    return seq


def all_intents(connection: apsw.Connection) -> list[tuple[IntentRow, bool]]:
    """All rows, and whether each is as it was recorded."""
    rows = ((IntentRow(*row), seal) for *row, seal in connection.execute("SELECT * FROM intent"))
    return [(row, is_whole(row, seal)) for row, seal in rows]


def open_intents(connection: apsw.Connection, now_us: int, limit: int) -> list[str]:
    """See `payments.store.Store.open_intents`."""
    return [key for (key,) in connection.execute(_OPEN_INTENTS, (now_us, limit))]


def payment(connection: apsw.Connection, payment_id: str) -> Payment | None:
    """One payment."""
    return next((Payment(*row) for row in connection.execute(_PAYMENT, (payment_id,))), None)


def payments(
    connection: apsw.Connection, wanted: PaymentFilter, before: str, limit: int
) -> tuple[list[Payment], str]:
    """See `payments.store.Store.payments`."""
    end = _id_at(wanted.created_before_us + _MICROSECONDS - 1) if wanted.created_before_us else ""
    before = min(before or _AFTER_ALL_IDS, end or _AFTER_ALL_IDS)
    found: list[Payment] = []
    for _ in range(0, _LOOKED_AT_MAX, limit + 1):
        rows = _candidates(connection, wanted, before, limit + 1)
        found += filter(wanted.matches, rows)
        if len(found) > limit:
            return found[:limit], found[limit - 1].payment_id
        if len(rows) <= limit:
            return found, ""
        before = rows[-1].payment_id
    return found, before


def journal(connection: apsw.Connection, after: EntryCursor, limit: int) -> list[Found]:
    """See `payments.store.Store.journal`."""
    rows = connection.execute(_PAYMENTS_FROM, (after.payment_id,))
    return _journal(connection, rows, after, limit)


def journal_of_customer(
    connection: apsw.Connection, customer_id: str, after: EntryCursor, limit: int
) -> list[Found]:
    """See `payments.store.Store.journal_of_customer`."""
    rows = connection.execute(_PAYMENTS_OF_CUSTOMER_FROM, (customer_id, after.payment_id))
    return _journal(connection, rows, after, limit)


def journal_of_payment(
    connection: apsw.Connection, payment_id: str, after_version: int, limit: int
) -> list[Found]:
    """See `payments.store.Store.journal_of_payment`."""
    after = EntryCursor(payment_id, after_version)
    return _journal(connection, connection.execute(_PAYMENT, (payment_id,)), after, limit)


def entry(connection: apsw.Connection, payment_id: str, version: int) -> Entry | None:
    """One entry of a payment's journal."""
    owner = payment(connection, payment_id)
    if owner is None:
        return None
    return next(iter(_entries(connection, owner, version - 1, 1)), None)


def refunds(
    connection: apsw.Connection, payment_id: str, after_version: int, limit: int
) -> list[Entry]:
    """The refunds of a payment, oldest first."""
    given = (payment_id, after_version, Kind.REFUNDED, limit)
    return [Entry(*row) for row in connection.execute(_REFUNDS, given)]


def balances(connection: apsw.Connection, account: str) -> list[tuple[str, int]]:
    """(currency, minor units) of an account."""
    query = "SELECT currency, amount FROM balance WHERE account = ? ORDER BY currency"
    return [(currency, amount) for currency, amount in connection.execute(query, (account,))]


def events(
    connection: apsw.Connection, after_seq: int, wanted: EventFilter, limit: int
) -> tuple[list[Found], int]:
    """See `payments.store.Store.events`."""
    newest = last_seq(connection)
    if (wanted.payment_id or wanted.order_id) and newest - after_seq > _WATCHED_MAX:
        watched = _watched(connection, wanted)
        if sum(each.version for each in watched) <= _WATCHED_MAX:
            return _events_of(connection, watched, newest, after_seq, wanted, limit)
    last = min(after_seq + _LOOKED_AT_MAX, max(newest, after_seq))
    given = wanted._asdict() | {
        "kinds": json.dumps(sorted(wanted.kinds)),
        "after": after_seq,
        "last": last,
        "limit": limit,
    }
    width = len(Payment._fields)
    rows = connection.execute(_EVENTS, given)
    found = [Found(Payment(*row[:width]), Entry(*row[width:])) for row in rows]
    return found, found[-1].entry.seq if len(found) == limit else last


def due(connection: apsw.Connection, now_us: int, after: Due, limit: int) -> list[Due]:
    """See `payments.store.Store.due`."""
    return [Due(*row) for row in connection.execute(_DUE, (*after, now_us, limit))]


def _candidates(
    connection: apsw.Connection, wanted: PaymentFilter, before: str, limit: int
) -> list[Payment]:
    """The next rows of the index that fits `wanted` best."""
    conditions, given = (
        ["payment_id < ?", "payment_id >= ?"],
        [before, _id_at(wanted.created_from_us)],
    )
    if wanted.request_key:
        conditions.append(_OF_KEY)
        given.append(wanted.request_key)
    elif wanted.order_id:
        conditions.append("order_id = ?")
        given.append(wanted.order_id)
    elif wanted.customer_id:
        conditions.append("customer_id = ?")
        given.append(wanted.customer_id)
    elif wanted.state is not None and wanted.state is not State.CAPTURED:
        conditions.append("state = ? AND state <> 'CAPTURED'")
        given.append(wanted.state)
    query = (
        f"SELECT {PAYMENT_COLUMNS} FROM payment WHERE {' AND '.join(conditions)} "  # noqa: S608
        "ORDER BY payment_id DESC LIMIT ?"
    )
    return [Payment(*row) for row in connection.execute(query, (*given, limit))]


def _id_at(time_us: int) -> str:
    """An id that stands before those of the time's millisecond and after all older ones."""
    return f"pay_{time_us // _MICROSECONDS:012x}" if time_us else ""


def _journal(
    connection: apsw.Connection, payments: Iterable[Sequence[Any]], after: EntryCursor, limit: int
) -> list[Found]:
    """Entries of payments that come in the order of their ids, from the cursor's on."""
    found: list[Found] = []
    for row in payments:
        each = Payment(*row)
        passed = after.version if each.payment_id == after.payment_id else 0
        entries = _entries(connection, each, passed, limit - len(found))
        found += (Found(each, one) for one in entries)
        if len(found) >= limit:
            break
    return found


def _entries(
    connection: apsw.Connection, owner: Payment, after_version: int, limit: int
) -> list[Entry]:
    found: list[Entry] = []
    if after_version < 1:
        found += [Entry(*row) for row in connection.execute(_FIRST_ENTRY, (owner.created_seq,))]
    if owner.version > 1 and limit > len(found):
        given = (owner.payment_id, after_version, limit - len(found))
        found += [Entry(*row) for row in connection.execute(_LATER_ENTRIES, given)]
    return found


def _watched(connection: apsw.Connection, wanted: EventFilter) -> list[Payment]:
    """The payments in question, or more than can be gone through one by one."""
    where = "payment_id = ?" if wanted.payment_id else "order_id = ?"
    query = f"SELECT {PAYMENT_COLUMNS} FROM payment WHERE {where} LIMIT ?"  # noqa: S608
    given = (wanted.payment_id or wanted.order_id, _WATCHED_MAX + 1)
    return [Payment(*row) for row in connection.execute(query, given)]


def _events_of(
    connection: apsw.Connection,
    watched: list[Payment],
    newest: int,
    after_seq: int,
    wanted: EventFilter,
    limit: int,
) -> tuple[list[Found], int]:
    """Through the payments that are watched, which are few, instead of through the journal."""
    found: list[Found] = []
    for owner in watched:
        entries = [] if owner.created_seq <= after_seq else _entries(connection, owner, 0, 1)
        given = (owner.payment_id, after_seq, limit + 1)
        entries += [Entry(*each) for each in connection.execute(_NEW_ENTRIES, given)]
        found += (Found(owner, one) for one in entries if wanted.matches(owner, one))
    found.sort(key=lambda each: each.entry.seq)
    if len(found) > limit:
        return found[:limit], found[limit - 1].entry.seq
    return found, max(newest, after_seq)
