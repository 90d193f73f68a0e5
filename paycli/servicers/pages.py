"""Pages of lists, after AIP-158: sizes that are clamped, tokens that only fit their own list."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

from paycli.errors import InvalidPayment

DEFAULT_SIZE: Final = 50
SIZE_MAX: Final = 1000
_DIGEST_BYTES: Final = 6


def page_size(asked: int) -> int:
    """How many to send. Raises InvalidPayment for a negative number."""
    if asked < 0:
        raise InvalidPayment("page_size", "page_size must not be negative; 0 means 50.")
    return min(asked or DEFAULT_SIZE, SIZE_MAX)


def page_token(cursor: str, query: object) -> str:
    """The opaque token for what comes after `cursor` of `query`; "" for an empty cursor."""
    if not cursor:
        return ""
    return base64.urlsafe_b64encode(_digest(cursor, query) + cursor.encode()).decode().rstrip("=")


def cursor_of(token: str, query: object) -> str:
    """The cursor in a token; "" for no token. Raises InvalidPayment for one that is not this query's."""
    if not token:
        return ""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        digest, cursor = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:].decode()
    except (binascii.Error, ValueError):
        digest, cursor = b"", ""
    if digest != _digest(cursor, query) or not cursor:
        raise InvalidPayment(
            "page_token",
            "page_token is not one of this list; send the next_page_token of the page before, "
            "with all other fields but page_size unchanged, or none to begin again.",
            reason="PAGE_TOKEN_INVALID",
        )
    return cursor


def _digest(cursor: str, query: object) -> bytes:
    return hashlib.sha256(repr((cursor, query)).encode()).digest()[:_DIGEST_BYTES]
