"""Markup whose texts are always escaped: what is not Markup is text."""

from __future__ import annotations

import re
from html import escape
from typing import Final

_VOID: Final = frozenset({"meta", "line", "rect", "path", "circle", "polyline", "stop"})
# Controls and what reorders a line are shown as what they are; half a surrogate pair has no bytes.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


class Markup(str):
    """Text that a browser is to read as markup."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str | float | None) -> Markup:
    """An element. `class_` is class, `font_size` is font-size; an attribute that is None is left out."""
    said = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{text(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID and not children:
        return Markup(f"<{tag}{said}/>")
    return Markup(f"<{tag}{said}>{joined(*children)}</{tag}>")


def joined(*children: str) -> Markup:
    """Children one after the other."""
    return Markup("".join(each if isinstance(each, Markup) else text(each) for each in children))


def text(written: str) -> Markup:
    """Text as it is to be seen."""
    return Markup(escape(_UNSEEN.sub(lambda found: ascii(found[0])[1:-1], written)))
