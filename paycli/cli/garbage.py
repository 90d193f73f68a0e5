"""How often Python looks for garbage: seldom in a command, as usual in a server."""

from __future__ import annotations

import gc
from typing import Final

_USUAL: Final = gc.get_threshold()
# Loading makes some ten thousand objects that stay, and looking at them again and again is a tenth
# of a short command. A long one is still collected.
_SELDOM: Final = 100_000


def seldom() -> None:
    """For a command that loads, does one thing, and ends."""
    gc.set_threshold(_SELDOM)


def as_usual() -> None:
    """For a server, whose callers would wait while so many objects are looked at."""
    gc.set_threshold(*_USUAL)
