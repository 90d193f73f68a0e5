"""The schema of a PostgreSQL store: made, brought up to date, and given to the role that serves."""

from __future__ import annotations

import re
from typing import Final

import asyncpg

from paycli.errors import InputError, StoreError
from paycli.storage.postgres.pool import (
    SCHEMA,
    SCHEMA_VERSION,
    Address,
    check_schema_version,
    check_server,
    schema_version,
)
from paycli.storage.schema import Migration, migrations, statement

_LOCK: Final = 0x7061_7963_6C69  # an advisory lock, so that two who migrate take turns
_TRIES: Final = 5
_ROLE: Final = re.compile(r"[^\x00\"]{1,63}")


async def migrate(address: Address, grant: str | None = None) -> tuple[int, int]:
    """Bring the schema up to date; returns the version before and after.

    Servers go on meanwhile: each step is a transaction of its own that waits for no lock longer than
    a moment. `grant` is a role that may serve from then on, and not more. Raises StoreError.
    """
    async with address.checking() as connection:
        before = await bring_up_to_date(connection, address)
        if grant is not None:
            await _grant(connection, grant)
    return before, SCHEMA_VERSION


async def bring_up_to_date(connection: asyncpg.Connection, address: Address) -> int:
    """Apply what is missing; returns the version before. Raises StoreError."""
    check_server(connection, address)
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        before = await schema_version(connection)
        if before > SCHEMA_VERSION:
            check_schema_version(before, address)
        if before == 0:
            await _make_schema(connection, address)
        for step in migrations("postgres")[before:]:
            await _apply(connection, step)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return before


async def _apply(connection: asyncpg.Connection, step: Migration) -> None:
    """One step, again when the tables of servers that write at the moment are not to be had."""
    for tries_left in reversed(range(_TRIES)):
        try:
            async with connection.transaction(isolation="read_committed"):
                await connection.execute(step.sql)
                await connection.execute(
                    "INSERT INTO migration VALUES ($1, $2)", step.version, step.name
                )
        except (asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError):
            if not tries_left:
                raise
        else:
            return


async def _make_schema(connection: asyncpg.Connection, address: Address) -> None:
    encoding = await connection.fetchval("SHOW server_encoding")
    if encoding != "UTF8":
        raise StoreError(f"{address} keeps its texts in {encoding}; paycli needs UTF8.")
    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")


async def _grant(connection: asyncpg.Connection, role: str) -> None:
    if not _ROLE.fullmatch(role):
        raise InputError(f"'{role[:40]}' is not the name of a role.")
    quoted = f'"{role}"'
    async with connection.transaction(isolation="read_committed"):
        await connection.execute(statement("postgres", "grants").replace(":role", quoted))
