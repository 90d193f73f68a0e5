"""Ids that the server makes: UUIDv7 (RFC 9562), so that rows made together are stored together."""

from __future__ import annotations

import secrets
from typing import Final

_VERSION_AND_VARIANT: Final = 0x7 << 76 | 0b10 << 62
_RANDOM: Final = 0xFFF << 64 | (1 << 62) - 1  # the 74 bits that are left of the lower 80


def new_payment_id(now_us: int) -> str:
    """`pay_` and 32 hexadecimal digits that begin with the time in milliseconds."""
    # From the system: a generator of our own would be copied by a fork, and repeat itself.
    random = secrets.randbits(80) & _RANDOM | _VERSION_AND_VARIANT
    return f"pay_{now_us // 1000:012x}{random:020x}"
