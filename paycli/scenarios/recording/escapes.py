"""Escapes of `$'…'`, as bash has them."""

from __future__ import annotations

import re
from typing import Final

_ESCAPE: Final = re.compile(
    r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|(.))", re.DOTALL
)
_CONTROLS: Final = dict(zip("abefnrtv", "\a\b\x1b\f\n\r\t\v", strict=True))
_CODE_MAX: Final = 0x10FFFF


def unescaped(text: str) -> str:
    """What stands for the text; an escape that is none stays as it is."""
    return _ESCAPE.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    *codes, octal, other = found.groups()
    if other is not None:
        return _CONTROLS.get(other, other if other in "\\'\"?" else found[0])
    code = int(octal, 8) if octal else int("".join(filter(None, codes)), 16)
    return chr(code) if code <= _CODE_MAX else found[0]
