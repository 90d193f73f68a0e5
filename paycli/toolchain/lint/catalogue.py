"""All rules there are, and the names that a buf.yaml may give them."""

from __future__ import annotations

from typing import Final

# The modules of rules enter what they have when they are imported.
from paycli.toolchain.lint import (  # noqa: F401
    comments,
    enums,
    fields,
    files,
    imports,
    names,
    packages,
    services,
)
from paycli.toolchain.lint.rules import BOOK, ON_REQUEST, STANDARD
from paycli.toolchain.rules.choice import Catalogue

# Names that a buf.yaml may say and that check nothing: see docs/lint.md.
_WITHOUT_CHECK: Final = {"PROTOVALIDATE": STANDARD}
_V1_WITHOUT_CHECK: Final = _WITHOUT_CHECK | {"IMPORT_NO_WEAK": ON_REQUEST}
_NOT_IN_V1: Final = {"FIELD_NOT_REQUIRED", "STABLE_PACKAGE_NO_IMPORT_UNSTABLE"}


def catalogue(version: str) -> Catalogue:
    """The rules and categories that a buf.yaml of this version knows."""
    known = BOOK.categories
    if version == "v2":
        return {**known, **_WITHOUT_CHECK}
    older = {name: categories for name, categories in known.items() if name not in _NOT_IN_V1}
    return older | _V1_WITHOUT_CHECK | {"PACKAGE_NO_IMPORT_CYCLE": ON_REQUEST}
