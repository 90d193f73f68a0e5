"""`paycli db`: keep the books. Each command works on a store by its URL, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paycli.cli import options, output
from paycli.cli.groups import Command, CommandGroup
from paycli.cli.interrupts import termination_as_interrupt

db = typer.Typer(
    help="Keep the books: migrate, verify, back up, restore, copy, look.",
    epilog=options.EXIT_CODES,
    cls=CommandGroup,
    add_completion=False,
    rich_markup_mode=None,
)


def migrate(
    *,
    grant: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE",
            help="PostgreSQL: let this role serve; it can change nothing in the journal.",
        ),
    ] = None,
    store: options.Store = options.DEFAULT_STORE,
    json: options.Json = False,
) -> None:
    """Bring the schema of a store up to date; nothing else changes.

    Stop the server of a SQLite file first; those of a PostgreSQL database go on.
    """
    from paycli.storage.stores import migrate_store

    before, after = migrate_store(store, grant)
    if json:
        output.document({"from": before, "to": after})
    elif before == after:
        output.result(f"Nothing to do: the schema has version {after}.")
    else:
        output.result(f"Migrated the schema from version {before} to {after}.")


def verify(
    *,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="SEQ:DIGEST",
            help="An anchor that an earlier verify printed: all up to it must be unchanged.",
        ),
    ] = None,
    store: options.Store = options.DEFAULT_STORE,
    json: options.Json = False,
) -> None:
    """Check every column of every payment, entry and balance; exit 1 at the first that is wrong."""
    from paycli.storage.stores import verify_store

    with output.progress_bar("payments") as progress:
        verified = verify_store(store, progress, since)
    if json:
        output.document({"verdict": "right", **verified._asdict()})
    else:
        output.result(
            f"All is right: {verified.payments:,} payments, {verified.entries:,} journal entries."
        )
        output.result(f"Anchor: {verified.anchor}")


def backup(
    copy: Annotated[Path, typer.Argument(metavar="FILE", help="Must not exist yet.")],
    *,
    store: options.Store = options.DEFAULT_STORE,
    json: options.Json = False,
) -> None:
    """Copy a store as it is at this moment, while its server goes on."""
    from paycli.storage.stores import backup_store, shown

    with output.progress_bar("pages") as progress:
        size = backup_store(store, copy, progress)
    _say_copied(f"Backed up {shown(store)} to {copy}", size, as_json=json)


def restore(
    copy: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    *,
    store: options.Store = options.DEFAULT_STORE,
    json: options.Json = False,
) -> None:
    """Make a store of a backup; refuses if there is one already."""
    from paycli.storage.stores import restore_store, shown

    with output.progress_bar("pages") as progress:
        size = restore_store(copy, store, progress)
    _say_copied(f"Restored {shown(store)} from {copy}", size, as_json=json)


def copy(
    source: Annotated[
        str, options.store_argument("FROM_URL", "A store that no server uses; it stays as it is.")
    ],
    target: Annotated[
        str,
        options.store_argument(
            "TO_URL", "An empty store, or none yet, or what an earlier copy left."
        ),
    ],
    *,
    json: options.Json = False,
) -> None:
    """Move a store: from SQLite to PostgreSQL, back, or between two of a kind.

    Both stores are checked. Nobody can serve the new one before it is whole; after an interruption the
    same command goes on where it was.
    """
    from paycli.storage.stores import copy_store, shown

    # asyncio's own way with Ctrl-C would wait for the end of a page, or of a check.
    with termination_as_interrupt(), output.progress_bars() as bar:
        copied = copy_store(source, target, bar)
    if json:
        output.document({"verdict": "right", **copied._asdict()})
    else:
        output.result(
            f"Copied {shown(source)} to {shown(target)}: {copied.payments:,} payments, "
            f"{copied.entries:,} journal entries, {copied.open_intents:,} open at the processor."
        )
        output.result(f"Anchor of both: {copied.anchor}")


def status(*, store: options.Store = options.DEFAULT_STORE, json: options.Json = False) -> None:
    """Say what is in a store and whether a server uses it."""
    from paycli.storage.stores import store_status

    found = store_status(store)
    if json:
        output.document(found._asdict())
        return
    migration = "; run 'paycli db migrate'" if found.needs_migration else ""
    rows = {
        "store": found.path,
        "schema": f"version {found.schema_version}{migration}",
        "served": "yes" if found.served else "no",
        "payments": f"{found.payments:,}",
        "newest event": f"{found.last_seq:,}",
        "open authorizations": f"{found.open_authorizations:,}",
        "open at the processor": f"{found.open_intents:,}",
        "size": f"{found.bytes / 1e6:,.1f} MB",
    }
    for what, value in rows.items():
        output.result(f"{what:22} {value}")


def _say_copied(what: str, size: int, *, as_json: bool) -> None:
    if as_json:
        output.document({"bytes": size})
    else:
        output.result(f"{what} ({size / 1e6:,.1f} MB).")


for command in (migrate, verify, backup, restore, copy, status):
    db.command(cls=Command, epilog=options.EXIT_CODES)(command)
