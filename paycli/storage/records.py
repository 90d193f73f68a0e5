"""What backends say of a store, in words that all of them share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Progress = Callable[[int, int], None]  # (done, of all)


class Verified(NamedTuple):
    """What was looked at and found right. `anchor` is `SEQ:DIGEST` of the journal."""

    payments: int
    entries: int
    open_intents: int
    anchor: str


class Status(NamedTuple):
    """Counts of rows and bytes; `last_seq` is the newest event, 0 for none."""

    path: str
    schema_version: int
    needs_migration: bool
    served: bool
    payments: int
    last_seq: int
    open_authorizations: int
    open_intents: int
    bytes: int


class Repair(NamedTuple):
    """A harmless change: what it does in one sentence, and how. `do` raises InputError."""

    what: str
    do: Callable[[], object]


class Condition(NamedTuple):
    """Whether a server could open the store, in one sentence, and what would put it right."""

    usable: bool
    sentence: str
    command: str = ""
    repair: Repair | None = None
