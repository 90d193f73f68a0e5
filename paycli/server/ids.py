"""Ids that the server makes: UUIDv7 (RFC 9562), so that rows made together are stored together."""

from __future__ import annotations

import random

_random = random.Random()  # noqa: S311 - an id must be new, not secret


def new_payment_id(now_us: int) -> str:
    """`pay_` and 32 hexadecimal digits that begin with the time in milliseconds."""
    return f"pay_{_uuid7(now_us // 1000):032x}"


def _uuid7(milliseconds: int) -> int:
    bits = _random.getrandbits(74)
    high, low = bits >> 62, bits & (1 << 62) - 1
    return milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low
