"""Times as people write and read them: local on a terminal, exact for machines."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from paycli.errors import InputError

_AGO: Final = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[smhdw])")
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def time_of(text: str) -> datetime:
    """The time that is meant: RFC 3339, a date or time of here, or how long ago. Raises InputError."""
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            return datetime.now(UTC) - timedelta(seconds=int(ago["number"]) * _UNIT_S[ago["unit"]])
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(
            f"'{text}' is no time; write one such as 2026-01-31, '2026-01-31 12:00' (here), "
            "2026-01-31T12:00:00Z, or how long ago: 90s, 15m, 2h, 7d."
        ) from None


def shown_here(rfc3339: str) -> str:
    """A time of a record as the clock on the wall had it; what is none stays as it is."""
    try:
        return datetime.fromisoformat(rfc3339).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return rfc3339
