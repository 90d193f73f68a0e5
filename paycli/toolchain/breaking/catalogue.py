"""All rules there are, and the names that a buf.yaml may give them."""

from __future__ import annotations

from typing import Final

# The modules of rules enter what they have when they are imported.
from paycli.toolchain.breaking import (  # noqa: F401
    enums,
    field_options,
    fields,
    files,
    messages,
    packages,
    services,
)
from paycli.toolchain.breaking.rules import BOOK
from paycli.toolchain.rules.choice import Catalogue

_NOT_IN_V1: Final = {"EXTENSION_NO_DELETE", "FIELD_SAME_DEFAULT", "PACKAGE_EXTENSION_NO_DELETE"}
# Former names in v1, which mean the rules that took their place.
_FORMERLY: Final = {
    "FIELD_SAME_CPP_STRING_TYPE": "FIELD_SAME_CTYPE",
    "FIELD_SAME_JAVA_UTF8_VALIDATION": "FILE_SAME_JAVA_STRING_CHECK_UTF8",
    "FIELD_SAME_CARDINALITY": "FIELD_SAME_LABEL",
    "FIELD_WIRE_COMPATIBLE_CARDINALITY": "FIELD_SAME_LABEL",
    "FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY": "FIELD_SAME_LABEL",
}
# Names that a buf.yaml may still say, and that check nothing any more.
_RETIRED: Final = {"MESSAGE_SAME_MESSAGE_SET_WIRE_FORMAT": ()}
_RETIRED_IN_V1: Final = _RETIRED | {"FILE_SAME_PHP_GENERIC_SERVICES": ()}


def catalogue(version: str) -> Catalogue:
    """The rules and categories that a buf.yaml of this version knows."""
    known = BOOK.categories
    if version == "v2":
        return {**known, **_RETIRED}
    older = {name: categories for name, categories in known.items() if name not in _NOT_IN_V1}
    for name, former in _FORMERLY.items():
        older[name] = (*older[name], former)
    return older | _RETIRED_IN_V1
