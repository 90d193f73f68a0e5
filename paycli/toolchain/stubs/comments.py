"""What people write into protos, as Python text.

A comment is text, never code: whatever stands in it, the string that is written here says just that
and ends where it should. protoc's plugin for gRPC copies comments as they are, so it gets to see none
of them, and they are put into its code afterwards.
"""

from __future__ import annotations

import re
from typing import Any, Final

from paycli.toolchain.protos.descriptors import Element

# What does not show, or changes how others show (a list, since Python's own grows with Unicode):
# control characters, soft hyphens, zero widths, directions, line separators, tags.
_INVISIBLE: Final = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_UNSAFE_QUOTE: Final = re.compile(r'"(?="|\Z)')  # could become, or meet, the end of a docstring


def docstring_of(element: Element[Any]) -> str:
    """What is said before and behind an element, as a Python string; empty for nothing."""
    location = element.location
    if location is None:
        return ""
    texts = map(_as_written, (location.leading_comments, location.trailing_comments))
    return docstring("\n\n".join(filter(None, texts)))


def docstring(text: str) -> str:
    """The text as a Python string in triple quotes; empty for none."""
    if not text:
        return ""
    text = _UNSAFE_QUOTE.sub(r'\\"', text.replace("\\", "\\\\"))
    text = _INVISIBLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    first, *others = text.split("\n")
    if not others:
        return f'"""{first}"""'
    # Readers of docstrings take away all blanks before the first line, and of the indentation of the
    # others what they have in common; in a line of its own, the first is like the others.
    apart = first.startswith(" ") or all(line.startswith(" ") for line in others if line)
    return '"""' + "\n" * apart + text + '\n"""'


def _as_written(comment: str) -> str:
    """Without the blank that follows `//`, blanks at the ends of lines, and blank lines around."""
    lines = [line.rstrip(" \t\r").removeprefix(" ") for line in comment.split("\n")]
    return "\n".join(line.expandtabs(4) for line in lines).strip("\n")
