"""What is in a PostgreSQL store, at a glance."""

from __future__ import annotations

import shlex

import asyncpg

from paycli.errors import StoreError
from paycli.storage.postgres import reads
from paycli.storage.postgres.pool import (
    SCHEMA,
    SCHEMA_VERSION,
    Address,
    check_server,
    schema_version,
)
from paycli.storage.records import Condition, Status
from paycli.storage.schema import refuse_unfinished

_SERVERS = (
    "SELECT count(*) > 0 FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = 'paycli'"
)
_BYTES = (
    "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class "
    "WHERE relnamespace = to_regnamespace($1) AND relkind = 'r'"
)
_COUNTS = (
    "SELECT (SELECT count(*) FROM payment), (SELECT count(*) FROM payment "
    "WHERE state IN ('AUTHORIZED', 'PARTIALLY_CAPTURED') AND state <> 'CAPTURED'), "
    "(SELECT count(*) FROM intent)"
)


async def inspect(address: Address) -> Condition:
    """Look at the database alone, however much is in it."""
    try:
        async with address.checking() as connection:
            check_server(connection, address)
            version = await schema_version(connection)
            refuse_unfinished(version, address)
            may_create = await connection.fetchval(
                "SELECT has_database_privilege(current_database(), 'CREATE')"
            )
    except StoreError as problem:
        return Condition(False, str(problem))
    migrate = shlex.join(["paycli", "db", "migrate", "--store", str(address)])
    if version > SCHEMA_VERSION:
        return Condition(False, f"{address} was written by a newer paycli; use that one.")
    if 0 < version < SCHEMA_VERSION:
        sentence = f"{address} was written by an older paycli; bring it up to date."
        return Condition(False, sentence, migrate)
    if version:
        return Condition(True, f"{address} can be opened.")
    if may_create:
        return Condition(True, f"There is no store in {address} yet; 'paycli serve' makes it.")
    return Condition(False, f"There is no store in {address}; its owner makes one.", migrate)


async def status(address: Address) -> Status:
    """Look at a store, served or not. Raises StoreError."""
    async with address.checking() as connection:
        version = await schema_version(connection)
        if not version:
            raise StoreError(f"There is no store in {address}. 'paycli db migrate' makes one.")
        refuse_unfinished(version, address)
        payments, authorizations, intents = await connection.fetchrow(_COUNTS)
        return Status(
            str(address),
            version,
            version < SCHEMA_VERSION,
            await is_served(connection),
            payments,
            await reads.newest_seq(connection),
            authorizations,
            intents,
            await connection.fetchval(_BYTES, SCHEMA),
        )


async def is_served(connection: asyncpg.Connection) -> bool:
    """Whether servers are connected to the database."""
    served: bool = await connection.fetchval(_SERVERS)
    return served
