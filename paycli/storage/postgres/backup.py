"""Copies of a PostgreSQL store: by pg_dump while it is in use, and put back where nothing is."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from paycli.errors import CheckFailed, StoreError
from paycli.storage.postgres.anchor import keep_anchor
from paycli.storage.postgres.pool import SCHEMA, Address, check_schema_version, schema_version
from paycli.storage.postgres.verify import verify
from paycli.storage.records import Progress
from paycli.storage.whole_file import refuse_existing, whole_file

_SAID_MAX: Final = 500


def backup(address: Address, copy: Path, progress: Progress) -> int:
    """Copy the store as it is at this moment, with the anchor of its journal; returns the bytes.

    The copy is whole on disk or not there at all. Raises StoreError, and CheckFailed when the journal
    is not as paycli wrote it.
    """
    program = _program("pg_dump")
    refuse_existing(copy, f"{copy} exists; nothing is overwritten. Name another file.")
    asyncio.run(_anchored(address))
    words = [program, "--format=custom", f"--schema={SCHEMA}", "--no-owner", "--no-privileges"]
    with whole_file(copy) as partial:
        _run(address, [*words, f"--file={partial}"], progress)
    return copy.stat().st_size


def restore(copy: Path, address: Address, progress: Progress) -> int:
    """Make a store of a backup, in a database that has none; returns the bytes.

    It is checked before it is one: a backup that is not right leaves nothing. Raises StoreError,
    CheckFailed.
    """
    program = _program("pg_restore")
    if not copy.is_file():
        raise StoreError(f"There is no backup {copy}. Name the file that 'db backup' wrote.")
    asyncio.run(_refuse_store(address))
    words = [program, "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    _run(address, [*words, str(copy)], progress)
    try:
        asyncio.run(verify(address, progress))
    except CheckFailed as wrong:
        asyncio.run(_dropped(address))
        said = wrong.message.removesuffix(" Restore a backup.")
        raise CheckFailed(
            f"The backup {copy} is not right, nothing was restored. {said} Restore another backup."
        ) from wrong
    return copy.stat().st_size


async def _anchored(address: Address) -> None:
    async with address.checking() as connection:
        check_schema_version(await schema_version(connection), address)
        await keep_anchor(connection)


async def _refuse_store(address: Address) -> None:
    async with address.checking() as connection:
        if await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", SCHEMA):
            raise StoreError(
                f"{address} has a store; restore overwrites nothing. Name an empty database with "
                "--store."
            )


async def _dropped(address: Address) -> None:
    async with address.checking() as connection:
        await connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise StoreError(
            f"{name} is not installed; it comes with PostgreSQL's client programs, of the server's "
            "version or newer. Without it, 'paycli db copy' moves the store into a SQLite file."
        )
    return found


def _run(address: Address, words: Sequence[str], progress: Progress) -> None:
    """The password goes by the environment, which nobody else sees. Raises StoreError."""
    progress(0, 1)
    done = subprocess.run(
        [words[0], f"--dbname={address.without_password}", *words[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=os.environ | ({"PGPASSWORD": address.password} if address.password else {}),
        check=False,
    )
    if done.returncode != 0:
        said = " ".join(done.stderr.split()).rstrip(".") or f"exit code {done.returncode}"
        raise StoreError(f"{Path(words[0]).name} failed: {said[-_SAID_MAX:]}.")
    progress(1, 1)
