"""Ids that the server makes: UUIDv7 (RFC 9562), so that rows made together are stored together."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

_VERSION_AND_VARIANT: Final = 0x7 << 76 | 0b10 << 62
_RANDOM: Final = 0xFFF << 64 | (1 << 62) - 1  # the 74 bits that are left of the lower 80
_RANDOM_BYTES: Final = 10


def new_payment_id(now_us: int) -> str:
    """`pay_` and 32 hexadecimal digits that begin with the time in milliseconds."""
    (only,) = new_payment_ids((now_us,))
    return only


def new_payment_ids(times_us: Sequence[int]) -> list[str]:
    """One for each time."""
    # From the system: a generator of our own would be copied by a fork, and repeat itself. It is asked
    # once for all, which is most of what an id costs.
    drawn = secrets.token_bytes(_RANDOM_BYTES * len(times_us))
    return [
        _payment_id(now_us, drawn[_RANDOM_BYTES * number : _RANDOM_BYTES * (number + 1)])
        for number, now_us in enumerate(times_us)
    ]


def _payment_id(now_us: int, drawn: bytes) -> str:
    random = int.from_bytes(drawn) & _RANDOM | _VERSION_AND_VARIANT
    return f"pay_{now_us // 1000:012x}{random:020x}"
