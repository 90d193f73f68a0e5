"""Ids that the server makes: UUIDv7 (RFC 9562), so that rows made together are stored together."""

from __future__ import annotations

import random
from typing import Final

_VERSION_AND_VARIANT: Final = 0x7 << 76 | 0b10 << 62
_RANDOM: Final = 0xFFF << 64 | (1 << 62) - 1  # the 74 bits that are left of the lower 80

_random = random.Random()  # noqa: S311 - an id must be new, not secret


def new_payment_id(now_us: int) -> str:
    """`pay_` and 32 hexadecimal digits that begin with the time in milliseconds."""
    return (
        f"pay_{now_us // 1000:012x}{_random.getrandbits(80) & _RANDOM | _VERSION_AND_VARIANT:020x}"
    )
