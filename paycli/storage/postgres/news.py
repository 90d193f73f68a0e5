"""News of entries, whichever server wrote them.

A server that has committed says so to all others with NOTIFY: afterwards, in a transaction of its own,
for a NOTIFY inside of one makes all commits of the database wait for each other. Whoever hears it looks
how far the journal can be read now. What is lost on the way (a server that dies before it says so, a
connection that breaks) is found by the look that goes with the heartbeat of an idle store.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Final

import asyncpg

from paycli.storage.postgres import reads
from paycli.storage.postgres.pool import AWAY, Address, said

_CHANNEL: Final = "paycli_entries"
_PAUSE_S: Final = 0.02  # all that is committed meanwhile is one piece of news
_TRY_AGAIN_S: Final = 1.0

_log = logging.getLogger(__name__)


class News:
    """Keeps a connection that listens; belongs to the event loop that it was made in."""

    def __init__(self, address: Address, newest_seq: int) -> None:
        self._address = address
        self._newest_seq = newest_seq
        self._waiting = 0
        self._risen = asyncio.Event()
        self._look = asyncio.Event()
        self._to_tell = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name="news of entries")

    def committed(self) -> None:
        """Tell everybody that there is something new."""
        self._to_tell = True
        self._look.set()

    def look(self) -> None:
        """See whether there is something new of which nobody told."""
        if self._waiting:
            self._look.set()

    async def after(self, seq: int) -> None:
        """Return once there are entries after this seq."""
        self._waiting += 1
        try:
            while self._newest_seq <= seq:
                self._look.set()  # it may be there already
                await self._risen.wait()
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Stop listening."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        is_late = False
        while True:
            try:
                async with self._listening() as connection:
                    is_late = False
                    self._look.set()
                    await self._pass_on(connection)
            except (*AWAY, asyncpg.PostgresError) as problem:
                if not is_late:
                    _log.info("news of other servers' payments are late: %s", said(problem))
                is_late = True
            await asyncio.sleep(_TRY_AGAIN_S)

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await self._address.connect()
        try:
            # Nothing is lost with it that the heartbeat does not find.
            await connection.execute("SET synchronous_commit = off")
            connection.add_termination_listener(lambda _: self._look.set())
            await connection.add_listener(_CHANNEL, self._heard)
            yield connection
        finally:
            connection.terminate()

    def _heard(self, connection: asyncpg.Connection, pid: int, _: str, __: object) -> None:
        if pid != connection.get_server_pid():
            self.look()

    async def _pass_on(self, connection: asyncpg.Connection) -> None:
        while True:
            await self._look.wait()
            self._look.clear()
            if self._to_tell:
                self._to_tell = False
                await connection.execute(f"NOTIFY {_CHANNEL}")
            elif connection.is_closed():
                return
            if self._waiting:
                self._rise(await reads.newest_seq(connection))
            await asyncio.sleep(_PAUSE_S)

    def _rise(self, seq: int) -> None:
        if seq > self._newest_seq:
            self._newest_seq = seq
            self._risen.set()
            self._risen = asyncio.Event()
