"""The version at the end of a package name, and whether it promises to stay."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

_NUMBER: Final = "0*[1-9][0-9]*"
_VERSION: Final = re.compile(
    rf"v{_NUMBER}(?:(?P<test>test.*)|(?:p{_NUMBER})?(?P<stage>alpha|beta)(?:{_NUMBER})?)?"
)


class Stability(StrEnum):
    """What a version promises: v1 stays, v1beta1 and v1test may change."""

    STABLE = "stable"
    UNSTABLE = "unstable"


def version_of(package: str) -> Stability | None:
    """The stability of the package's version; None when it has none. One word is no version."""
    parent, _, last = package.rpartition(".")
    found = _VERSION.fullmatch(last) if parent else None
    if found is None:
        return None
    return Stability.UNSTABLE if found["test"] or found["stage"] else Stability.STABLE
