"""SQL files per backend: numbered ones (`sqlite/sql/0001_<what>.sql`) are applied in order, once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from paycli.errors import StoreError

_BACKENDS = Path(__file__).parent

# Added to the version of a store that `db copy` still fills. It is above all versions, so that every
# paycli refuses it; `copying` alone goes on.
UNFINISHED: Final = 1_000_000


class Migration(NamedTuple):
    """One step of the schema; versions count from 1 without a gap."""

    version: int
    name: str
    sql: str


@cache
def migrations(backend: str) -> tuple[Migration, ...]:
    """All steps of a backend, in order."""
    steps = tuple(
        Migration(int(path.stem[:4]), path.stem[5:], path.read_text(encoding="utf-8"))
        for path in sorted((_BACKENDS / backend / "sql").glob("[0-9][0-9][0-9][0-9]_*.sql"))
    )
    assert [step.version for step in steps] == list(range(1, len(steps) + 1))
    return steps


@cache
def statement(backend: str, name: str) -> str:
    """A statement that is kept in a file of its own, because it is worth reading there."""
    return (_BACKENDS / backend / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def refuse_unfinished(version: int, place: object) -> None:
    """Raises StoreError for a store that is only a part of another one."""
    if version > UNFINISHED:
        raise StoreError(
            f"The store {place} is not whole: a copy into it has not ended. Run the same 'paycli db "
            "copy' again; it goes on where it was."
        )
