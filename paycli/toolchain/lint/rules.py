"""Where the rules of `lint` are entered, and the categories that they belong to."""

from __future__ import annotations

from typing import Final

from paycli.toolchain.lint.elements import Elements
from paycli.toolchain.rules.rule import RuleBook, Rules

# Each category contains the ones before it; comments and streaming are a matter of taste.
MINIMAL: Final = ("MINIMAL", "BASIC", "STANDARD")
BASIC: Final = ("BASIC", "STANDARD")
STANDARD: Final = ("STANDARD",)
COMMENTS: Final = ("COMMENTS",)
UNARY_RPC: Final = ("UNARY_RPC",)
ON_REQUEST: Final = ()  # only when named

BOOK: Final = RuleBook()
MODULES: Final = Rules[[Elements]](BOOK)  # the files of one module
