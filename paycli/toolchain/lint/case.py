"""Names as PascalCase and snake_case, to the letter as buf wants them."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

_DELIMITERS: Final = re.compile(r"[._\-\s]+")
# A new word begins at a capital after a small letter, and at one before a small letter: HTTPServer.
_NEW_WORD: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[^_])(?=[A-Z][^A-Z0-9_])")


@cache
def pascal_case(name: str) -> str:
    """`order_id` → `OrderId`; capitals stay, so `HTTPServer` is fine as it is."""
    words = _DELIMITERS.split(name)
    return "".join(word[0].upper() + word[1:] for word in words if word)


@cache
def lower_snake_case(name: str) -> str:
    """`OrderID` → `order_id`; digits never begin a word."""
    return _snake_case(name).lower()


@cache
def upper_snake_case(name: str) -> str:
    """`OrderID` → `ORDER_ID`; digits never begin a word."""
    return _snake_case(name).upper()


def _snake_case(name: str) -> str:
    return _NEW_WORD.sub("_", _DELIMITERS.sub("_", name).strip("_"))
