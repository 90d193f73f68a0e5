"""Files that are removed, moved or replaced under a server: nothing is acknowledged into the void."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from paycli.errors import OutcomeOpen, StoreError, StoreUnavailable
from paycli.payments.store import Health
from paycli.storage.stores import open_store
from tests.conftest import StartServer
from tests.storage.test_conformance import make, opened


def remove_folder(store: Path) -> None:
    shutil.rmtree(store.parent)


def remove_wal(store: Path) -> None:
    Path(f"{store}-wal").unlink()


def remove_shared_memory(store: Path) -> None:
    Path(f"{store}-shm").unlink()


def remove_lock(store: Path) -> None:
    Path(f"{store}.lock").unlink()


def replace_lock(store: Path) -> None:
    remove_lock(store)
    Path(f"{store}.lock").touch()


def move(store: Path) -> None:
    store.rename(store.with_name("elsewhere.db"))


def replace(store: Path) -> None:
    shutil.copy(store, store.with_name("copy"))
    store.with_name("copy").replace(store)


def link(store: Path) -> None:
    os.link(store, store.with_name("second.db"))


CHANGES = [
    remove_folder,
    remove_wal,
    remove_shared_memory,
    remove_lock,
    replace_lock,
    move,
    replace,
]


@pytest.mark.parametrize("change", [*CHANGES, link])
def test_nothing_is_acknowledged_after_it(change: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "folder" / "s.db"
    told: list[Health] = []

    async def main() -> None:
        async with open_store(f"sqlite:///{path}", told.append) as store:
            await store.execute(make(1))
            change(path)
            with pytest.raises(OutcomeOpen, match="under the server"):
                await store.execute(make(2))
            with pytest.raises(StoreUnavailable, match="under the server"):
                await store.execute(make(3))

    asyncio.run(main())
    assert told == [Health.BROKEN]


def test_a_server_notices_by_itself_and_ends_for_a_restart(
    start_server: StartServer, tmp_path: Path
) -> None:
    store = tmp_path / "folder" / "s.db"
    server = start_server("--drain-timeout", "1", store=store)
    with grpc.insecure_channel(server.target) as channel:
        check = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(), timeout=30
        )
        assert next(check).status == health_pb2.HealthCheckResponse.SERVING
        remove_folder(store)
        assert next(check).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert server.process.wait(20) == 1
    assert "is gone from under the server" in server.stderr()


def test_a_store_with_two_names_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "s.db"

    async def main(name: str) -> None:
        async with opened(f"sqlite:///{tmp_path / name}"):
            pass

    asyncio.run(main("s.db"))
    link(path)
    for name in ("s.db", "second.db"):
        with pytest.raises(StoreError, match="2 hard links"):
            asyncio.run(main(name))
