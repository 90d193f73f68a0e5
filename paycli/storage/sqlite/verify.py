"""Every invariant over a whole SQLite store, a slice at a time.

SQL passes over the payments that are plainly right; the rest goes before the auditor of the domain.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Final

import apsw

from paycli.errors import CheckFailed, StoreError
from paycli.payments.audit import violation
from paycli.payments.currencies import EXPONENTS
from paycli.storage.anchors import Anchor
from paycli.storage.records import Progress, Verified
from paycli.storage.schema import migrations, statement
from paycli.storage.sqlite import reads
from paycli.storage.sqlite.anchor import anchor_journal, kept_anchors
from paycli.storage.sqlite.file import (
    check_schema_version,
    explained,
    offer_crc32,
    open_existing,
    schema_version,
)

_SLICE: Final = 50_000
_CURRENCIES: Final = json.dumps(sorted(EXPONENTS))
_ALL: Final = 2**62


def verify(
    path: Path, progress: Progress, since: Anchor | None = None, *, unfinished: bool = False
) -> Verified:
    """Check the store as it is at this moment, and that it goes on from where `since` was taken.

    `unfinished` is for a copy that has not ended. Raises CheckFailed with the first violation, StoreError.
    """
    with contextlib.closing(open_existing(path, unfinished=unfinished)) as connection:
        with explained(path):
            check_schema_version(schema_version(connection), path)
        with _found_by_sqlite(path), connection:
            verified = _verify(path, connection, progress, since)
    return verified


def _verify(
    path: Path, connection: apsw.Connection, progress: Progress, since: Anchor | None
) -> Verified:
    failed_checks = check_structure(connection)
    _check_schema(connection)
    last = reads.last_seq(connection)
    kept = kept_anchors(connection) + ([] if since is None else [since])
    with ThreadPoolExecutor(1) as beside:
        # Entries never change, so another connection, which sees a later moment, reads the same.
        anchoring = beside.submit(_anchor, path, last, kept)
        payments, versions = _check_payments(connection, progress)
        entries = _check_journal(connection, versions)
        _check_keys(connection)
        _check_balances(connection)
        intents = _check_intents(connection)
        for said in failed_checks:  # of what none of the above looks at
            raise CheckFailed(f"A row breaks the rules of its table: {said}. Restore a backup.")
        anchor = anchoring.result()
    return Verified(payments, entries, intents, str(anchor))


def _anchor(path: Path, last: int, kept: list[Anchor]) -> Anchor:
    with contextlib.closing(open_existing(path, unfinished=True)) as connection:
        return anchor_journal(connection, last, kept)


@contextlib.contextmanager
def _found_by_sqlite(path: Path) -> Iterator[None]:
    """What SQLite says during a check: the file was opened, so it is about what is in it."""
    try:
        yield
    except apsw.CorruptError as problem:
        raise CheckFailed(f"The file is damaged: {problem}. Restore a backup.") from problem
    except apsw.Error as problem:
        raise StoreError(f"The check of {path} could not go on: {problem}.") from problem


def check_structure(connection: apsw.Connection) -> list[str]:
    """The file is sound. Raises CheckFailed.

    Returns which CHECKs fail; the checks after this one can say of which payment.
    """
    failed_checks = []
    for (said,) in connection.execute("PRAGMA quick_check"):
        if said.startswith("CHECK constraint failed"):
            failed_checks.append(said)
        elif said != "ok":
            raise CheckFailed(f"The file is damaged: {' '.join(said.split())}. Restore a backup.")
    return failed_checks


def _check_schema(connection: apsw.Connection) -> None:
    """I3, I6: all that holds the rules (indexes, triggers) is in place."""
    changed = _schema(connection) ^ _schema_made()
    if changed:
        _check_duplicates(connection)
        kind, name, _ = min(changed)
        raise CheckFailed(
            f"I3: the {kind} {name} is not as paycli made it; somebody changed the schema. "
            "Restore a backup."
        )


def _check_duplicates(connection: apsw.Connection) -> None:
    """I6 where somebody took the unique index away."""
    query = "SELECT min(seq), max(seq) FROM entry GROUP BY request_key HAVING count(*) > 1 LIMIT 1"
    for first, second in connection.execute(query):
        raise CheckFailed(f"Entries {first} and {second} break I6: both have one idempotency key.")


def _check_payments(connection: apsw.Connection, progress: Progress) -> tuple[int, int]:
    """I1, I2, I4, I5, I8 of every payment; returns how many there are and the sum of versions."""
    of_all: int = connection.execute("SELECT count(*) FROM payment").get
    done, versions, after = 0, 0, ""
    slice_ = (
        "SELECT count(*), sum(version), min(payment_id), max(payment_id) FROM (SELECT payment_id, "
        "version FROM payment WHERE payment_id > ? ORDER BY payment_id LIMIT ?)"
    )
    while True:
        count, total, first, last = connection.execute(slice_, (after, _SLICE)).get
        if not count:
            return done, versions
        suspects = connection.execute(
            statement("sqlite", "to_audit"),
            {"first": first, "last": last, "currencies": _CURRENCIES},
        )
        for (payment_id,) in suspects:
            _audit(connection, payment_id)
        done, versions, after = done + count, versions + total, last
        progress(done, of_all)


def _audit(connection: apsw.Connection, payment_id: str) -> None:
    payment = reads.payment(connection, payment_id)
    assert payment is not None
    found = reads.journal_of_payment(connection, payment_id, 0, _ALL)
    broken = violation(payment, [each.entry for each in found])
    if broken is not None:
        raise CheckFailed(f"Payment {payment_id} breaks {broken}.")


def _check_journal(connection: apsw.Connection, versions: int) -> int:
    """I5: as many entries as transitions; so no entry is without payment."""
    count, least = connection.execute("SELECT count(*), coalesce(min(seq), 1) FROM entry").get
    if count != versions:
        query = (
            "SELECT seq, entry.payment_id FROM entry LEFT JOIN payment USING (payment_id) "
            "WHERE payment.payment_id IS NULL OR entry.version > payment.version "
            "OR (entry.version = 1 AND entry.seq <> payment.created_seq) LIMIT 1"
        )
        for seq, payment_id in connection.execute(query):
            raise CheckFailed(
                f"Entry {seq} breaks I5: it is of no version of payment {payment_id}."
            )
        raise CheckFailed(f"The journal breaks I5: {count} entries for {versions} transitions.")
    if least < 1:
        raise CheckFailed(f"The journal breaks I5: its first entry has the number {least}.")
    return int(count)


def _check_keys(connection: apsw.Connection) -> None:
    """I6: a key that its index does not lead to could be used again."""
    # The + keeps SQLite from looking entries up by seq, which would find them all.
    query = (
        "SELECT seq FROM entry AS one NOT INDEXED WHERE NOT EXISTS (SELECT 1 FROM entry AS found "
        "WHERE found.request_key = one.request_key AND +found.seq = one.seq) LIMIT 1"
    )
    for (seq,) in connection.execute(query):
        raise CheckFailed(
            f"Entry {seq} breaks I6: the index does not lead to its idempotency key. Restore a "
            "backup."
        )


def _check_balances(connection: apsw.Connection) -> None:
    """I4: every balance is the sum of its postings. Then each currency sums to zero as well."""
    for account, currency, stored, owed in connection.execute(
        statement("sqlite", "wrong_balances")
    ):
        raise CheckFailed(
            f"Account {account} breaks I4: its balance is {stored} minor units of {currency}, its "
            f"postings sum to {owed}."
        )


def _check_intents(connection: apsw.Connection) -> int:
    """I6 of what the processor is being asked: recorded by paycli, and not answered yet."""
    intents = reads.all_intents(connection)
    for row, whole in intents:
        asked = f"The open question to the processor about payment {row.payment_id} breaks I6"
        if not whole:
            raise CheckFailed(
                f"{asked}: it is not as paycli recorded it, and a server would not settle it. "
                "Restore a backup."
            )
        answered = "SELECT seq FROM entry WHERE request_key = ?"
        for (seq,) in connection.execute(answered, (row.request_key,)):
            raise CheckFailed(f"{asked}: entry {seq} is its answer already. Restore a backup.")
    return len(intents)


def _schema(connection: apsw.Connection) -> set[tuple[str, str, str]]:
    query = (
        "SELECT type, name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'"
    )
    return {(kind, name, sql) for kind, name, sql in connection.execute(query)}


@cache
def _schema_made() -> set[tuple[str, str, str]]:
    with contextlib.closing(apsw.Connection(":memory:")) as connection:
        offer_crc32(connection)
        for step in migrations("sqlite"):
            connection.execute(step.sql)
        return _schema(connection)
