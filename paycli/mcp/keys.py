"""Idempotency keys made of what is paid for, so that who asks again cannot pay again.

No amount is in them: the same order over another amount is a conflict, not another payment.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from paycli.payments.commands import spelling

_DIGITS: Final = 32  # of SHA-256, in hex: 128 bits


def key_of_order(order_id: str) -> str:
    """The key under which an order is paid; of the order alone, whoever its customer is."""
    return _key("pay", order_id)


def key_of_refund(payment_id: str, reference: str) -> str:
    """The key under which a refund is made: two refunds of a payment have two references."""
    return _key("refund", payment_id, reference)


def _key(what: str, *ids: str) -> str:
    # As JSON, so that no two pairs of ids make one key.
    named = json.dumps([what, *map(spelling, ids)])
    return f"mcp-{what}-{hashlib.sha256(named.encode()).hexdigest()[:_DIGITS]}"
