"""Seals: a checksum beside each record, so that what is changed behind paycli's back is seen.

An entry's seal covers the entry and what its payment was created with: together all that never
changes again. It is a checksum and no signature: against somebody who computes it anew there is the
anchor of the whole journal (`paycli db verify --since`).
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from paycli.payments.payment import Entry, Payment

# Ends each text of what is sealed. No text that paycli takes has it in it, so a row with as many as
# it should have can be read in one way only.
END: Final = "\x1e"
ENDS: Final = 6


def seal(payment: Payment, entry: Entry) -> int:
    """Of an entry and its payment; `storage/*/sql/sealed.sql` writes the same text."""
    e, p = entry, payment
    return crc32(
        f"{e.seq},{e.version},{e.kind},{e.amount},{e.released},{e.captured},{e.voided},"
        f"{e.refunded},{e.requested},{e.final:d},{e.created_us},{p.amount},{p.capture_method},"
        f"{p.expires_us},{p.created_us},{e.payment_id}{END}{p.order_id}{END}{p.customer_id}{END}"
        f"{p.currency}{END}{e.request_key}{END}{e.reason}{END}".encode()
    )
