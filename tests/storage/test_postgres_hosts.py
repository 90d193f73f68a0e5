"""A store that is behind one of several hosts."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from paycli.errors import StoreError
from paycli.storage.postgres import pool
from paycli.storage.postgres.pool import Address, explained
from tests import postgres


@pytest.fixture
def silent() -> Iterator[str]:
    """A host that takes connections and never says a word, as one does whose cable is cut."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def among(*others: str) -> str:
    """The URL of the shared server, one of several hosts: it is the second."""
    url = postgres.shared_server()
    host = urlsplit(url).netloc.rpartition("@")[2]
    first, *rest = others
    return url.replace(host, ",".join((first, host, *rest)), 1)


def test_one_that_is_silent_keeps_nobody_waiting(silent: str) -> None:
    async def main() -> None:
        connection = await Address(among(silent, silent)).connect()
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_one_that_is_promoted_while_another_is_silent_is_found(
    silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_CONNECT_S", 20.0)

    async def main(server: postgres.Postgres) -> None:
        url = server.url.replace("@", f"@{silent},")
        connecting = asyncio.ensure_future(Address(url).connect())
        await asyncio.sleep(0.5)  # by now it was asked
        await asyncio.to_thread(server.start)
        await (await connecting).close()

    with postgres.new_postgres() as server:
        server.stop()
        asyncio.run(main(server))


def test_the_problem_that_tells_most_is_told(silent: str) -> None:
    nobody = f"127.0.0.1:{postgres.free_port()}"
    address = Address(postgres.database(among(nobody, silent), "missing"))

    async def main() -> None:
        with explained(address):
            await address.connect()

    with pytest.raises(StoreError, match="There is no database"):
        asyncio.run(main())
