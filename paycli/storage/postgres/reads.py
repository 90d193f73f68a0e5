"""Reading a PostgreSQL store: each query as a function of a connection.

Every page starts at a place in an index and looks at a bounded number of rows, so it costs the same
with ten payments stored as with ten million. Each answer is one statement, or of statements between
which nothing that matters can change.
"""

from __future__ import annotations

from typing import Any, Final

import asyncpg

from paycli.payments.payment import Entry, Kind, Payment, State
from paycli.payments.queries import Due, EntryCursor, EventFilter, Found, PaymentFilter
from paycli.storage.intents import IntentRow, is_whole

PAYMENT_COLUMNS: Final = ", ".join(f"payment.{name}" for name in Payment._fields)
ENTRY_COLUMNS: Final = ", ".join(f"entry.{name}" for name in Entry._fields)
INTENT_COLUMNS: Final = ", ".join(IntentRow._fields)

_LOOKED_AT_MAX: Final = 10_000  # rows that one page passes over before it ends short
_WATCHED_MAX: Final = 500  # entries that are found payment by payment; more go by the journal
_AFTER_ALL_IDS: Final = "~"  # ids are ASCII letters, digits and "_"
_MICROSECONDS: Final = 1000
_WIDTH: Final = len(Payment._fields)

# S608 sees built SQL; it is built from our own column names and fixed conditions only.
_PAYMENT = f"SELECT {PAYMENT_COLUMNS} FROM payment WHERE payment_id = $1"  # noqa: S608
# A payment's entries from a version on: the first by its number, the others by their index.
_ENTRIES = (
    f"LATERAL (SELECT {ENTRY_COLUMNS} FROM entry WHERE seq = payment.created_seq AND $2::bigint < 1 "  # noqa: S608
    f"UNION ALL (SELECT {ENTRY_COLUMNS} FROM entry WHERE entry.payment_id = payment.payment_id "
    "AND version > $2::bigint AND version > 1 ORDER BY version LIMIT $3)) AS entry"
)
_JOURNAL_OF_PAYMENT = (
    f"SELECT {PAYMENT_COLUMNS}, {ENTRY_COLUMNS} FROM payment CROSS JOIN {_ENTRIES} "  # noqa: S608
    "WHERE payment.payment_id = $1 ORDER BY entry.version LIMIT $3"
)
_JOURNAL_AFTER = (
    f"SELECT {PAYMENT_COLUMNS}, {ENTRY_COLUMNS} FROM "  # noqa: S608
    "(SELECT * FROM payment WHERE payment_id > $1{condition} ORDER BY payment_id LIMIT $3) "
    f"AS payment CROSS JOIN {_ENTRIES} ORDER BY payment.payment_id, entry.version LIMIT $3"
)
_OF_KEY = "payment_id = (SELECT payment_id FROM entry WHERE request_key = ${} AND version = 1)"
_REFUNDS = (
    f"SELECT {ENTRY_COLUMNS} FROM entry "  # noqa: S608
    "WHERE payment_id = $1 AND version > $2::bigint AND version > 1 AND kind = $3 ORDER BY version LIMIT $4"
)
_EVENTS = (
    f"SELECT {PAYMENT_COLUMNS}, {ENTRY_COLUMNS} FROM entry JOIN payment USING (payment_id) "  # noqa: S608
    "WHERE entry.seq > $1 AND entry.seq <= $2 "
    "AND ($3 = '' OR payment_id = $3) "
    "AND ($4 = '' OR order_id = $4) "
    "AND ($5 = '' OR customer_id = $5) "
    "AND ($6::smallint[] = '{}' OR kind = ANY($6)) "
    "ORDER BY entry.seq LIMIT $7"
)
_EVENTS_OF = (
    f"SELECT {PAYMENT_COLUMNS}, {ENTRY_COLUMNS} FROM payment CROSS JOIN LATERAL ("  # noqa: S608
    f"SELECT {ENTRY_COLUMNS} FROM entry WHERE seq = payment.created_seq AND seq > $2 "
    f"UNION ALL SELECT {ENTRY_COLUMNS} FROM entry WHERE entry.payment_id = payment.payment_id "
    "AND version > 1 AND seq > $2) AS entry "
    "WHERE payment.payment_id = ANY($1) AND entry.seq <= $3 ORDER BY entry.seq"
)
_OPEN_INTENTS = (
    "SELECT request_key FROM intent WHERE lease_us <= $1 "
    "ORDER BY row_number() OVER (PARTITION BY customer_id ORDER BY lease_us, now_us) LIMIT $2"
)
_DUE = (
    "SELECT expires_us, payment_id FROM payment WHERE (expires_us, payment_id) > ($1, $2) "
    "AND expires_us <= $3 AND expires_us > 0 AND state IN ('AUTHORIZED', 'PARTIALLY_CAPTURED') "
    "ORDER BY expires_us, payment_id LIMIT $4"
)


