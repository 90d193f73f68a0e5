"""A SQLite store as one end of a copy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import apsw

from paycli.payments.payment import Payment
from paycli.storage.anchors import Anchor
from paycli.storage.copying import AT_ONCE, Copied, Row
from paycli.storage.intents import IntentRow
from paycli.storage.records import Progress, Verified
from paycli.storage.rows import counters_of
from paycli.storage.schema import UNFINISHED
from paycli.storage.sqlite import reads
from paycli.storage.sqlite.anchor import anchor_journal
from paycli.storage.sqlite.file import (
    SCHEMA_VERSION,
    SqliteFile,
    check_schema_version,
    explained,
    open_existing,
    schema_version,
    writing_to,
)
from paycli.storage.sqlite.lock import held_still
from paycli.storage.sqlite.verify import verify
from paycli.storage.sqlite.writer import INSERT_ENTRY, INSERT_INTENT, INSERT_PAYMENT, UPDATE_PAYMENT

_WIDTH: Final = len(Payment._fields)
_JOURNAL: Final = (
    f"SELECT {reads.PAYMENT_COLUMNS}, {reads.ENTRY_COLUMNS}, entry.seal FROM entry "  # noqa: S608
    "JOIN payment USING (payment_id) WHERE seq > ? ORDER BY seq"
)
_REST: Final = {
    "balance": "SELECT account, currency, amount FROM balance",
    "intent": f"SELECT {', '.join(IntentRow._fields)}, seal FROM intent",  # noqa: S608
    "anchor": "SELECT seq, digest FROM anchor",
}
_INSERT: Final = {
    "balance": "INSERT INTO balance VALUES (?, ?, ?)",
    "intent": INSERT_INTENT,
    "anchor": "INSERT INTO anchor VALUES (?, ?)",
}


class SqliteEnd:
    """A `copying.End` that is a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    async def place(self) -> str:
        """See `copying.End.place`."""
        return str(self._path.resolve())

    async def verify(self, progress: Progress, *, unfinished: bool = False) -> Verified:
        """See `copying.End.verify`."""
        return verify(self._path, progress, unfinished=unfinished)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[SqliteSource]:
        """See `copying.End.reading`."""
        with ExitStack() as opened:
            with explained(self._path):
                connection = opened.enter_context(closing(open_existing(self._path)))
                check_schema_version(schema_version(connection), self._path)
                opened.enter_context(held_still(self._path))
            yield SqliteSource(self._path, connection)

    @asynccontextmanager
    async def filling(self) -> AsyncIterator[SqliteTarget]:
        """See `copying.End.filling`."""
        with closing(SqliteFile(self._path)) as file:
            yield SqliteTarget(self._path, file.connect(unfinished=True))


class SqliteSource:
    """A `copying.Source`."""

    def __init__(self, path: Path, connection: apsw.Connection) -> None:
        self._path = path
        self._connection = connection

    async def anchor(self, seq: int) -> Anchor:
        """See `copying.Source.anchor`."""
        with explained(self._path):
            return anchor_journal(self._connection, seq, [])

    async def journal(self, after_seq: int) -> AsyncIterator[list[Copied]]:
        """See `copying.Source.journal`."""
        with explained(self._path):
            rows = self._connection.execute(_JOURNAL, (after_seq,))
            for page in _pages(rows):
                yield [Copied(Payment(*row[:_WIDTH]), row[_WIDTH:]) for row in page]

    async def rest(self) -> AsyncIterator[tuple[str, list[Row]]]:
        """See `copying.Source.rest`."""
        with explained(self._path):
            for table, query in _REST.items():
                for page in _pages(self._connection.execute(query)):
                    yield table, page


class SqliteTarget:
    """A `copying.Target`; its lock keeps servers and other copies out."""

    def __init__(self, path: Path, connection: apsw.Connection) -> None:
        self._path = path
        self._connection = connection
        with explained(path):
            self.last_seq = reads.last_seq(connection)
            self.payments: int = connection.execute("SELECT count(*) FROM payment").get
            intents = connection.execute("SELECT count(*) FROM intent").get
            is_marked = schema_version(connection) > UNFINISHED
            self.is_whole = not is_marked and bool(self.last_seq or intents)
            if not self.is_whole and not is_marked:
                connection.pragma("user_version", UNFINISHED + SCHEMA_VERSION)

    async def anchor(self) -> Anchor:
        """See `copying.Target.anchor`."""
        with explained(self._path):
            return anchor_journal(self._connection, self.last_seq, [])

    async def add(self, page: Sequence[Copied], changed: Sequence[Payment]) -> None:
        """See `copying.Target.add`."""
        created = (each.payment for each in page if each.is_first)
        with self._writing(), self._connection as connection:
            connection.executemany(INSERT_PAYMENT, created)
            connection.executemany(UPDATE_PAYMENT, map(counters_of, changed))
            connection.executemany(INSERT_ENTRY, (each.sealed_entry for each in page))

    async def replace_rest(self, rest: AsyncIterator[tuple[str, list[Row]]]) -> None:
        """See `copying.Target.replace_rest`."""
        with self._writing(), self._connection as connection:
            for table in _REST:
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - of our own names
            async for table, rows in rest:
                connection.executemany(_INSERT[table], rows)

    async def finish(self) -> None:
        """See `copying.Target.finish`."""
        with self._writing():
            self._connection.pragma("user_version", SCHEMA_VERSION)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with explained(self._path), writing_to(self._path):
            yield


def _pages(rows: Iterator[Any]) -> Iterator[list[Any]]:
    while page := list(islice(rows, AT_ONCE)):
        yield page
