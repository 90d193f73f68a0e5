"""Names of metadata and fields whose values no report and no file may show."""

from __future__ import annotations

import re
from typing import Final

_SECRET: Final = re.compile(
    r"auth(?!or)|authorization|bearer|cookie|credential|jwt|passw|passphrase|secret|session$|token"
    r"|(api|access|private|signing)[_-]?key|card[_-]?(no|num)|cvv|cvc"
    r"|(^|[_-])(otp|pan|pass|pin|pwd|signature)($|[_-])"
)
# They tell where to go on, or which call it is; not who calls.
_HARMLESS: Final = re.compile("(page|continuation|sync|idempotency)[_-]?token")


def is_secret(name: str) -> bool:
    """Whether what is called so is for nobody else."""
    return _SECRET.search(_HARMLESS.sub("", name.lower())) is not None