async def newest_seq(connection: asyncpg.Connection) -> int:
    """How far the journal can be read, whoever writes it."""
    seq: int = await connection.fetchval("SELECT newest_seq()")
    return seq


async def all_intents(connection: asyncpg.Connection) -> list[tuple[IntentRow, bool]]:
    """All rows, and whether each is as it was recorded."""
    found = await connection.fetch(f"SELECT {INTENT_COLUMNS}, seal FROM intent")  # noqa: S608
    rows = ((IntentRow(*row), seal) for *row, seal in found)
    return [(row, is_whole(row, seal)) for row, seal in rows]


async def open_intents(connection: asyncpg.Connection, now_us: int, limit: int) -> list[str]:
    """See `payments.store.Store.open_intents`."""
    return [key for (key,) in await _rows(connection, _OPEN_INTENTS, now_us, limit)]


async def payment(connection: asyncpg.Connection, payment_id: str) -> Payment | None:
    """One payment."""
    return next((Payment(*row) for row in await _rows(connection, _PAYMENT, payment_id)), None)


async def payments(
    connection: asyncpg.Connection, wanted: PaymentFilter, before: str, limit: int
) -> tuple[list[Payment], str]:
    """See `payments.store.Store.payments`."""
    end = _id_at(wanted.created_before_us + _MICROSECONDS - 1) if wanted.created_before_us else ""
    before = min(before or _AFTER_ALL_IDS, end or _AFTER_ALL_IDS)
    found: list[Payment] = []
    for _ in range(0, _LOOKED_AT_MAX, limit + 1):
        rows = await _candidates(connection, wanted, before, limit + 1)
        found += filter(wanted.matches, rows)
        if len(found) > limit:
            return found[:limit], found[limit - 1].payment_id
        if len(rows) <= limit:
            return found, ""
        before = rows[-1].payment_id
    return found, before


async def journal(connection: asyncpg.Connection, after: EntryCursor, limit: int) -> list[Found]:
    """See `payments.store.Store.journal`."""
    found = await journal_of_payment(connection, after.payment_id, after.version, limit)
    if len(found) < limit:
        query = _JOURNAL_AFTER.format(condition="")
        found += await _found(connection, query, after.payment_id, 0, limit - len(found))
    return found


async def journal_of_customer(
    connection: asyncpg.Connection, customer_id: str, after: EntryCursor, limit: int
) -> list[Found]:
    """See `payments.store.Store.journal_of_customer`."""
    found = await journal_of_payment(connection, after.payment_id, after.version, limit)
    found = [each for each in found if each.payment.customer_id == customer_id]
    if len(found) < limit:
        query = _JOURNAL_AFTER.format(condition=" AND customer_id = $4")
        given = (after.payment_id, 0, limit - len(found), customer_id)
        found += await _found(connection, query, *given)
    return found


async def journal_of_payment(
    connection: asyncpg.Connection, payment_id: str, after_version: int, limit: int
) -> list[Found]:
    """See `payments.store.Store.journal_of_payment`."""
    return await _found(connection, _JOURNAL_OF_PAYMENT, payment_id, after_version, limit)


async def entry(connection: asyncpg.Connection, payment_id: str, version: int) -> Entry | None:
    """One entry of a payment's journal."""
    found = await journal_of_payment(connection, payment_id, version - 1, 1)
    return next((each.entry for each in found if each.entry.version == version), None)


async def refunds(
    connection: asyncpg.Connection, payment_id: str, after_version: int, limit: int
) -> list[Entry]:
    """The refunds of a payment, oldest first."""
    given = (payment_id, after_version, Kind.REFUNDED, limit)
    return [Entry(*row) for row in await _rows(connection, _REFUNDS, *given)]


