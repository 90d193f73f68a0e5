"""Store URLs: the only place that knows which backends there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from paycli.errors import InputError
from paycli.payments.store import Store

_SQLITE: Final = "sqlite:///"


def open_store(url: str, on_failure: Callable[[], None]) -> Store:
    """Open the store of a URL: `sqlite:///path` (relative), `sqlite:////path` or `sqlite:///:memory:`.

    `on_failure` is called once if the store breaks later. Raises InputError and StoreError.
    """
    path = url.removeprefix(_SQLITE)
    if not url.startswith(_SQLITE) or not path:
        raise InputError(f"'{url}' is not a store; write sqlite:///FILE or sqlite:///:memory:.")
    # Imported here so that a process that never opens a store does not load a driver.
    from paycli.storage.sqlite import SqliteStore

    return SqliteStore(None if path == ":memory:" else Path(path), on_failure)
