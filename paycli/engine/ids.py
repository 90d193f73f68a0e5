"""Ids that the server makes: UUIDv7 (RFC 9562), so that rows made together are stored together."""

from __future__ import annotations

import os
import struct
from typing import Final

_VERSION_AND_VARIANT: Final = 0x7 << 76 | 0b10 << 62
_RANDOM: Final = 0xFFF << 64 | (1 << 62) - 1  # the 74 bits that are left of the lower 80
_LOWER: Final = struct.Struct("10s")
_AT_ONCE: Final = 256

# From the system, for many ids at once: asked for each, it is most of what an id costs.
_drawn: list[int] = []
os.register_at_fork(after_in_child=_drawn.clear)  # or both sides would go on with the same


def new_payment_id(now_us: int) -> str:
    """`pay_` and 32 hexadecimal digits that begin with the time in milliseconds."""
    if not _drawn:
        _drawn.extend(
            int.from_bytes(each) & _RANDOM | _VERSION_AND_VARIANT
            for (each,) in _LOWER.iter_unpack(os.urandom(_AT_ONCE * _LOWER.size))
        )
    return f"pay_{now_us // 1000:012x}{_drawn.pop():020x}"