async def balances(connection: asyncpg.Connection, account: str) -> list[tuple[str, int]]:
    """(currency, minor units) of an account."""
    query = (
        "SELECT currency, sum(amount) FROM balance WHERE account = $1 "
        "GROUP BY currency ORDER BY currency"
    )
    return [(currency, int(amount)) for currency, amount in await _rows(connection, query, account)]


async def events(
    connection: asyncpg.Connection, after_seq: int, wanted: EventFilter, limit: int
) -> tuple[list[Found], int]:
    """See `payments.store.Store.events`."""
    newest = await newest_seq(connection)
    if (wanted.payment_id or wanted.order_id) and newest - after_seq > _WATCHED_MAX:
        watched = await _watched(connection, wanted)
        if sum(each.version for each in watched) <= _WATCHED_MAX:
            return await _events_of(connection, watched, newest, after_seq, wanted, limit)
    last = min(after_seq + _LOOKED_AT_MAX, max(newest, after_seq))
    kinds = sorted(map(int, wanted.kinds))
    given = (wanted.payment_id, wanted.order_id, wanted.customer_id, kinds, limit)
    found = await _found(connection, _EVENTS, after_seq, last, *given)
    return found, found[-1].entry.seq if len(found) == limit else last


async def due(connection: asyncpg.Connection, now_us: int, after: Due, limit: int) -> list[Due]:
    """See `payments.store.Store.due`."""
    return [Due(*row) for row in await _rows(connection, _DUE, *after, now_us, limit)]


async def _rows(connection: asyncpg.Connection, query: str, *given: object) -> list[asyncpg.Record]:
    """The database knows no text with a NUL in it; nor has any id a control character."""
    asked = (each.replace("\0", "\1") if isinstance(each, str) else each for each in given)
    rows: list[asyncpg.Record] = await connection.fetch(query, *asked)
    return rows


async def _found(connection: asyncpg.Connection, query: str, *given: object) -> list[Found]:
    rows = await _rows(connection, query, *given)
    return [Found(Payment(*row[:_WIDTH]), Entry(*row[_WIDTH:])) for row in rows]


async def _candidates(
    connection: asyncpg.Connection, wanted: PaymentFilter, before: str, limit: int
) -> list[Payment]:
    """The next rows of the index that fits `wanted` best."""
    conditions = ["payment_id < $1", "payment_id >= $2"]
    given: list[Any] = [before, _id_at(wanted.created_from_us)]
    if wanted.request_key:
        conditions.append(_OF_KEY.format(3))
        given.append(wanted.request_key)
    elif wanted.order_id:
        conditions.append("order_id = $3")
        given.append(wanted.order_id)
    elif wanted.customer_id:
        conditions.append("customer_id = $3")
        given.append(wanted.customer_id)
    elif wanted.state is not None and wanted.state is not State.CAPTURED:
        conditions.append("state = $3 AND state <> 'CAPTURED'")
        given.append(wanted.state)
    query = (
        f"SELECT {PAYMENT_COLUMNS} FROM payment WHERE {' AND '.join(conditions)} "  # noqa: S608
        f"ORDER BY payment_id DESC LIMIT ${len(given) + 1}"
    )
    return [Payment(*row) for row in await _rows(connection, query, *given, limit)]


def _id_at(time_us: int) -> str:
    """An id that stands before those of the time's millisecond and after all older ones."""
    return f"pay_{time_us // _MICROSECONDS:012x}" if time_us else ""


async def _watched(connection: asyncpg.Connection, wanted: EventFilter) -> list[Payment]:
    """The payments in question, or more than can be gone through one by one."""
    where = "payment_id = $1" if wanted.payment_id else "order_id = $1"
    query = f"SELECT {PAYMENT_COLUMNS} FROM payment WHERE {where} LIMIT $2"  # noqa: S608
    given = (wanted.payment_id or wanted.order_id, _WATCHED_MAX + 1)
    return [Payment(*row) for row in await _rows(connection, query, *given)]


async def _events_of(
    connection: asyncpg.Connection,
    watched: list[Payment],
    newest: int,
    after_seq: int,
    wanted: EventFilter,
    limit: int,
) -> tuple[list[Found], int]:
    """Through the payments that are watched, which are few, instead of through the journal."""
    ids = [each.payment_id for each in watched]
    rows = await _found(connection, _EVENTS_OF, ids, after_seq, newest)
    found = [each for each in rows if wanted.matches(each.payment, each.entry)]
    if len(found) > limit:
        return found[:limit], found[limit - 1].entry.seq
    return found, max(newest, after_seq)
